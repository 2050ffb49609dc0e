"""Feed tokens: made, checked, looked at again while connections live on them, and taken back (feed protocol, 3)."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, router, transaction
from django.db.models import Q
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from livereferrals import conf, ids
from livereferrals.exceptions import FeedError, TokenExists
from livereferrals.streaming.models import FeedToken
from livereferrals.streaming.protocol import SCOPE_TYPES, SCOPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from livereferrals.tracking.models import Partner

logger = logging.getLogger(__name__)

ID_LENGTH = 12
SECRET_LENGTH = 40
"""Letters and digits: 238 random bits."""
PATTERN = re.compile(r"lrf_([A-Za-z0-9]{1,16})_([A-Za-z0-9]{1,64})\Z", re.ASCII)
MAX_LENGTH = 80
USED_EVERY = timedelta(minutes=1)
"""`last_used_at` is written at most this often."""
NOBODY = hashlib.sha256(b"").hexdigest()
"""Compared with when the id is unknown, so that this takes as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a token allows, as it was read; the host's `FEED_ACCESS` may give another one."""

    token: str
    """The token's id, which is no secret."""
    partner: str | None
    """Uid of the partner whose topic it reads; `None`: everything (the house's own)."""
    scopes: frozenset[str]
    links: frozenset[uuid.UUID] | None
    """Ids of the links it may read; `None`: all."""

    @property
    def types(self) -> frozenset[str]:
        """The event types that its scopes allow."""
        return frozenset(name for scope in self.scopes for name in SCOPE_TYPES.get(scope, ()))


def new_id() -> str:
    """Return an id for a token that is still to be made."""
    return ids.random_identifier(ID_LENGTH)


@sensitive_variables("secret")
def issue(
    *,
    name: str,
    partner: Partner | None = None,
    scopes: Iterable[str] = SCOPES,
    links: Iterable[uuid.UUID] | None = None,
    expires_at: datetime | None = None,
    created_by: Any = None,
    token_id: str | None = None,
) -> tuple[FeedToken, str]:
    """Make a token and return its row and its text, which cannot be had again. One insert.

    Args:
        name: what it is for, as staff will read it.
        partner: whose topic it reads; without one it reads everything, so that is for the house alone.
        scopes: of `hits`, `claims`, `confirmations`, `deliveries`, `amounts`.
        links: ids of the only links it may read.
        expires_at: when it ends by itself.
        created_by: the user who made it.
        token_id: its id, as `new_id` gives it; a form that is sent twice names the same one and makes one token.

    Raises:
        ValueError: a scope that does not exist, or none that allows any event.
        TokenExists: a token of this id is there already.
    """
    wanted = checked_scopes(scopes)
    secret = ids.random_identifier(SECRET_LENGTH)
    row = FeedToken(
        id=token_id or new_id(),
        secret_hash=_hash(secret),
        name=name,
        partner=partner,
        scopes=wanted,
        links=None if links is None else [str(link) for link in links],
        expires_at=expires_at,
        created_by=created_by,
    )
    try:
        with transaction.atomic(using=router.db_for_write(FeedToken)):
            row.save(force_insert=True)
    except IntegrityError as error:
        raise TokenExists(f"There is a feed token {row.id!r} already.") from error
    return row, f"lrf_{row.id}_{secret}"


def checked_scopes(scopes: Iterable[str]) -> list[str]:
    """Return the scopes once each.

    Raises:
        ValueError: a scope that does not exist, or none that allows any event.
    """
    wanted = list(dict.fromkeys(scopes))
    if unknown := [scope for scope in wanted if scope not in SCOPES]:
        raise ValueError(f"Unknown scope {unknown[0]!r}; known are {', '.join(SCOPES)}.")
    if not any(scope in SCOPE_TYPES for scope in wanted):
        raise ValueError(f"A token needs at least one of {', '.join(SCOPE_TYPES)}.")
    return wanted


@sensitive_variables("text")
def rotate(
    token: FeedToken, *, ends_at: datetime | None = None, created_by: Any = None, token_id: str | None = None
) -> tuple[FeedToken, str]:
    """Make a token that allows the same, end the old one, and return the new row and text. One transaction.

    Args:
        token: the old one; if it expires, the new one lives as long as that one was made for.
        ends_at: when the old one ends, so that its user has time to switch over; `None`: at once.
        created_by: the user who rotates it.
        token_id: as with `issue`.

    Raises:
        ValueError: the old one has been revoked, or rotated, before.
    """
    now = timezone.now()
    with transaction.atomic(using=router.db_for_write(FeedToken)):
        old = FeedToken.objects.using(router.db_for_write(FeedToken)).select_for_update().get(pk=token.pk)
        if old.revoked_at is not None:
            raise ValueError("This feed token has been revoked or rotated already.")
        row, text = issue(
            name=old.name,
            partner=old.partner,
            scopes=old.scopes,
            links=None if old.links is None else [uuid.UUID(link) for link in old.links],
            expires_at=None if old.expires_at is None else now + (old.expires_at - old.created_at),
            created_by=created_by,
            token_id=token_id,
        )
        token.revoked_at = ends_at or now
        token.save(update_fields=["revoked_at"])
    return row, text


def revoke(token: FeedToken) -> None:
    """End a token; its open connections are closed within 10 s. One update.

    One that was to end later, after a rotation, ends now.
    """
    now = timezone.now()
    if token.revoked_at is None or token.revoked_at > now:
        token.revoked_at = now
        token.save(update_fields=["revoked_at"])


def rows_of(texts: Iterable[str]) -> dict[str, FeedToken]:
    """Return the rows that exist of the tokens that these texts name, by their id. One query; nothing is verified."""
    return {row.pk: row for row in _tokens().filter(pk__in={_parts(text)[0] for text in texts})}


def _parts(text: str) -> tuple[str, str]:
    """Return a token's id and secret; empty where it is none."""
    found = PATTERN.match(text) if len(text) <= MAX_LENGTH else None
    return (found[1], found[2]) if found else ("", "")


@sensitive_variables("text", "secret")
def verify(text: str, *, rows: Mapping[str, FeedToken] | None = None) -> Grant:
    """Return what a token allows. One query unless its row is among `rows`, and an update at most once a minute.

    Raises:
        FeedError: it allows nothing; a wrong secret and an unknown id are told in the same words and time.
    """
    token_id, secret = _parts(text)
    row = _tokens().filter(pk=token_id).first() if rows is None else rows.get(token_id)
    matches = hmac.compare_digest(row.secret_hash if row else NOBODY, _hash(secret))
    if row is None or not matches:
        raise FeedError("unauthorized", "This feed token is not valid.")
    now = timezone.now()
    if (refusal := refusal_of(row, now=now)) is not None:
        raise refusal
    if row.last_used_at is None or row.last_used_at <= now - USED_EVERY:
        unused = Q(last_used_at__isnull=True) | Q(last_used_at__lte=now - USED_EVERY)
        _tokens().filter(unused, pk=row.pk).update(last_used_at=now)
        row.last_used_at = now
    return grant_of(row)


def refusal_of(token: FeedToken, *, now: datetime) -> FeedError | None:
    """Return why the token allows nothing at this time, or nothing if it does."""
    if token.revoked_at is not None and token.revoked_at <= now:
        return FeedError("token_revoked", "This feed token has been revoked.")
    if token.expires_at is not None and token.expires_at <= now:
        return FeedError("token_expired", "This feed token has expired.")
    if token.partner is not None and not token.partner.active:
        return FeedError("forbidden", "This partner is not active.")
    return None


def grant_of(token: FeedToken) -> Grant:
    """Return what the token allows: what its row says, or what the host's `FEED_ACCESS` makes of that.

    Raises:
        FeedError: `forbidden`, the host's policy refuses it; `unavailable`, the policy failed, and nobody is let in by
            mistake.
    """
    grant = _grant_of_row(token)
    try:
        policy = conf.settings.FEED_ACCESS
        if policy is None:
            return grant
        decided = policy(token, grant)
        if decided is not None:
            return _checked(decided, grant)
    except Exception:
        # The host's function may raise anything; a connection that is refused comes back when it is mended.
        logger.exception("FEED_ACCESS failed; the feed is refused.", extra={"action": "feed.access_failed"})
        raise FeedError(
            "unavailable", "Who may read what cannot be found out at the moment.", retry_after_s=5
        ) from None
    raise FeedError("forbidden", "This feed token may read nothing.")


def _checked(decided: object, grant: Grant) -> Grant:
    """Return the policy's answer, if it is one that this token's connections can be served by."""
    if not isinstance(decided, Grant):
        raise TypeError(f"FEED_ACCESS must return a Grant or None, not {decided!r}.")
    if decided.token != grant.token:
        raise ValueError("FEED_ACCESS must leave the token's id in its Grant: dataclasses.replace(grant, ...).")
    return decided


def _grant_of_row(token: FeedToken) -> Grant:
    return Grant(
        token=token.pk,
        partner=token.partner.uid if token.partner is not None else None,
        scopes=frozenset(token.scopes),
        links=None if token.links is None else frozenset(uuid.UUID(link) for link in token.links),
    )


def recheck(grants: Sequence[Grant]) -> dict[Grant, FeedError]:
    """Return the grants that no longer hold, each with why. One query.

    A token that now allows something else ends with `resync`: its client comes back under the new terms.
    """
    now = timezone.now()
    rows = {row.pk: row for row in _tokens().filter(pk__in={grant.token for grant in grants})}
    refusals: dict[Grant, FeedError] = {}
    for grant in grants:
        refusal = _refusal_now(rows.get(grant.token), grant, now=now)
        if refusal is not None:
            refusals[grant] = refusal
    return refusals


def _refusal_now(row: FeedToken | None, grant: Grant, *, now: datetime) -> FeedError | None:
    if row is None:
        return FeedError("token_revoked", "This feed token has been deleted.")
    if (refusal := refusal_of(row, now=now)) is not None:
        return refusal
    try:
        changed = grant_of(row) != grant
    except FeedError as error:
        return error
    return FeedError("resync", "What this feed token allows has changed.") if changed else None


def _tokens() -> Any:
    return FeedToken.objects.using(router.db_for_write(FeedToken)).select_related("partner")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
