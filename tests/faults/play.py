"""A shop under load, and the account of it: what every run has in common, whatever happens meanwhile.

play = Play.on([server], sink)
play.run(happen)                    # an async function, which may await `play.recovered()`
assert play.faults() == []
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from django.db import connections
from django.test import override_settings

from livereferrals.callbacks.models import Delivery
from livereferrals.events import log
from livereferrals.events.models import Event
from livereferrals.streaming import tokens
from tests.callbacks.running import LOOPBACK
from tests.factories import make_link, make_partner, make_subscription
from tests.faults.accounting import Reading, find_faults, report
from tests.faults.books import read_books
from tests.faults.load import Effects, Load, Reader
from tests.partner import Answer
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from livereferrals.client.address import Transport
    from livereferrals.tracking.models import Partner
    from tests.partner import PartnerSink
    from tests.servers import HostServer

AT_REST_WITHIN_S: Final = 90.0
"""How long it may take until everything that is owed is done."""
ANSWERED_AGAIN: Final = 5
"""Hits that are answered, and orders above none, before the shop counts as open again."""
THINKING_S: Final = 0.2
"""How long the partner's server takes: most of the time some callback is under way."""
TRIGGERS: Final = ("User registered", "Order paid")
TRANSPORTS: Final[tuple[tuple[bool, Transport], ...]] = ((True, "ws"), (True, "poll"), (False, "ws"), (False, "sse"))
"""The readers: whether it is the partner's or the house's, which reads everything; and how it reads."""


@dataclass(kw_only=True)
class Play:
    """Who follows, shops and reads, and who is called."""

    load: Load
    readers: list[Reader]
    sink: PartnerSink
    partner: Partner
    followers: int = 3
    shoppers: int = 2
    _said: str = field(default="", repr=False)
    _left: list[str] = field(default_factory=list, repr=False)

    @classmethod
    def on(cls, servers: Sequence[HostServer], sink: PartnerSink, *, seed: int = 1, pace_s: float = 0.05) -> Self:
        """Make a partner that is called for both triggers, another one with a link, and clients of these servers."""
        partner, other = make_partner(uid="moox6esi", name="Acme"), make_partner(name="Other")
        make_link(partner=partner, identifier="abc123")
        make_link(partner=other, identifier="qqq777")
        with override_settings(LIVEREFERRALS={"CALLBACKS": {"WORKER": "off", "ALLOW": LOOPBACK}}):
            for number, trigger in enumerate(TRIGGERS):
                url = sink.url(f"/{number}")
                make_subscription(partner=partner, trigger=trigger, callback_url=url, allow_plain_http=True)
        sink.default = Answer(delay_s=THINKING_S)
        load = Load(servers=servers, chance=random.Random(seed), pace_s=pace_s)  # noqa: S311 - a load, not a secret
        readers = [_reader(load, partner if is_partners else None, how) for is_partners, how in TRANSPORTS]
        # Where readers come and go, what reads the log for them is made anew each time; for these it has to recover.
        readers += [_reader(load, None, "ws", home=server) for server in servers]
        connections.close_all()
        return cls(load=load, readers=readers, sink=sink, partner=partner)

    def run(self, happen: Callable[[], Awaitable[None]]) -> None:
        """Keep up the load while things happen, then wait until all that is owed is done."""
        asyncio.run(self._run(happen))
        self.load.answered.calls = [
            (call.headers["webhook-id"], call.body.decode()) for call in self.sink.calls if "webhook-id" in call.headers
        ]
        self.load.answered.readings = [reader.effects.reading for reader in self.readers]

    async def _run(self, happen: Callable[[], Awaitable[None]]) -> None:
        async with asyncio.TaskGroup() as group:
            reading = [group.create_task(reader.read_forever()) for reader in self.readers]
            clients = [group.create_task(self.load.keep_following()) for _ in range(self.followers)]
            clients += [group.create_task(self.load.keep_shopping()) for _ in range(self.shoppers)]
            await happen()
            # What they have asked for last may be done after they have gone, when nobody reads of it any more.
            self.load.is_closing = True
            await asyncio.wait(clients)
            await self._rest()
            for task in reading:
                task.cancel()

    async def recovered(self) -> None:
        """Return when browsers have been answered again, and an order was taken."""
        before = self.load.tallies.copy()

        def is_so() -> bool:
            now = self.load.tallies
            return now["followed"] > before["followed"] + ANSWERED_AGAIN and now["ordered"] > before["ordered"]

        await eventually(is_so, timeout_s=120, what="Hits and orders that are answered again")

    async def _rest(self) -> None:
        """Return when all is numbered, delivered and read; what is not by then is the account's to tell."""
        with contextlib.suppress(AssertionError):
            await eventually(lambda: asyncio.to_thread(self._is_at_rest), timeout_s=AT_REST_WITHIN_S)

    def _is_at_rest(self) -> bool:
        try:
            self._left = list(self._unfinished())
        finally:
            connections.close_all()
        return not self._left

    def _unfinished(self) -> Iterator[str]:
        """Give what is still to be done, asked for in the order in which the one makes the other."""
        for row in Delivery.objects.exclude(state="delivered").values("id", "state", "due_at", "attempts", "lost"):
            yield f"a delivery: {row}"
        if numberless := Event.objects.filter(seq__isnull=True).count():
            yield f"{numberless} events without a number"
        head = log.bounds().head
        for reader in self.readers:
            if reader.effects.place < head:
                yield f"a reader by {reader.transport} that is at {reader.effects.place} of {head}"

    def faults(self) -> list[str]:
        """Return what is lost, doubled or out of order."""
        books = read_books()
        faults = find_faults(self.load.answered, books)
        tallies = ", ".join(f"{what}: {number}" for what, number in sorted(self.load.tallies.items()))
        left = "".join(f"Not at rest: {text}\n" for text in self._left[:20])
        self._said = f"{tallies}\n{left}{report(self.load.answered, books, faults)}"
        return faults

    def account(self) -> str:
        """Return the account in words, once `faults` has made it."""
        return self._said


def _reader(load: Load, partner: Partner | None, transport: Transport, *, home: HostServer | None = None) -> Reader:
    _, token = tokens.issue(name=transport, partner=partner)
    effects = Effects(Reading(topic=None if partner is None else partner.uid))
    return Reader(load=load, token=token, transport=transport, effects=effects, home=home)
