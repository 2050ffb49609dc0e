"""How a hub looks at the log: at what this process has just numbered itself, or at the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from livereferrals.events import hints
from livereferrals.streaming import reading

if TYPE_CHECKING:
    from livereferrals.events.log import Bounds


class Looking:
    """The looks of one hub."""

    def __init__(self) -> None:
        self.is_owed = False
        """Whether the log itself is to be looked at next, hint or not.

        Where hints come from other processes too, the last one may have been both theirs and ours.
        """

    async def look(self, bounds: Bounds | None, *, after: int, number: bool) -> reading.Look:
        """Return what lies after `after`; without `bounds`, where the log stands. A thread hop, or nothing.

        Args:
            bounds: the log at the last look.
            after: up to where the hub has handed out everything.
            number: whether events that nobody has numbered are to be numbered first.
        """
        if bounds is not None and not number and not self.is_owed:
            found = reading.look_at_fresh(bounds, after=after)
            if found is not None:
                self.is_owed = hints.crosses_processes()
                return found
        self.is_owed = False
        return await reading.in_hub_thread(reading.look, None if bounds is None else after, number=number)
