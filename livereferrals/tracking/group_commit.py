"""Hits in groups: while one transaction commits, the next hits gather, and share one too.

    recorded = await get_group().record(draft)

No timer: a lone hit is written at once, and the more come at a time, the more share a commit. Every caller waits for the
commit of its own hit (L-10).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from livereferrals.tracking.drafts import HitDraft, Recorded


class HitGroup:
    """The hits of this process that are to be written; for any number of event loops."""

    async def record(self, draft: HitDraft) -> Recorded:
        """Return when the hit is committed. A caller that is cancelled does not take its hit back.

        Raises:
            HitNotRecordedError: it is lost; that has been logged with the link's identifier, and counted.
        """
        raise NotImplementedError


_group = HitGroup()


def get_group() -> HitGroup:
    """Return this process's group of hits."""
    return _group
