"""The server that plays the partner: answers every request with 204 and writes it down."""

from __future__ import annotations

import json
from collections import deque
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from pathlib import Path

CALLS_KEPT = 5000
"""Calls that are remembered; older ones are forgotten."""


class Receiver:
    """A partner's server on loopback. What it was sent survives a restart, as in a partner's books."""

    def __init__(self, book: Path) -> None:
        self.book = book
        self.calls: deque[dict[str, Any]] = deque(_read(book), maxlen=CALLS_KEPT)
        self.port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """The address that is called back; every path below it is answered too."""
        return f"http://127.0.0.1:{self.port}/callback"

    @property
    def log_url(self) -> str:
        """The address of the list of calls."""
        return f"http://127.0.0.1:{self.port}/log"

    async def start(self, port: int | None) -> None:
        """Listen on the given port, or on a free one when it is taken."""
        app = web.Application()
        app.router.add_get("/log", self._show)
        app.router.add_route("*", "/{path:.*}", self._receive)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        try:
            site = web.TCPSite(self._runner, "127.0.0.1", port or 0)
            await site.start()
        except OSError:
            site = web.TCPSite(self._runner, "127.0.0.1", 0)
            await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _show(self, request: web.Request) -> web.Response:
        return web.json_response(list(self.calls))

    async def _receive(self, request: web.Request) -> web.Response:
        call = {
            "time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "method": request.method,
            "path": request.rel_url.raw_path,
            "query": request.rel_url.raw_query_string,
            "headers": dict(request.headers),
            "body": (await request.read()).decode(errors="replace"),
        }
        self.calls.append(call)
        with self.book.open("a") as book:
            book.write(json.dumps(call) + "\n")
        return web.Response(status=HTTPStatus.NO_CONTENT)


def _read(book: Path) -> list[dict[str, Any]]:
    """Return the newest calls of earlier runs, and shorten the book to them."""
    if not book.exists():
        return []
    lines = [line for line in book.read_text().splitlines() if line.endswith("}")][-CALLS_KEPT:]
    book.write_text("".join(f"{line}\n" for line in lines))
    return [json.loads(line) for line in lines]
