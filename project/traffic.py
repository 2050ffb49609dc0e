"""Simulated visitors: people who follow links, look round, sign up and buy, over real HTTP and at a human pace."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

ARRIVAL_S = 4.0
"""Mean time between two visitors."""
THINKING_S = (0.8, 4.0)
"""How long a person looks at a page."""
AT_ONCE = 20
"""Visitors at the same time at most."""
SIGN_UP, BUY, BUY_AGAIN, COME_BACK = 0.3, 0.6, 0.15, 0.2
"""How likely a visitor is to go one step further."""

AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Mobile Safari/604.1",
    "Mozilla/5.0 (Linux; Android 16; Pixel 10) AppleWebKit/537.36 Chrome/141.0.0.0 Mobile Safari/537.36",
)
NAMES = ("ada", "ben", "chloe", "dev", "elif", "finn", "grace", "hugo", "ines", "jonas", "kaya", "lena", "milo", "nora")
TEAS = ("assam", "darjeeling", "sencha", "rooibos")
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where visitors go; absolute URLs."""

    links: Sequence[str]
    sign_up: str
    buy: str


class Traffic:
    """A stream of visitors, each in a browser of its own."""

    def __init__(
        self, places: Places, *, chance: random.Random, tell: Callable[[str], None], pace: float = 1.0
    ) -> None:
        self.places = places
        self.chance = chance
        self.tell = tell
        self.pace = pace
        """How many times faster than people."""

    async def run(self) -> None:
        """Send visitors until cancelled. A visitor whom the server turns away is told of and forgotten."""
        seats = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as visits:
            while True:
                await seats.acquire()
                visits.create_task(self.visit()).add_done_callback(lambda _: seats.release())
                await asyncio.sleep(self.chance.expovariate(1 / ARRIVAL_S) / self.pace)

    async def visit(self) -> None:
        """Play one visitor from the link to the door."""
        name = f"{self.chance.choice(NAMES)}{self.chance.randrange(10_000)}"
        browser = aiohttp.ClientSession(
            headers={"User-Agent": self.chance.choice(AGENTS)},
            # Browsers keep cookies of addresses too; aiohttp only when asked.
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            timeout=aiohttp.ClientTimeout(total=30),
            raise_for_status=True,
        )
        async with browser:
            try:
                await self._shop(browser, name)
            except (aiohttp.ClientError, TimeoutError) as error:
                self.tell(f"{name} was turned away: {error!r}")

    async def _shop(self, browser: aiohttp.ClientSession, name: str) -> None:
        await self._follow(browser, name)
        while self._will(COME_BACK):
            await self._think()
            await self._follow(browser, name)
        if not self._will(SIGN_UP):
            return
        password = f"tea-{self.chance.randrange(10**9)}"
        await self._submit(browser, self.places.sign_up, username=name, password1=password, password2=password)
        self.tell(f"{name} signed up")
        likely = BUY
        while self._will(likely):
            tea = self.chance.choice(TEAS)
            await self._submit(browser, self.places.buy, tea=tea)
            self.tell(f"{name} bought {tea}")
            likely = BUY_AGAIN

    async def _follow(self, browser: aiohttp.ClientSession, name: str) -> None:
        link = self.chance.choice(self.places.links)
        await self._open(browser, link)
        self.tell(f"{name} followed {URL(link).relative()}")

    async def _submit(self, browser: aiohttp.ClientSession, url: str, **fields: str) -> None:
        """Open a page with a form, take the time to fill it in, and send it."""
        page = await self._open(browser, url)
        await self._think()
        token = TOKEN.search(page)
        fields["csrfmiddlewaretoken"] = token[1] if token else ""
        async with browser.post(url, data=fields, headers={"Referer": url}):
            pass

    async def _open(self, browser: aiohttp.ClientSession, url: str) -> str:
        async with browser.get(url) as answer:
            return await answer.text()

    async def _think(self) -> None:
        await asyncio.sleep(self.chance.uniform(*THINKING_S) / self.pace)

    def _will(self, likelihood: float) -> bool:
        return self.chance.random() < likelihood
