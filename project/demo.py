"""The demo: one command that fills the shop, starts its server and a partner's, sends visitors, and cleans up.

    python -m project.demo          PORT=8000 TRAFFIC=on TRAFFIC_PACE=1, and what project.settings reads

What it makes stays in `.demo/`; the next start goes on from there.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING

import aiohttp

from project import kept
from project.access import access, links, welcome
from project.receiver import Receiver
from project.traffic import crowd

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

READY_S = 60
"""How long the server may take to answer."""
STOP_S = 30
"""How long the server may take to stop: its worker lets calls in flight end."""
PORT_S = 10
"""How long to wait for a port that a demo before this one is still leaving."""
PAUSE_S = 0.1


class DemoError(Exception):
    """The demo cannot go on; the message is for the person who started it."""


def say(line: str = "") -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def eventually(is_so: Callable[[], Awaitable[bool]], *, within_s: float) -> bool:
    """Return whether something becomes so in time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while True:
                if await is_so():
                    return True
                await asyncio.sleep(PAUSE_S)
    return False


async def wait_for_port(port: int) -> None:
    """Return when the port is free.

    Raises:
        DemoError: somebody else keeps it.
    """

    async def is_free() -> bool:
        with socket.socket() as probe:
            # Connections of a demo before this one that are not quite over do not count, for the server neither.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
            return True

    if not await eventually(is_free, within_s=PORT_S):
        raise DemoError(f"Port {port} is in use. Stop what uses it, or take another one: make demo PORT={port + 1}")


async def manage(*arguments: str) -> str:
    """Run one of Django's commands and return what it printed.

    Raises:
        DemoError: it failed.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "manage.py", *arguments, cwd=kept.ROOT, stdout=PIPE, stderr=PIPE
    )
    try:
        printed, problems = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise DemoError(f"manage.py {arguments[0]} failed:\n{problems.decode()}")
    return printed.decode()


@asynccontextmanager
async def partner_server() -> AsyncIterator[Receiver]:
    """Play the partner's server, at the same address as last time if that is free."""
    receiver = Receiver(kept.DIRECTORY / "calls.jsonl")
    await receiver.start(kept.recall("receiver_port"))
    kept.keep("receiver_port", receiver.port)
    try:
        yield receiver
    finally:
        await receiver.stop()


@asynccontextmanager
async def server(port: int, log: Path) -> AsyncIterator[Process]:
    """Run the shop's server; it is stopped by its process id and waited for."""
    with log.open("ab") as lines:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "project.server", str(port), cwd=kept.ROOT, stdin=PIPE, stdout=lines, stderr=lines
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_S)
            except TimeoutError:
                process.kill()
                await process.wait()


async def wait_until_ready(base_url: str, process: Process, log: Path) -> None:
    """Return when the server answers.

    Raises:
        DemoError: it ended, or is silent for too long.
    """

    async def has_answered_or_ended() -> bool:
        with suppress(aiohttp.ClientError):
            async with session.get(f"{base_url}/healthz") as answer:
                return answer.status == HTTPStatus.OK
        return process.returncode is not None

    async with aiohttp.ClientSession() as session:
        answered = await eventually(has_answered_or_ended, within_s=READY_S)
    if not answered or process.returncode is not None:
        raise DemoError(f"The server did not start. The end of {log}:\n{last_lines(log)}")


def last_lines(log: Path) -> str:
    """Return the end of the server's log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])


@asynccontextmanager
async def visitors(base_url: str, where: Sequence[str]) -> AsyncIterator[None]:
    """Send visitors to these links while the block runs, if there are any."""
    if not where:
        yield
        return
    pace = float(os.environ.get("TRAFFIC_PACE") or 1)
    traffic = crowd(base_url, where, chance=random.Random(), tell=lambda line: say(f"  {line}"), pace=pace)  # noqa: S311 - play
    stream = asyncio.create_task(traffic.run())
    try:
        yield
    finally:
        stream.cancel()
        with suppress(asyncio.CancelledError):
            await stream


async def run(port: int, *, with_traffic: bool) -> None:
    """Run the demo until cancelled, or until its server ends.

    Raises:
        DemoError: it cannot start, or the server ended by itself.
    """
    base_url = f"http://127.0.0.1:{port}"
    log = kept.DIRECTORY / "server.log"
    await wait_for_port(port)
    async with partner_server() as receiver:
        say("Preparing the database ...")
        made = json.loads(await manage("fill_demo", receiver.url))
        kept.keep("callback_url", receiver.url)
        async with server(port, log) as process:
            say(f"Starting the server, process {process.pid} ...")
            await wait_until_ready(base_url, process, log)
            keys = access(base_url, made, receiver)
            kept.write_private(kept.ACCESS, keys)
            say(welcome(keys))
            try:
                async with visitors(base_url, links(keys, made) if with_traffic else []):
                    ended = await process.wait()
            finally:
                kept.ACCESS.unlink(missing_ok=True)
    raise DemoError(f"The server ended by itself with {ended}; its last words are in {log}.")


async def main() -> int:
    """Run until SIGINT or SIGTERM, and return the exit status."""
    kept.DIRECTORY.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept.ACCESS.unlink(missing_ok=True)
    demo = asyncio.create_task(
        run(int(os.environ.get("PORT") or 8000), with_traffic=os.environ.get("TRAFFIC", "on") != "off")
    )
    stopping = asyncio.Event()

    def stop() -> None:
        # make and the terminal may both pass the signal on: the second one must not cut the clean-up short.
        if not stopping.is_set():
            stopping.set()
            say("\nStopping ...")
            demo.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        await demo
    except asyncio.CancelledError:
        return 0
    except DemoError as error:
        if stopping.is_set():
            return 0
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
