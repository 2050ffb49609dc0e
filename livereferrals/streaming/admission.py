"""Letting a reader in: token, wishes and place in the log become one decision. Reads the database."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import django.db
from django.db import router
from django.db.models import Q

from livereferrals import conf
from livereferrals.events import log
from livereferrals.events.models import Event
from livereferrals.exceptions import FeedError
from livereferrals.streaming import processes, tickets, tokens
from livereferrals.streaming.frames import Selection, shared_selection
from livereferrals.streaming.parameters import LIMIT, WAIT_S, parse_parameters
from livereferrals.streaming.resuming import Place, Start, start_of
from livereferrals.tracking.models import ReferralLink

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from livereferrals.events.log import Bounds
    from livereferrals.streaming.credentials import Presented
    from livereferrals.streaming.models import FeedToken
    from livereferrals.streaming.parameters import Parameters
    from livereferrals.streaming.places import Elsewhere
    from livereferrals.streaming.tokens import Grant


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A reader that is let in."""

    grant: Grant
    selection: Selection
    acks: bool
    start: Start
    bounds: Bounds
    elsewhere: Elsewhere
    """Connections that other processes have open for this token and partner."""
    wait_s: int = WAIT_S
    """How long a poll waits."""
    limit: int = LIMIT
    """Most events in the answer to a poll."""
    until: float = math.inf
    """When, on the loop's clock, a reader that stays must have got its `hello`, or it is told to come again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What one reader asks for."""

    credentials: Presented
    query: str = field(repr=False)
    last_event_id: str | None = None
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read for several at once, after they asked."""

    tokens: Mapping[str, FeedToken]
    bounds: Bounds


def admit_all(asked: Sequence[Asked]) -> list[Admission | Exception]:
    """Return what each of several readers gets, or why it is not let in. One query for the log and one for all tokens.

    Raises:
        django.db.Error: the database does not answer.
    """
    texts = [one.credentials.token for one in asked if one.credentials.token is not None]
    seen = Seen(tokens.rows_of(texts), log.bounds())
    answers: list[Admission | Exception] = []
    for one in asked:
        try:
            answers.append(admit(one.credentials, one.query, last_event_id=one.last_event_id, etag=one.etag, seen=seen))
        except django.db.Error:
            raise
        except Exception as error:  # noqa: BLE001 - each raises its own; what one asks for is nothing to the others
            answers.append(error)
    return answers


def admit(
    credentials: Presented,
    query: str,
    *,
    last_event_id: str | None = None,
    etag: str | None = None,
    seen: Seen | None = None,
) -> Admission:
    """Return what a reader gets. Two or three queries; with `links` one more, with `since` about twenty small ones.

    What was `seen` is not asked again.

    A ticket can still be used afterwards: who was refused for another reason may mend that and come back with it.

    Raises:
        FeedError: it is not let in.
    """
    grant = _grant(credentials, seen)
    wanted = parse_parameters(query, last_event_id=last_event_id, etag=etag)
    selection = _selection(grant, wanted)
    bounds = log.bounds() if seen is None else seen.bounds
    since_seq = None if wanted.since is None else seq_before(wanted.since, bounds=bounds)
    place = Place(epoch=bounds.epoch, head=bounds.head, oldest=bounds.oldest)
    start = start_of(wanted, place, since_seq=since_seq)
    return Admission(
        grant=grant,
        selection=selection,
        acks=wanted.acks,
        start=start,
        bounds=bounds,
        elsewhere=processes.elsewhere(grant),
        wait_s=wanted.wait_s,
        limit=wanted.limit,
    )


def _grant(credentials: Presented, seen: Seen | None) -> Grant:
    grants: list[Grant] = []
    if credentials.token is not None:
        grants.append(tokens.verify(credentials.token, rows=None if seen is None else seen.tokens))
    if credentials.ticket is not None:
        grants.append(tickets.verify(credentials.ticket))
    if len({grant.token for grant in grants}) > 1:
        raise FeedError("bad_request", "The ticket is not one of the token in the header; present one credential.")
    return grants[0]


def _selection(grant: Grant, wanted: Parameters) -> Selection:
    limits = conf.settings.FEED_LIMITS
    batch = min(wanted.batch, limits.batch_events)
    if wanted.acks:
        # A client that acknowledges each quarter of its window must never stand before a frame that does not fit.
        batch = min(batch, max(1, limits.window_events // 4))
    return shared_selection(
        Selection(
            topic=log.Topic(partner=grant.partner),
            types=_types(grant, wanted),
            links=_links(grant, wanted),
            amounts="amounts" in grant.scopes,
            batch_events=batch,
            message_bytes=limits.message_bytes,
        )
    )


def _types(grant: Grant, wanted: Parameters) -> frozenset[str]:
    if wanted.types is None:
        return grant.types
    if beyond := sorted(wanted.types - grant.types):
        raise FeedError("forbidden", f"This token may not read events of the type {beyond[0]}.")
    return wanted.types


def _links(grant: Grant, wanted: Parameters) -> frozenset[uuid.UUID] | None:
    if wanted.links is None:
        return grant.links
    own = Q() if grant.partner is None else Q(partner__uid=grant.partner)
    links = ReferralLink.objects.using(router.db_for_write(Event)).filter(own, pk__in=wanted.links)
    known = frozenset(links.values_list("pk", flat=True))
    if wanted.links - known or (grant.links is not None and wanted.links - grant.links):
        raise FeedError("forbidden", "This token may not read one of these links.")
    return wanted.links


def seq_before(moment: datetime, *, bounds: Bounds) -> int | None:
    """Return the number after which the first event numbered at or after `moment` lies.

    `None` when it may be among those that are no longer kept. The times of numbering never go back, so the place is
    found by halves over the numbers, for which there is an index; one on the times would cost each insert.
    """
    low, high = bounds.oldest, bounds.head
    while low < high:
        middle = (low + high + 1) // 2
        if _numbered_before(middle, moment):
            low = middle
        else:
            high = middle - 1
    is_before_all_kept = low == bounds.oldest
    if bounds.oldest > 0 and is_before_all_kept and not _log_ended_before(moment, bounds=bounds):
        return None
    return low


def _numbered_before(seq: int, moment: datetime) -> bool:
    events = Event.objects.using(router.db_for_write(Event))
    return events.filter(seq=seq, numbered_at__lt=moment).exists()


def _log_ended_before(moment: datetime, *, bounds: Bounds) -> bool:
    """Whether nothing is kept and the last event that ever was came before `moment`."""
    if bounds.head > bounds.oldest:
        return False
    last = log.load_log().last_numbered_at
    return last is not None and last < moment
