"""A steady load, which notes what it was answered: followers, shoppers, and readers of the feed."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NoReturn

import aiohttp

from livereferrals.client import FeedClient, Timing
from livereferrals.client.cursors import seq
from livereferrals.tracking import visitors
from tests.faults.accounting import Answered, Reading

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

    from livereferrals.client.address import Transport
    from tests.servers import HostServer

LINKS: Final = ("/ref/abc123?next=/page/", "/ref/qqq777?next=/page/")
COOKIE: Final = re.compile(r"livereferrals_visitor=([^;]+)")
TOKEN: Final = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
PASSWORD: Final = "correct horse battery staple"
AGENT: Final = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/142.0.0.0 Safari/537.36"}
PATIENCE: Final = aiohttp.ClientTimeout(total=30)
QUICK: Final = Timing(hello_s=5.0, base_s=0.2, cap_s=1.0, steady_s=2.0)
"""A client that comes back sooner than one that is polite to a server in trouble."""


class AwayError(Exception):
    """No answer, or none that says that it was done; it may have been."""


@dataclass(kw_only=True)
class Load:
    """Clients of any of the servers."""

    servers: Sequence[HostServer]
    chance: random.Random
    answered: Answered = field(default_factory=Answered)
    tallies: Counter[str] = field(default_factory=Counter)
    """How often what happened to clients."""
    pace_s: float = 0.2
    """How long a client rests, on average."""
    orders: int = 4
    """What a shopper buys before the next one comes."""
    is_closing: bool = False
    """Whether clients are to end, once what they have asked for last is answered."""
    _names: int = 0

    async def keep_following(self) -> None:
        """Follow the link, each time as a browser without a cookie, until the shop closes."""
        async with self._browser(aiohttp.DummyCookieJar()) as browser:
            while not self.is_closing:
                with contextlib.suppress(AwayError):
                    await self._follow(browser, self.chance.choice(LINKS))
                await self._rest()

    async def keep_shopping(self) -> None:
        """Follow the link, sign up and buy, each time as somebody else, until the shop closes."""
        while not self.is_closing:
            async with self._browser(aiohttp.CookieJar(unsafe=True)) as browser:
                with contextlib.suppress(AwayError):
                    await self._shop(browser)
            await self._rest()

    async def _rest(self) -> None:
        await asyncio.sleep(self.chance.expovariate(1 / self.pace_s))

    def _browser(self, jar: aiohttp.abc.AbstractCookieJar) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(cookie_jar=jar, headers=AGENT, timeout=PATIENCE)

    async def _follow(self, browser: aiohttp.ClientSession, link: str) -> None:
        answer = await self._ask(browser, link)
        cookie = COOKIE.match(answer.headers.get("Set-Cookie", ""))
        if answer.status == HTTPStatus.FOUND and cookie is not None:
            carried = visitors.read_cookie(cookie[1])
            assert carried is not None
            self.answered.visitors.append(str(carried.id))
            self.tallies["followed"] += 1
            return
        self.tallies["led on without a hit" if answer.status == HTTPStatus.FOUND else f"follow: {answer.status}"] += 1
        raise AwayError

    async def _shop(self, browser: aiohttp.ClientSession) -> None:
        self._names += 1
        name = f"shopper{self._names}"
        await self._follow(browser, LINKS[0])
        passwords = {"password1": PASSWORD, "password2": PASSWORD}
        if await self._submit(browser, "/signup/", username=name, **passwords) != HTTPStatus.FOUND:
            raise AwayError
        self.answered.registered.append(name)
        self.tallies["registered"] += 1
        for number in range(self.orders):
            if self.is_closing:
                return
            await self._rest()
            await self._buy(browser, f"{name}-{number}")

    async def _buy(self, browser: aiohttp.ClientSession, number: str) -> None:
        """Buy, and try again with the same number until it is answered: what was done without an answer counts once."""
        while True:
            with contextlib.suppress(AwayError):
                if (
                    await self._submit(browser, "/buy/", number=number, total="12.50", currency="EUR")
                    == HTTPStatus.CREATED
                ):
                    self.answered.orders.append(number)
                    self.tallies["ordered"] += 1
                    return
            await self._rest()

    async def _submit(self, browser: aiohttp.ClientSession, path: str, **fields: str) -> int:
        form = await self._ask(browser, path)
        found = TOKEN.search(form.text)
        if form.status != HTTPStatus.OK or found is None:
            self.tallies[f"{path}: {form.status}"] += 1
            raise AwayError
        answer = await self._ask(browser, path, data=fields | {"csrfmiddlewaretoken": found[1]})
        if answer.status >= HTTPStatus.BAD_REQUEST:
            self.tallies[f"{path}: {answer.status}"] += 1
        return answer.status

    async def _ask(self, browser: aiohttp.ClientSession, path: str, *, data: Mapping[str, str] | None = None) -> Answer:
        """Return the answer once all of it has been read."""
        url = self.chance.choice(self.servers).url(path)
        try:
            async with browser.request(
                "GET" if data is None else "POST", url, data=data, headers={"Referer": url}, allow_redirects=False
            ) as answer:
                return Answer(status=answer.status, headers=answer.headers, text=await answer.text(errors="replace"))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self.tallies["no answer"] += 1
            raise AwayError from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a browser was answered."""

    status: int
    headers: Mapping[str, str]
    text: str


class Effects:
    """Keeps the events and the cursor together, as a partner does who wants each event to have its effect once."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.cursor: str | None = None
        self.in_hand: list[tuple[int, str]] = []

    @property
    def place(self) -> int:
        """The number up to which everything was handled."""
        return 0 if self.cursor is None else seq(self.cursor)

    async def load(self) -> str | None:
        """Return where to go on; what was in hand is lost, as with a program that has crashed."""
        self.in_hand.clear()
        return self.cursor

    async def save(self, cursor: str) -> None:
        """Keep the cursor with what was handled up to it."""
        self.reading.events += [each for each in self.in_hand if each[0] <= seq(cursor)]
        self.in_hand = [each for each in self.in_hand if each[0] > seq(cursor)]
        self.cursor = cursor


@dataclass(kw_only=True)
class Reader:
    """A partner's program that reads the feed, comes back after any break, and crashes by itself at times."""

    load: Load
    token: str
    transport: Transport
    effects: Effects
    home: HostServer | None = None
    """The server that it never leaves by itself."""

    async def read_forever(self) -> NoReturn:
        """Read from one server for a while, go without a word, and go on at another one."""
        while True:
            stay_s = None if self.home else self.load.chance.uniform(0.5, 4.0)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(stay_s):
                    await self._read(self.home or self.load.chance.choice(self.load.servers))
            self.load.tallies["reader crashed"] += 1

    async def _read(self, server: HostServer) -> None:
        options: dict[str, Any] = {
            "store": self.effects,
            "transport": self.transport,
            "start": "oldest",
            "timing": QUICK,
        }
        async with FeedClient(server.url("/referrals/feed/v1"), self.token, **options) as feed:
            async for event in feed:
                self.effects.in_hand.append((seq(event.cursor), str(event.id)))
