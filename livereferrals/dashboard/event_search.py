"""The newest events that match: each question is answered by an index, or within a bounded part of the log.

What one index answers in the order of the log (everything, a rare type, a partner, a link) is looked for in all of it. What
none does (a text, or two filters at once) is looked for in the newest `WINDOW` numbers only, and that is said.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db.models import F, Q
from django.db.models.functions import Mod

from livereferrals.dashboard.scoping import visible
from livereferrals.events.models import Event, EventType

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable
    from datetime import datetime

    from django.db.models import QuerySet

    from livereferrals.dashboard.access import Rights

NEWEST: Final = 50
WINDOW: Final = 20_000
"""Numbers of the log that are looked through where no index has the answer."""
SECOND: Final = timedelta(seconds=1)
PER_SECOND: Final = 10
"""Events of one second that somebody can read; of more a sample is shown."""
COUNTED: Final = 5_000
"""Events of the last second are counted to here."""
ONE_BY_ONE: Final = 10
"""Partners whose events are looked for one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events are looked for."""

    upto: int
    """The newest number that counts."""
    rights: Rights
    types: tuple[EventType, ...] = ()
    """None: all."""
    partners: tuple[str, ...] | None = None
    """Uids that the viewer may see; nothing: of whichever partner."""
    link: uuid.UUID | None = None
    texts: tuple[str, ...] = field(default=())
    """At most one: what reference, trigger, landing page or link contain."""

    @property
    def is_bounded(self) -> bool:
        """Whether only the newest `WINDOW` numbers are looked through."""
        narrowing = [bool(self.types), self._owners() is not None, self.link is not None, bool(self.texts)]
        if self.texts or sum(narrowing) > 1:
            return True
        return EventType.HIT in self.types or len(self._owners() or ()) > ONE_BY_ONE

    def _owners(self) -> tuple[str, ...] | None:
        """Return the partners to look among; a link is one partner's anyway."""
        if self.link is not None:
            return None
        if self.partners is not None:
            return self.partners
        return None if self.rights.partners is None else tuple(sorted(self.rights.partners))

    def matching(self) -> QuerySet[Event]:
        """Return every event that matches, however long it takes to find them."""
        found = visible(Event.objects.filter(seq__lte=self.upto), rights=self.rights)
        if self.types:
            found = found.filter(type__in=self.types)
        if self.partners is not None:
            found = found.filter(partner__in=self.partners)
        if self.link is not None:
            found = found.filter(link=self.link)
        for text in self.texts:
            found = found.filter(_contains(text))
        return found

    def parts(self) -> list[QuerySet[Event]]:
        """Return queries that together find the newest that match, each of them quickly."""
        if self.is_bounded:
            return [self.matching().filter(seq__gt=self.upto - WINDOW)]
        everything = Event.objects.filter(seq__lte=self.upto)
        owners = self._owners()
        if self.types:
            # As the index of rare types has it: else the database would not see that it fits.
            return [everything.filter(type=kind).exclude(type=EventType.HIT) for kind in self.types]
        if owners is not None:
            return [everything.filter(partner=uid) for uid in owners]
        return [self.matching()]


def _contains(text: str) -> Q:
    found = Q(link_identifier__icontains=text)
    for name in ("reference", "trigger", "landing"):
        found |= Q(**{f"data__{name}__icontains": text})
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The newest events that match, or a sample of them."""

    seqs: tuple[int, ...]
    """Newest first, at most `NEWEST`."""
    unseen: int = 0
    """How many more there were in the last second; 0: every one is shown."""
    is_much: bool = False
    """Whether there were even more than that."""


def find(wanted: Wanted, *, now: datetime) -> Found:
    """Return the newest that match, at most 50, at most about 10 of a second. One query for each part, and one or two."""
    every = newest(wanted.parts())
    fresh = _since(wanted, now - SECOND, seqs=every)
    if len(fresh) <= PER_SECOND:
        return Found(seqs=every)
    step = _step(len(fresh))
    shown = newest([_sample(part, step, upto=wanted.upto) for part in wanted.parts()])
    return Found(seqs=shown, unseen=len(set(fresh) - set(shown)), is_much=len(fresh) >= COUNTED)


def newest(parts: Iterable[QuerySet[Event]]) -> tuple[int, ...]:
    """Return the numbers of the newest events of these queries, newest first, at most `NEWEST`. One query for each."""
    found = [seq for part in parts for seq in part.order_by("-seq").values_list("seq", flat=True)[:NEWEST]]
    return tuple(sorted((seq for seq in found if seq is not None), reverse=True)[:NEWEST])


def _since(wanted: Wanted, moment: datetime, *, seqs: tuple[int, ...]) -> list[int]:
    """Return the numbers that were given after this moment, at most `COUNTED`; numbers are given in the order of time."""
    if not seqs:
        return []
    recent = wanted.matching().filter(seq__gt=wanted.upto - COUNTED, numbered_at__gt=moment)
    return [seq for seq in recent.values_list("seq", flat=True) if seq is not None]


def _step(count: int) -> int:
    """Return which part of the hits is shown, every 2nd, 4th, 8th: a pace that wavers leaves the same rows standing."""
    step = 1
    while count > step * PER_SECOND:
        step *= 2
    return step


def _sample(part: QuerySet[Event], step: int, *, upto: int) -> QuerySet[Event]:
    """Return every so many of the hits, and all else that happened meanwhile."""
    recent = part.filter(seq__gt=upto - step * NEWEST).alias(place=Mod(F("seq"), step))
    return recent.filter(~Q(type=EventType.HIT) | Q(place=0))
