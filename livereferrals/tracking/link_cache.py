"""Links in memory, so that following one costs no query: bounded, and dropped as soon as a link changes.

    link = await get_links().afind("abc123")

A change in this process, or in another one over the host's channel layer, is seen at once; without a channel layer
within `FRESH_S`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from livereferrals.tracking.links import KnownLink

FRESH_S: Final = 2.0
"""How long what was read is believed."""


class LinkCache:
    """The links that were followed lately, unknown identifiers too."""

    async def afind(self, identifier: str) -> KnownLink | None:
        """Return the link of this identifier, case-sensitively, counting or not; `None`: unknown.

        From memory without a pause, else one query in a thread for all that are asked for meanwhile.

        Raises:
            django.db.Error: the database does not answer.
        """
        raise NotImplementedError

    async def afind_home(self, uid: str) -> KnownLink | None:
        """Return the home link of the partner of this uid; `None`: unknown."""
        raise NotImplementedError

    def find(self, identifier: str) -> KnownLink | None:
        """Return what `afind` returns; for a thread, in which it may query."""
        raise NotImplementedError

    def drop(self) -> None:
        """Forget everything, here and now."""
        raise NotImplementedError


_links = LinkCache()


def get_links() -> LinkCache:
    """Return this process's links."""
    return _links
