"""From drafts to rows: who each hit's visitor is, what is a repeat, and what partners will read. No I/O."""

from __future__ import annotations

import json
from functools import partial
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Final, NamedTuple

from livereferrals import conf, ids
from livereferrals.events import direct
from livereferrals.events.logged import Logged
from livereferrals.events.models import EventType
from livereferrals.tracking import judging, kept
from livereferrals.tracking.entries import landing, referrer_host

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from livereferrals.tracking.drafts import HitDraft
    from livereferrals.tracking.kept import Kept

    Pair = tuple[uuid.UUID, uuid.UUID]
    """A visitor and a link."""

NO_SUBS: Final = json.dumps([None] * kept.SUBS)


class HitRow(NamedTuple):
    """A hit, with its event and its visitor, as it goes into a batch."""

    draft: HitDraft
    hit: uuid.UUID
    event: uuid.UUID
    visitor: uuid.UUID | None
    fresh: bool
    """Whether the visitor is made with the hit."""
    repeat: bool
    kept: Kept
    data: str
    """The event's data as JSON, exactly that of `entries.hit_entry`."""

    @property
    def is_told(self) -> bool:
        """Whether it has an event: not if a crawler followed, or a rule of the host's has caught it (L-35)."""
        return not self.draft.bot and not self.draft.flagged_by


def carried_pairs(drafts: Sequence[HitDraft]) -> list[Pair]:
    """Return each visitor that a browser carries with the link that it follows, each once."""
    return list({(draft.visitor, draft.link.id): None for draft in drafts if draft.visitor and draft.consent})


def rows_of(
    drafts: Sequence[HitDraft], *, hits: Sequence[uuid.UUID], last_follows: Mapping[Pair, datetime | None]
) -> list[HitRow]:
    """Return a row for each draft, in their order: an earlier one of the batch counts as a follow before.

    Args:
        drafts: what is to be recorded.
        hits: the id of each hit.
        last_follows: when a carried visitor last followed a link, if ever. A pair that is not there cannot be used: the
            visitor is gone, or somebody's (V-04, V-12).
    """
    follows = dict(last_follows)
    window, is_repeat = conf.settings.REPEAT_WINDOW, judging.rules().repeat
    rows = []
    for draft, hit in zip(drafts, hits, strict=True):
        visitor, fresh, repeat = draft.visitor if draft.consent else None, False, False
        if visitor is not None and (pair := (visitor, draft.link.id)) in follows:
            last = follows[pair]
            repeat = is_repeat(last, now=draft.now, window=window)
            follows[pair] = draft.now if last is None else max(last, draft.now)
        elif draft.consent:
            visitor, fresh = ids.new_uuid(), True
        said = kept.kept(
            entry_url=draft.entry_url,
            user_agent=draft.user_agent,
            referer=draft.referer,
            ip=draft.ip,
            click_id=draft.click_id,
            subs=draft.subs,
            consent=draft.consent,
        )
        data = event_data(said, hit=hit, visitor=visitor, repeat=repeat)
        rows.append(HitRow(draft, hit, ids.new_uuid(), visitor, fresh, repeat, said, data))
    return rows


def places_of(rows: Sequence[HitRow]) -> list[int]:
    """Return which event of the batch that of each row is, from 1; 0 for a row that has none."""
    number, places = 0, []
    for row in rows:
        number += row.is_told
        places.append(number if row.is_told else 0)
    return places


def logged(rows: Sequence[HitRow], *, after: int) -> list[Logged]:
    """Return the events of these rows as their readers get them, numbered from `after` on."""
    return [
        Logged(
            seq=after + place,
            id=row.event,
            type=EventType.HIT,
            occurred_at=row.draft.now,
            partner=row.draft.link.partner_uid,
            link=row.draft.link.id,
            link_identifier=row.draft.link.identifier,
            user="",
            data=json.loads(row.data),
        )
        for row, place in zip(rows, places_of(rows), strict=True)
        if place
    ]


def told(rows: Sequence[HitRow], state: direct.State | None) -> int | None:
    """Hand a committed batch to those who follow the log; return how many events it has numbered, or nothing if they wait."""
    number = sum(row.is_told for row in rows)
    if state is None:
        return None if number else 0
    direct.keep(state, partial(logged, rows, after=state.head))
    return number


def event_data(said: Kept, *, hit: uuid.UUID, visitor: uuid.UUID | None, repeat: bool) -> str:
    """Return the JSON of a hit's event.

    Written out: `json.dumps` of the same dict takes three times as long. A test compares the two.
    """
    subs = said[4:9]
    return (
        f'{{"hit": "{hit}", "visitor": {_text(visitor)}, "repeat": {"true" if repeat else "false"}, '
        f'"click_id": {_json(said.click_id)}, "subs": {_subs(subs) if any(subs) else NO_SUBS}, '
        f'"landing": {_json(landing(said.entry_url))}, '
        f'"referrer_host": {_json(referrer_host(said.referer)) if said.referer else "null"}, '
        f'"device": "{said.device}"}}'
    )


def _subs(subs: Sequence[str]) -> str:
    return f"[{', '.join(_json(sub) for sub in subs)}]"


def _json(text: str | None) -> str:
    return encode_basestring_ascii(text) if text else "null"


def _text(visitor: uuid.UUID | None) -> str:
    return "null" if visitor is None else f'"{visitor}"'
