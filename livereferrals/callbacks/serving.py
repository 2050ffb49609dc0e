"""What a worker remembers of the endpoints that it serves, and which deliveries it starts next. No I/O."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from livereferrals.callbacks.reading import READ_AHEAD

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from livereferrals.callbacks.leasing import Lease
    from livereferrals.callbacks.reading import Ready
    from livereferrals.callbacks.turns import Turn

LONGEST_SERVICE_S: Final = 30.0
"""After this an endpoint is given back, if others wait for their turn."""
SLOW_S: Final = 1.0
"""A request that has had no answer for so long makes its endpoint a doubtful one."""


@dataclass(slots=True, kw_only=True)
class Served:
    """One endpoint that this worker holds."""

    lease: Lease
    since: float
    """Monotonic time of the lease."""
    until: float
    """Monotonic time at which the lease is over, renewals included."""
    ready: deque[Ready] = field(default_factory=deque)
    in_flight: dict[uuid.UUID, float] = field(default_factory=dict)
    """Monotonic time of the start, oldest first."""
    room: int
    """Requests at the same time."""
    origin: str
    has_more: bool = False
    """The last reading was full: there is more where it came from."""
    is_leaving: bool = False
    """Nothing more is started; it is released once nothing is in flight."""
    only_tests: bool = False
    """It is on hold: nothing but tests is read and started."""
    is_failing: bool = False
    """Its last call has failed."""
    is_proven: bool = False
    """It has answered under this lease."""
    is_alone: bool = False
    """What is in flight has been lost before: nothing else starts, so that the third loss condemns the right one."""

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do here."""
        return not self.in_flight and (self.is_leaving or not self.ready)

    @property
    def is_hungry(self) -> bool:
        """Whether less than half of the read-ahead is left."""
        return not (self.is_leaving or self.only_tests) and len(self.ready) < READ_AHEAD // 2

    def is_doubtful(self, now: float) -> bool:
        """Whether it may be hanging: it fails, it is slow, or it has not answered yet."""
        return self.is_failing or not self.is_proven or self.is_slow(now)

    def is_slow(self, now: float) -> bool:
        """Whether a request has been under way for long."""
        return any(now - since > SLOW_S for since in self.in_flight.values())

    def add(self, found: Sequence[Ready]) -> None:
        """Take in what was read; what is known already is not taken twice."""
        self.has_more = len(found) >= READ_AHEAD
        known = {ready.id for ready in self.ready} | self.in_flight.keys()
        self.ready.extend(ready for ready in found if ready.id not in known)

    def add_tests(self, found: Sequence[Ready]) -> None:
        """Take in tests: they go first, in their order."""
        known = {ready.id for ready in self.ready} | self.in_flight.keys()
        self.ready.extendleft(reversed([ready for ready in found if ready.id not in known]))

    def wishes(self) -> list[uuid.UUID]:
        """Return what could start now, in order."""
        if self.is_leaving or self.is_alone or not self.ready:
            return []
        if self.ready[0].lost:
            return [] if self.in_flight else [self.ready[0].id]
        wished: list[uuid.UUID] = []
        for ready in self.ready:
            if ready.lost or len(wished) + len(self.in_flight) >= self.room:
                break
            wished.append(ready.id)
        return wished


def half(seats: int) -> int:
    """Return the part of some seats that endpoints which fail or hang may have together."""
    return max(1, seats // 2)


@dataclass(slots=True, kw_only=True)
class _Left:
    """What may still be started in one dealing out."""

    slots: int
    doubtful: int
    per_origin: int
    origins: Counter[str]
    """Requests under way, by origin."""
    doubtful_at: Counter[str]
    """Those of doubtful endpoints among them."""

    def take(self, origin: str, *, is_doubtful: bool, is_first: bool) -> bool:
        """Take one slot, if there is one of this kind."""
        if self.origins[origin] >= self.per_origin:
            return False
        is_used_up = self.doubtful <= 0 or self.doubtful_at[origin] >= half(self.per_origin)
        if is_doubtful and is_used_up and not is_first:
            return False
        self.origins[origin] += 1
        self.slots -= 1
        self.doubtful -= is_doubtful
        self.doubtful_at[origin] += is_doubtful
        return True


class Board:
    """All endpoints that a worker serves."""

    def __init__(self, *, slots: int, per_origin: int) -> None:
        self.slots = slots
        self.per_origin = per_origin
        self.served: dict[int, Served] = {}
        self.in_flight = 0
        self._origins: Counter[str] = Counter()
        self._first = 0

    @property
    def free_slots(self) -> int:
        """Requests that may still start."""
        return self.slots - self.in_flight

    @property
    def room(self) -> int:
        """Endpoints that may still be leased: never more than there are slots."""
        return min(self.free_slots, self.slots - len(self.served))

    @property
    def share_of_doubtful(self) -> int:
        """Requests that endpoints which fail or hang may have under way together."""
        return half(self.slots)

    @property
    def room_for_failing(self) -> int:
        """Failing endpoints that may still be leased."""
        return self.share_of_doubtful - sum(served.is_failing for served in self.served.values())

    def tokens(self) -> dict[int, uuid.UUID]:
        """Return the lease of each endpoint."""
        return {key: served.lease.token for key, served in self.served.items()}

    def add(self, leases: Iterable[Lease], *, now: float) -> None:
        """Take in new leases; what was taken only to clean up is released in the same round."""
        for lease in leases:
            self.served[lease.endpoint] = Served(
                lease=lease,
                since=now,
                until=lease.until,
                room=lease.room,
                origin=lease.origin,
                only_tests=not lease.is_open,
                is_failing=lease.is_failing,
                is_leaving=not (lease.is_open or lease.may_test),
            )

    def hungry(self, *, only_more: bool = False) -> list[int]:
        """Return the endpoints to read; `only_more`: those that are known to have more."""
        return [key for key, served in self.served.items() if served.is_hungry and (served.has_more or not only_more)]

    def due_for_renewal(self, *, now: float, below_s: float) -> list[int]:
        """Return the endpoints whose lease is over in less than this."""
        return [key for key, served in self.served.items() if served.until - now < below_s]

    def wishes(self, *, now: float) -> dict[int, list[uuid.UUID]]:
        """Return what to start: one of each endpoint in turn, until the slots are used up.

        Endpoints that fail, hang or have not answered yet share half of the slots, and half of those of their origin, so
        that they cannot keep the others waiting; one that is not known to be bad gets its first request all the same.
        """
        queues = {key: deque(served.wishes()) for key, served in self._in_turn()}
        doubtful = {key for key in queues if self.served[key].is_doubtful(now)}
        doubtful_at: Counter[str] = Counter()
        for key in doubtful:
            doubtful_at[self.served[key].origin] += len(self.served[key].in_flight)
        left = _Left(
            slots=self.free_slots,
            doubtful=self.share_of_doubtful - doubtful_at.total(),
            per_origin=self.per_origin,
            origins=self._origins.copy(),
            doubtful_at=doubtful_at,
        )
        wished: dict[int, list[uuid.UUID]] = {}
        while left.slots > 0 and (filled := [key for key, queue in queues.items() if queue]):
            for key in filled[: left.slots]:
                served = self.served[key]
                is_first = not (served.in_flight or key in wished or served.is_failing)
                if left.take(served.origin, is_doubtful=key in doubtful, is_first=is_first):
                    wished.setdefault(key, []).append(queues[key].popleft())
                else:
                    queues[key].clear()
        return wished

    def tests(self, wished: Mapping[int, Iterable[uuid.UUID]]) -> set[uuid.UUID]:
        """Return which of these are tests."""
        return {ready.id for key in wished for ready in self.served[key].ready if ready.is_test}

    def _in_turn(self) -> list[tuple[int, Served]]:
        """Return the endpoints, each round beginning with another one."""
        every = list(self.served.items())
        self._first = (self._first + 1) % max(1, len(every))
        return every[self._first :] + every[: self._first]

    def learn(self, done: Turn) -> None:
        """Take in what a turn found and started."""
        for key in done.gone:
            self.served.pop(key, None)
        for key, stand in done.stands.items():
            if (served := self.served.get(key)) is None:
                continue
            served.until, served.room, served.origin = stand.until, stand.room, stand.origin
            served.is_failing = stand.is_failing
            served.ready = deque(ready for ready in served.ready if ready.id not in done.considered)
            if not (stand.may_test if served.only_tests else stand.may_send):
                served.is_leaving = True

    def start(self, key: int, delivery: uuid.UUID, *, is_alone: bool, now: float) -> str:
        """Count a request; returns the origin under which it is counted."""
        served = self.served[key]
        served.in_flight[delivery] = now
        served.is_alone = served.is_alone or is_alone
        self.in_flight += 1
        self._origins[served.origin] += 1
        return served.origin

    def end(self, key: int, delivery: uuid.UUID, *, origin: str, answered: bool) -> None:
        """Count a request as over; `answered`: the server has said something, whatever it was."""
        self.in_flight -= 1
        self._origins[origin] -= 1
        if not self._origins[origin]:
            del self._origins[origin]
        served = self.served.get(key)
        if served is not None:
            served.in_flight.pop(delivery, None)
            served.is_proven = served.is_proven or answered
            served.is_alone = served.is_alone and bool(served.in_flight)

    def let_go(self, *, now: float, others_wait: bool) -> None:
        """Have endpoints that were served long enough leave, if others wait."""
        for served in self.served.values():
            if others_wait and now - served.since > LONGEST_SERVICE_S:
                served.is_leaving = True

    def leave_all(self) -> None:
        """Start nothing any more."""
        for served in self.served.values():
            served.is_leaving = True

    def pop_idle(self, *, unsettled: Collection[int]) -> dict[int, uuid.UUID]:
        """Take out the endpoints with nothing to do and no result to be written; return them with their lease."""
        idle = [key for key, served in self.served.items() if served.is_idle and key not in unsettled]
        return {key: self.served.pop(key).lease.token for key in idle}
