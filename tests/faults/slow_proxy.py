"""A way to PostgreSQL that is long, and that can be blocked: a socket that passes bytes on, later."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOCKET = ".s.PGSQL.5432"
"""The name by which PostgreSQL's clients find it in a directory, at its usual port."""


class SlowProxy:
    """Listens in a directory, which takes the place of a host's name, and passes on to another such directory."""

    def __init__(self, directory: Path, *, to: Path) -> None:
        self.directory = directory
        self.delay_s = 0.0
        """How long everything that is said takes on its way, each way."""
        self._to = to / SOCKET
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="slow-proxy", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(60)

    def close(self) -> None:
        """Cut all connections and listen no more."""
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_unix_server(self._connect, self.directory / SOCKET)

    async def _cut(self) -> None:
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward = await asyncio.open_unix_connection(self._to)
        for source, target in ((reader, onward[1]), (onward[0], writer)):
            task = asyncio.create_task(self._pass_on(source, target))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError), contextlib.closing(target):
            while data := await source.read(65_536):
                await asyncio.sleep(self.delay_s)
                target.write(data)
                await target.drain()


@contextlib.contextmanager
def slow_proxy(directory: Path, *, to: Path) -> Iterator[SlowProxy]:
    """Run a proxy."""
    proxy = SlowProxy(directory, to=to)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.close()
