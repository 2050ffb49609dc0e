"""Chromium, somebody signed in, and a page that fails its test on anything the browser complains about."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from channels.db import database_sync_to_async
from django.conf import settings
from django.test import Client
from playwright.async_api import async_playwright, expect

from tests.factories import make_staff, make_user
from tests.servers import daphne_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response
    from pytest_django import DjangoDbBlocker

    from tests.servers import HostServer

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-background-networking"]
OVERVIEW = "/referrals/"
POLL_S = 0.2
"""How often the server's hub looks for what a test has written past it."""

expect.set_options(timeout=60_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run all of these tests on the loop on which the one browser lives."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@dataclass
class Guard:
    """What the browser complained about, and the requests that it made."""

    complaints: list[str] = field(default_factory=list)
    tolerated: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Listen to a page from its first request on."""
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        page.on("request", self._request)
        page.on("response", self._response)

    def tolerate(self, *parts: str) -> None:
        """Let complaints pass that contain one of these: a test that kills the server provokes some."""
        self.tolerated.extend(parts)

    def unexpected(self) -> list[str]:
        """Return the complaints that no test has provoked."""
        return [text for text in self.complaints if not any(part in text for part in self.tolerated)]

    def _console(self, message: ConsoleMessage) -> None:
        # Violations of the content security policy and htmx's own errors come this way too.
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def _request(self, request: Request) -> None:
        self.requests.append(request.url)

    def _response(self, response: Response) -> None:
        if response.status >= 500:
            self.complaints.append(f"{response.status}: {response.url}")


SETTINGS = {"FEED_POLL_INTERVAL": POLL_S, "CALLBACKS": {"WORKER": "off"}}


@pytest.fixture(scope="module")
def daphne(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[HostServer]:
    """One daphne for a module's tests; it sends nothing to partners by itself."""
    with django_db_blocker.unblock(), daphne_server(LIVEREFERRALS=SETTINGS) as running:
        yield running


@pytest.fixture
def server(transactional_db: None, daphne: HostServer) -> Iterator[HostServer]:
    """That daphne, with the test's rows; a test that kills it and fails leaves the next one a living one."""
    yield daphne
    if not daphne.is_running:
        daphne.start()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The system's Chromium."""
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        await chromium.close()


@pytest.fixture
def guard() -> Iterator[Guard]:
    """Fails the test if the browser complained or spoke to a foreign host."""
    guard = Guard()
    yield guard
    assert guard.unexpected() == []
    assert {urlsplit(url).hostname for url in guard.requests if not url.startswith("data:")} <= {"127.0.0.1"}


@dataclass
class Desk:
    """Somebody signed in before a browser."""

    browser: Browser
    server: HostServer
    guard: Guard
    contexts: list[BrowserContext] = field(default_factory=list)

    async def context(self, *, superuser: bool = True, **options: Any) -> BrowserContext:
        """Open a browser window, signed in as a new superuser or as somebody without any permission."""
        context = await self.browser.new_context(**options)
        self.contexts.append(context)
        session = await database_sync_to_async(sign_in)(superuser=superuser)
        await context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": self.server.url()}])
        return context

    async def open(self, path: str = OVERVIEW, *, live: bool = True, **options: Any) -> Page:
        """Open a page of the dashboard in a new window, and wait until it is live."""
        context = await self.context(**options)
        page = await context.new_page()
        self.guard.watch(page)
        await page.goto(self.server.url(path))
        if live:
            await expect(page.locator("#status")).to_have_attribute("data-state", "live")
        return page

    async def close(self) -> None:
        """Close all windows: pages that are left open go on asking the server, test after test."""
        for context in self.contexts:
            await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def desk(browser: Browser, server: HostServer, guard: Guard) -> AsyncIterator[Desk]:
    """Somebody signed in, whose pages are watched."""
    desk = Desk(browser, server, guard)
    yield desk
    await desk.close()


def sign_in(*, superuser: bool) -> str:
    """Return the session key of a new user."""
    client = Client()
    client.force_login(make_staff() if superuser else make_user())
    return client.cookies[settings.SESSION_COOKIE_NAME].value
