"""What the suite asks of a server besides reading it: the `Driver`.

Most cases need something to happen on the server: a hit, a token that is revoked, a process that is killed. For our own
servers `tests.conformance.ours` does these things. For another server name a factory with `--driver`:

    pytest tests/conformance --base-url https://staging.example --driver mytests.feed.driver

That server keeps the protocol's defaults, but for three things that the cases name: it gives tickets two seconds
(`FEED_TICKET_AGE`), lists https://partner.example as the only origin, and counts failures from one address generously.

The factory is called with the base URL and gives an object with the methods below; the suite calls them from the event loop. Cases
whose method raises `NotImplementedError` are skipped, and so are, without a driver, all cases that need one.
"""

from __future__ import annotations

from typing import Any


class Driver:
    """Makes things happen on a server. `own` and `other` are two partners of the server's choice, new for each test."""

    async def token(self, *, of: str = "own", **terms: Any) -> str:
        """Make a token of `own`, `other` or `house`; terms: `scopes`, `links` (ids), `expires_in_s` (may be past)."""
        raise NotImplementedError

    async def revoke(self, token: str) -> None:
        """Revoke a token, in a process other than the one that the suite reads from where there are several."""
        raise NotImplementedError

    async def change(self, token: str, *, scopes: list[str]) -> None:
        """Change what a token may read."""
        raise NotImplementedError

    async def deactivate(self, *, of: str) -> None:
        """Make a partner inactive."""
        raise NotImplementedError

    async def append(self, count: int = 1, *, of: str = "own", **values: Any) -> list[str]:
        """Commit so many events in one transaction and return their ids, in order.

        Values: `type` (`hit`), `data` (merged into the event's data), `on_link` (on the partner's link), `hours_ago`.
        """
        raise NotImplementedError

    async def append_concurrently(self, transactions: int, *, each: int) -> None:
        """Commit so many transactions of `own`, several at a time."""
        raise NotImplementedError

    async def append_and_roll_back(self) -> None:
        """Write an event of `own` in a transaction that is rolled back."""
        raise NotImplementedError

    async def append_around_savepoint(self) -> str:
        """Write an event, and one in a savepoint that is rolled back; commit and return the first one's id."""
        raise NotImplementedError

    async def append_and_die(self) -> str:
        """Commit an event whose writer ends before it is numbered; return its id."""
        raise NotImplementedError

    async def append_slowly(self, *, meanwhile: Any) -> str:
        """Write an event, await `meanwhile()` while its transaction is open, commit, and return its id."""
        raise NotImplementedError

    async def link(self, *, of: str = "own") -> str:
        """Return the id of a partner's link."""
        raise NotImplementedError

    async def prune(self) -> None:
        """Remove all events there are from the log; those that come later stay."""
        raise NotImplementedError

    async def new_epoch(self) -> None:
        """Begin a new epoch, as after a restored backup."""
        raise NotImplementedError

    async def append_of_person(self) -> str:
        """Commit an event of `own` that tells of a person, with `user` and `visitor`; return its id."""
        raise NotImplementedError

    async def erase_person(self) -> None:
        """Erase the person of the last `append_of_person`."""
        raise NotImplementedError

    async def callback_bodies(self) -> list[bytes]:
        """Make a confirmation of `own`; return the bodies of the callbacks that its server gets, ids and all."""
        raise NotImplementedError

    def elsewhere(self) -> str:
        """Return the base URL of a second process that serves the same log."""
        raise NotImplementedError

    async def stop(self, *, hard: bool) -> None:
        """End the process that the suite reads from, by SIGTERM or by SIGKILL."""
        raise NotImplementedError

    async def start(self) -> None:
        """Start it again at its address."""
        raise NotImplementedError

    def log_text(self) -> str:
        """Return what the server has logged so far."""
        raise NotImplementedError
