"""The demo's visitors: people who follow all links in every form, look round, sign up and buy, at a human pace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yarl import URL

from livereferrals.management.simulating import Crowd, Journey, Person
from project.shop.catalogue import TEAS

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from livereferrals.management.simulating import Visit

ARRIVAL_S = 4.0
"""Mean time between two visitors."""
AT_ONCE = 20
"""Visitors at the same time at most."""
NAMES = ("ada", "ben", "chloe", "dev", "elif", "finn", "grace", "hugo", "ines", "jonas", "kaya", "lena", "milo", "nora")


class TeaDrinkers(Journey):
    """What visitors of the shop do. Needs no Django: the demo sends them from a process of its own."""

    sign_up_page = "/signup/"
    order_page = "/buy/"
    sign_up_trigger = "User registered"
    order_trigger = "Order paid"

    async def order(self, visit: Visit) -> None:
        """Buy some tea."""
        tea = visit.chance.choice(list(TEAS))
        await self.fill_in(visit, f"/buy/?tea={tea}")
        visit.ordered(tea, trigger=self.order_trigger)


def crowd(
    base_url: str, links: Sequence[str], *, chance: random.Random, tell: Callable[[str], None], pace: float
) -> Crowd:
    """Return visitors who follow these links, `pace` times faster than people."""

    def person(number: int) -> Person:
        name = f"{chance.choice(NAMES)}{chance.randrange(1_000_000)}"
        password = f"tea-{chance.randrange(10**9)}"
        return Person(
            name=name, email=f"{name}@example.invalid", password=password, links=[URL(link) for link in links]
        )

    return Crowd(
        TeaDrinkers(),
        base_url=URL(base_url),
        person=person,
        rate=pace / ARRIVAL_S,
        chance=chance,
        pace=pace,
        tell=tell,
        at_once=AT_ONCE,
    )
