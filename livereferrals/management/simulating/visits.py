"""One simulated visitor: a person with a browser, and what became of the visit."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from livereferrals.management.simulating.browser import TurnedAway

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping, Sequence

    from yarl import URL

    from livereferrals.management.simulating.browser import Browser, Page
    from livereferrals.management.simulating.forms import Field, Form

THINKING_S: Final = (0.8, 4.0)
"""How long a person looks at a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who visits."""

    name: str
    """What the person calls itself where it signs up."""
    email: str
    password: str
    links: Sequence[URL]
    """The links that it may follow."""


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What visits have come to, by what the site has answered."""

    visitors: int = 0
    """Who followed at least one link."""
    hits: int = 0
    sign_ups: int = 0
    orders: int = 0
    confirmations: Counter[str] = field(default_factory=Counter)
    """What should have been confirmed, by trigger."""
    turned_away: Counter[str] = field(default_factory=Counter)
    """Visits that ended too soon, by why."""

    def add(self, other: Outcome) -> None:
        """Add what another visit has come to."""
        self.visitors += other.visitors
        self.hits += other.hits
        self.sign_ups += other.sign_ups
        self.orders += other.orders
        self.confirmations += other.confirmations
        self.turned_away += other.turned_away


class Visit:
    """What a journey is given to act with."""

    def __init__(
        self, person: Person, browser: Browser, *, chance: random.Random, pace: float, tell: Callable[[str], None]
    ) -> None:
        self.person = person
        self.browser = browser
        self.chance = chance
        self.outcome = Outcome()
        self._pace = pace
        self._tell = tell
        self._typed = 0

    async def follow(self) -> None:
        """Follow one of the person's links.

        Raises:
            TurnedAway: the answer is an error, or leads nowhere.
        """
        link = self.chance.choice(self.person.links)
        page = await self.browser.open(link)
        if not page.redirects:
            raise TurnedAway(f"GET {link.path}: {page.status}, where a link leads on")
        self.outcome.hits += 1
        self.outcome.visitors = 1
        self.tell(f"followed {link.path}")

    async def open(self, path: str) -> Page:
        """Open a page of the site, and look at it."""
        page = await self.browser.open(path)
        await self.think()
        return page

    async def send(self, page: Page, form: Form, typed: Mapping[str, str]) -> Page:
        """Take the time to fill a form in, and send it."""
        await self.think()
        return await self.browser.send(page, form, typed)

    def signed_up(self, *, trigger: str | None) -> None:
        """Note that the person has made an account, which should have confirmed a trigger; none: nothing."""
        self.outcome.sign_ups += 1
        self._expect(trigger)
        self.tell("signed up")

    def ordered(self, what: str = "something", *, trigger: str | None) -> None:
        """Note that the person has placed an order, which should have confirmed a trigger; none: nothing."""
        self.outcome.orders += 1
        self._expect(trigger)
        self.tell(f"bought {what}")

    def will(self, likelihood: float) -> bool:
        """Whether the person goes on."""
        return self.chance.random() < likelihood

    async def think(self) -> None:
        """Look at what is there."""
        await asyncio.sleep(self.chance.uniform(*THINKING_S) / self._pace)

    def tell(self, what: str) -> None:
        """Say what the person has done."""
        self._tell(f"{self.person.name} {what}")

    def typed(self, fields: Sequence[Field]) -> dict[str, str]:
        """Return what the person types into empty fields: what it is called, its address, its password, else some text."""
        return {each.name: self._text(each) for each in fields if each.required or each.kind in ("email", "password")}

    def _expect(self, trigger: str | None) -> None:
        if trigger is not None:
            self.outcome.confirmations[trigger] += 1

    def _text(self, empty: Field) -> str:
        if empty.kind == "password":
            return self.person.password
        if empty.kind == "email" or "mail" in empty.name.lower():
            return self.person.email
        if "name" in empty.name.lower() or "login" in empty.name.lower():
            return self.person.name
        self._typed += 1
        return str(self._typed) if empty.kind in ("number", "tel") else f"{self.person.name}-{self._typed}"
