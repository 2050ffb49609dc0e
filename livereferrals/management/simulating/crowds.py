"""Visitors who come one after the other, at a rate, each in a browser of its own."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from livereferrals.management.simulating.browser import Browser, TurnedAway
from livereferrals.management.simulating.visits import Outcome, Visit

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from yarl import URL

    from livereferrals.management.simulating.journeys import Journey
    from livereferrals.management.simulating.visits import Person

AT_ONCE: Final = 200
"""Visitors at the same time at most."""
COME_BACK: Final = 0.2
"""How likely a visitor is to follow a link again."""
LOOK_ON: Final = 0.5
"""How likely a visitor is to look at another page."""
AGENTS: Final = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Mobile Safari/604.1",
    "Mozilla/5.0 (Linux; Android 16; Pixel 10) AppleWebKit/537.36 Chrome/141.0.0.0 Mobile Safari/537.36",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Likelihood:
    """How likely a visitor goes one step further."""

    sign_up: float = 0.3
    order: float = 0.6
    order_again: float = 0.15


class Crowd:
    """A stream of visitors."""

    def __init__(
        self,
        journey: Journey,
        *,
        base_url: URL,
        person: Callable[[int], Person],
        rate: float,
        chance: random.Random,
        pace: float = 1.0,
        likelihood: Likelihood | None = None,
        once: Collection[str] = (),
        tell: Callable[[str], None] = lambda _: None,
        at_once: int = AT_ONCE,
    ) -> None:
        """Nothing happens yet.

        Args:
            journey: what visitors do besides following.
            base_url: the site.
            person: gives the visitor of a number, from 1.
            rate: visitors that come in a second, on average: they come when they like.
            chance: what they leave to chance.
            pace: how many times faster than people they are.
            likelihood: how likely they go on.
            once: triggers that confirm a person but once, however often it does what they stand for.
            tell: is told what each of them does.
            at_once: visitors at the same time at most.
        """
        self.outcome = Outcome()
        self.done = 0
        """Visits that have ended."""
        self._journey = journey
        self._base_url = base_url
        self._person = person
        self._rate = rate
        self._chance = chance
        self._pace = pace
        self._likelihood = likelihood or Likelihood()
        self._once = once
        self._tell = tell
        self._at_once = at_once

    async def run(self, visitors: int | None = None) -> None:
        """Send this many visitors, or visitors until cancelled. Who is turned away is told of and counted."""
        seats = asyncio.Semaphore(self._at_once)
        loop = asyncio.get_running_loop()
        number, due = 0, loop.time()
        async with asyncio.TaskGroup() as visits:
            while visitors is None or number < visitors:
                number += 1
                await seats.acquire()
                # A chance of its own: what one does must not depend on how fast the site answers another.
                chance = random.Random(self._chance.getrandbits(64))  # noqa: S311 - play
                visits.create_task(self._visit(number, chance)).add_done_callback(lambda _: seats.release())
                due += self._chance.expovariate(self._rate)
                await asyncio.sleep(max(0.0, due - loop.time()))

    async def _visit(self, number: int, chance: random.Random) -> None:
        person = self._person(number)
        async with Browser(self._base_url, headers={"User-Agent": chance.choice(AGENTS)}) as browser:
            visit = Visit(person, browser, chance=chance, pace=self._pace, tell=self._tell)
            try:
                await self._go(visit)
            except TurnedAway as error:
                visit.outcome.turned_away[str(error)] += 1
                visit.tell(f"was turned away: {error}")
        for trigger in self._once:
            visit.outcome.confirmations[trigger] = min(1, visit.outcome.confirmations[trigger])
        self.outcome.add(visit.outcome)
        self.done += 1

    async def _go(self, visit: Visit) -> None:
        await visit.follow()
        while visit.will(LOOK_ON):
            await self._journey.browse(visit)
        while visit.will(COME_BACK):
            await visit.think()
            await visit.follow()
        if visit.will(self._likelihood.sign_up):
            await self._journey.sign_up(visit)
        if self._journey.needs_account and not visit.outcome.sign_ups:
            return
        likely = self._likelihood.order
        while visit.will(likely):
            await self._journey.order(visit)
            likely = self._likelihood.order_again
