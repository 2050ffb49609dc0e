"""A partner's page reads the feed with a ticket: the JavaScript client in a real browser."""

from __future__ import annotations

import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from channels.db import database_sync_to_async
from playwright.async_api import expect

from tests.frontend.test_bundle import npm, run
from tests.streaming.conftest import Reader, make_reader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.async_api import Browser

    from tests.browser.conftest import Guard
    from tests.servers import HostServer

__all__ = ["npm"]

pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]

PAGE = """<!doctype html>
<title>A partner's page</title>
<output id="state"></output>
<ol id="events"></ol>
<script type="module">
  import { connectFeed, storageStore } from "/partner/feed-client.js";
  const getTicket = async () => (await (await fetch("/partner/ticket", { method: "POST" })).json()).ticket;
  const options = { url: "FEED", getTicket, store: storageStore(localStorage), transport: "TRANSPORT" };
  const feed = connectFeed(options);
  const state = document.querySelector("#state");
  feed.addEventListener("state", ({ detail }) => { state.value = detail.state; });
  for await (const event of feed) {
    const line = document.createElement("li");
    line.textContent = event.id;
    document.querySelector("#events").append(line);
  }
</script>
"""


@pytest.fixture(scope="module")
def bundle(npm: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built client."""
    place = tmp_path_factory.mktemp("bundle")
    built = run(npm, "run", "--silent", "build", "--workspace=feed-client", "--", "--out", str(place))
    assert built.returncode == 0, built.stderr
    return place / "feed-client.js"


class Partner(ThreadingHTTPServer):
    """The partner's own server, on another origin than the feed: its page, and tickets for it."""

    def __init__(self, server: HostServer, token: str, bundle: Path, transport: str) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        page = PAGE.replace("TRANSPORT", transport).replace("FEED", server.url("/referrals/feed/v1"))
        self.files = {
            "/": ("text/html", page.encode()),
            "/partner/feed-client.js": ("text/javascript", bundle.read_bytes()),
            "/favicon.ico": ("image/x-icon", b""),
        }
        self.ticket_url = server.url("/referrals/feed/v1/ticket")
        self.token = token

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def ticket(self) -> bytes:
        """Change the token, which no page sees, for a ticket."""
        headers = {"Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(self.ticket_url, method="POST", headers=headers)  # noqa: S310 - our own server
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
            body: bytes = answer.read()
            return body


class Answering(BaseHTTPRequestHandler):
    """One request to the partner's server."""

    server: Partner

    def do_GET(self) -> None:
        self._answer(*self.server.files[self.path])

    def do_POST(self) -> None:
        self._answer("application/json", self.server.ticket())

    def log_message(self, *args: object) -> None:
        """Be quiet."""

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def reader(transactional_db: None) -> Reader:
    return make_reader()


@pytest.fixture(params=["ws", "sse"])
def partner(request: pytest.FixtureRequest, server: HostServer, reader: Reader, bundle: Path) -> Iterator[Partner]:
    """The partner's running server, whose page uses one of the transports."""
    with Partner(server, reader.token, bundle, request.param) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join(60)


async def test_page_with_a_ticket_receives_events_and_misses_none_while_it_is_left(
    browser: Browser, guard: Guard, partner: Partner, reader: Reader
) -> None:
    """feed-11, feed-59"""
    append = database_sync_to_async(reader.append)
    page = await browser.new_page()
    guard.watch(page)
    await page.goto(partner.url)
    await expect(page.locator("#state")).to_have_text("live")
    rows = await append(2)
    await expect(page.locator("#events li")).to_have_text([str(row.id) for row in rows])
    await page.goto("about:blank")
    missed = await append(1)
    await page.goto(partner.url)
    await expect(page.locator("#events li")).to_have_text([str(missed[0].id)])
    assert not [url for url in guard.requests if reader.token in url]
    await page.close()
