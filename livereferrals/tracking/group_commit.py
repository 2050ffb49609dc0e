"""Hits in groups: while one transaction commits, the next hits gather, and share one too.

    recorded = await get_group().record(draft)

No timer: a lone hit is written at once, and the more come at a time, the more share a commit. Every caller waits for the
commit of its own hit (L-10). A thread writes them; on PostgreSQL the event loop itself, except for what needs more than one
statement.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from asgiref.sync import sync_to_async
from django.db import connections, router, transaction

from livereferrals.events.publisher import publisher
from livereferrals.exceptions import HitNotRecordedError
from livereferrals.signals import hit_recorded
from livereferrals.tracking.desks import LateError, Limits, NoRoomError
from livereferrals.tracking.drafts import Recorded
from livereferrals.tracking.grouping import Grouping
from livereferrals.tracking.losses import HitLoss, Losses, why
from livereferrals.tracking.models import ReferralHit
from livereferrals.tracking.writing import Hits, loop_hits

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from livereferrals.tracking.drafts import HitDraft
    from livereferrals.tracking.loop_writing import LoopHits
    from livereferrals.tracking.writing import Outcome

LIMITS: Final = Limits(most=512, room=4096)
"""Hits in one transaction, and hits that may wait."""


TELLING: Final = Limits(most=1, room=128)
"""Batches of hits that the host is told of at a time; a host that is slower than its visitors slows the writing down."""


class Attempt(NamedTuple):
    """A hit for the thread."""

    draft: HitDraft
    tried: uuid.UUID | None = None
    """The id under which it may be there already."""


class HitGroup:
    """The hits of this process that are to be written; for any number of event loops."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.losses = Losses()
        """What has not become a hit."""
        self._limits = limits
        self._hits = Hits()
        self._loops: dict[asyncio.AbstractEventLoop, LoopHits | None] = {}
        self._latest: tuple[asyncio.AbstractEventLoop | None, LoopHits | None] = (None, None)
        self._grouping: Grouping[Attempt, Recorded] = Grouping(
            "livereferrals-hits", self._write, limits=limits, afterwards=self._tell
        )
        self._telling: Grouping[Sequence[uuid.UUID], None] = Grouping(
            "livereferrals-hits-told", _tell_host, limits=TELLING
        )

    async def record(self, draft: HitDraft) -> Recorded:
        """Return when the hit is committed. A caller that is cancelled does not take its hit back.

        Raises:
            HitNotRecordedError: it is lost; that has been logged with the link's identifier, and counted.
        """
        if publisher.is_inline:
            return await sync_to_async(self._record_here)(draft)
        try:
            return await self._written(draft)
        except NoRoomError:
            reason = HitLoss.OVERLOAD
        except LateError:
            reason = HitLoss.LATE
        self.losses.note(reason, draft.link.identifier, loop=asyncio.get_running_loop())
        raise HitNotRecordedError(reason)

    @property
    def takes_from_threads(self) -> bool:
        """Whether the hit of the thread that asks may be written by another one.

        Not inside a transaction, which it would outlive, nor where the host listens: it is told in its request's own
        thread, as ever.
        """
        if publisher.is_inline or hit_recorded.has_listeners(ReferralHit):
            return False
        return not connections[router.db_for_write(ReferralHit)].in_atomic_block

    def record_from_thread(self, draft: HitDraft) -> Recorded:
        """Return when the hit is committed, to a thread that may wait: those of a threaded server share commits too.

        Raises:
            HitNotRecordedError: as `record`.
        """
        try:
            return self._grouping.ask_from_thread(Attempt(draft))
        except NoRoomError:
            reason = HitLoss.OVERLOAD
        except LateError:
            reason = HitLoss.LATE
        self.losses.tell({(reason, draft.link.identifier): 1})
        raise HitNotRecordedError(reason)

    def close(self) -> None:
        """Write what is queued, tell of it, and give the connections back; the next hit begins anew."""
        self._close_loops(only_closed=False)
        self._grouping.close()
        self._telling.close()

    async def _written(self, draft: HitDraft) -> Recorded:
        hits = None if draft.visitor is not None and draft.consent else self._on_this_loop()
        if hits is None:
            return await self._grouping.ask(Attempt(draft))
        began = asyncio.get_running_loop().time()
        recorded = await hits.record(draft)
        if isinstance(recorded, Recorded):
            return recorded
        # A visitor stands behind both: the time that has gone by on the loop counts.
        return await self._grouping.ask(Attempt(draft, recorded), since=began)

    def _on_this_loop(self) -> LoopHits | None:
        """Return what writes hits on the running event loop; nothing where only threads can."""
        loop = asyncio.get_running_loop()
        latest, hits = self._latest
        if latest is not loop:
            hits = self._of_loop(loop)
            self._latest = loop, hits
        return hits

    def _of_loop(self, loop: asyncio.AbstractEventLoop) -> LoopHits | None:
        if loop not in self._loops:
            self._close_loops(only_closed=True)
            self._loops[loop] = loop_hits(loop, limits=self._limits, tell=self._tell_from_loop, abandon=self._take_over)
        return self._loops[loop]

    def _close_loops(self, *, only_closed: bool) -> None:
        for loop in [loop for loop in self._loops if loop.is_closed() or not only_closed]:
            if (hits := self._loops.pop(loop)) is not None:
                hits.close()
        self._latest = None, None

    def _take_over(self, draft: HitDraft, tried: uuid.UUID | None) -> None:
        self._grouping.put(Attempt(draft, tried))

    async def _tell_from_loop(self, hits: Sequence[uuid.UUID], numbered: int | None) -> None:
        _publish(numbered)
        if hit_recorded.has_listeners(ReferralHit):
            await asyncio.to_thread(self._telling.give, hits)

    # --- in the thread ----------------------------------------------------------------------------------------------------

    def _write(self, attempts: Sequence[Attempt]) -> list[Recorded | Exception]:
        drafts, tried = zip(*attempts, strict=True)
        return self._judged(drafts, self._hits.write(drafts, tried=tried))

    def _judged(self, drafts: Sequence[HitDraft], outcomes: Sequence[Outcome]) -> list[Recorded | Exception]:
        """Return the outcomes, what failed as the error that the one who asked gets; the losses are told of."""
        lost: Counter[tuple[HitLoss, str]] = Counter()
        judged: list[Recorded | Exception] = []
        error: Exception | None = None
        for draft, outcome in zip(drafts, outcomes, strict=True):
            if isinstance(outcome, Recorded):
                judged.append(outcome)
                continue
            reason = why(outcome)
            lost[reason, draft.link.identifier] += 1
            judged.append(HitNotRecordedError(reason))
            error = outcome
        if lost:
            self.losses.tell(lost, error=error)
        return judged

    def _tell(self, outcomes: Sequence[Recorded | Exception]) -> None:
        """Have the events numbered, and the host told, after the answers are out."""
        hits = [outcome.hit_id for outcome in outcomes if isinstance(outcome, Recorded)]
        if not hits:
            return
        _publish(self._hits.numbered)
        if not self._hits.tells and hit_recorded.has_listeners(ReferralHit):
            self._telling.give(hits)

    # --- in the caller's own thread and transaction -----------------------------------------------------------------------

    def _record_here(self, draft: HitDraft) -> Recorded:
        """Record one hit where nothing else sees the rows: in tests, and on a database in memory."""
        hits = Hits()
        (outcome,) = self._judged([draft], hits.write([draft]))
        if isinstance(outcome, Exception):
            raise outcome
        alias = router.db_for_write(ReferralHit)
        transaction.on_commit(lambda: _publish(hits.numbered), using=alias, robust=True)
        if not hits.tells:
            transaction.on_commit(lambda: _tell_host([[outcome.hit_id]]), using=alias, robust=True)
        return outcome


def _publish(numbered: int | None) -> None:
    """Have so many events told of, or those that wait for their numbers numbered first."""
    if numbered is None:
        publisher.wake()
    elif numbered:
        publisher.tell(numbered)


def _tell_host(told: Sequence[Sequence[uuid.UUID]]) -> list[None]:
    """Send `hit_recorded` for each hit, as the plain way does: with its rows, read back. One query."""
    ids = [hit for hits in told for hit in hits]
    rows = ReferralHit.objects.using(router.db_for_write(ReferralHit)).select_related(
        "link__partner", "partner", "visitor", "user"
    )
    found = rows.in_bulk(ids)
    for hit in (found[each] for each in ids if each in found):  # one may have been erased meanwhile
        hit_recorded.send_robust(ReferralHit, hit=hit, link=hit.link, visitor=hit.visitor, user=hit.user)
    return [None] * len(told)


_group = HitGroup()


def get_group() -> HitGroup:
    """Return this process's group of hits."""
    return _group
