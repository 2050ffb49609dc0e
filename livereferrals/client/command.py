"""Prints a feed's events as JSON lines and keeps its cursor in a file.

    LIVEREFERRALS_FEED_TOKEN=lrf_... python -m livereferrals.client https://shop.example/referrals/feed/v1

An event's cursor is stored when its line has been written, so that after any end of either side the next run goes on
with no line missing; the last one may come twice.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, Final

from livereferrals.client.address import TRANSPORTS
from livereferrals.client.cursors import is_cursor
from livereferrals.client.errors import FeedStopped
from livereferrals.client.feed import FeedClient
from livereferrals.client.stores import FileCursorStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from livereferrals.client.events import Event

TOKEN_VARIABLE: Final = "LIVEREFERRALS_FEED_TOKEN"  # noqa: S105 - a name, no token
OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
REFUSED: Final = 3
CURSOR: Final = 4
STOPPED: Final = 5
EXIT_CODES: Final = {4501: REFUSED, 4503: REFUSED, 4510: CURSOR, 4511: CURSOR, 4512: CURSOR, 4513: CURSOR}
EPILOGUE: Final = f"""\
The token is read from the environment variable {TOKEN_VARIABLE}.

exit codes: 0 ended by SIGINT or SIGTERM, or nobody reads the output any more; 1 a file cannot be read or written;
2 wrong usage; 3 the token is refused; 4 the cursor cannot be honoured (see --on-gap); 5 stopped by the server.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    logging.basicConfig(
        stream=sys.stderr, level=logging.DEBUG if given.verbose else logging.WARNING, format="%(message)s"
    )
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        parser.error(f"set {TOKEN_VARIABLE} to the feed token")
    try:
        feed = _client(given, token)
    except ValueError as error:
        parser.error(str(error))
    try:
        return asyncio.run(_run(feed))
    except KeyboardInterrupt:
        return OK
    except (OSError, ValueError) as error:
        return _say(f"livereferrals.client: {error}", FAILED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m livereferrals.client",
        description="Print the events of a feed as JSON lines.",
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", help="the feed's address, such as https://shop.example/referrals/feed/v1")
    parser.add_argument(
        "--cursor-file",
        default="feed.cursor",
        help="where the cursor is kept (default: feed.cursor, in this directory)",
    )
    parser.add_argument("--types", type=_listed, help="event types, separated by commas (default: all)")
    parser.add_argument("--links", type=_listed, help="ids of links, separated by commas (default: all)")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--since", help="at the first start: a time to begin at, such as 2026-11-21T08:00:00Z")
    place.add_argument(
        "--start",
        default="newest",
        type=_start,
        help="at the first start: newest (default), oldest or a cursor; later the file says it",
    )
    parser.add_argument(
        "--on-gap",
        choices=("stop", "oldest"),
        default="stop",
        help="when events can no longer be had: stop (default), or go on from the oldest that is left",
    )
    parser.add_argument("--transport", choices=TRANSPORTS, default="auto", help="default: auto, a WebSocket")
    parser.add_argument("--verbose", action="store_true", help="tell every change of state on stderr")
    return parser


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _start(text: str) -> str:
    if text in {"newest", "oldest"} or is_cursor(text):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is not newest, oldest or a cursor such as k3f9.1840")


def _client(given: argparse.Namespace, token: str) -> FeedClient:
    return FeedClient(
        given.url,
        token,
        store=FileCursorStore(given.cursor_file),
        start=given.start,
        since=given.since,
        types=given.types,
        links=given.links,
        on_gap=given.on_gap,
        transport=given.transport,
    )


async def _run(feed: FeedClient) -> int:
    printing = asyncio.ensure_future(_print_all(feed))
    loop = asyncio.get_running_loop()

    def end(number: signal.Signals) -> None:
        # The next one ends the process at once, should the output be stuck.
        loop.remove_signal_handler(number)
        printing.cancel()

    if os.name == "posix":  # elsewhere an interrupt is an exception
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, end, number)
    try:
        return await printing
    except asyncio.CancelledError:
        return OK


async def _print_all(feed: FeedClient) -> int:
    try:
        async with feed:
            async for event in feed:
                await asyncio.to_thread(_print, event)
    except BrokenPipeError:
        # What is left in the buffer must not be flushed at exit: that would fail again, with a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except FeedStopped as stop:
        return _say(f"livereferrals.client: {stop}{_hint(stop)}", EXIT_CODES.get(stop.close or 0, STOPPED))
    return OK


def _print(event: Event) -> None:
    sys.stdout.write(f"{json.dumps(event.raw, separators=(',', ':'))}\n")
    sys.stdout.flush()


def _hint(stop: FeedStopped) -> str:
    if stop.close in {4510, 4511}:
        return f"\nEvents are missing. To go on from the oldest that is left ({stop.oldest}), use --on-gap oldest."
    return ""


def _say(text: str, code: int) -> int:
    sys.stderr.write(f"{text}\n")
    return code
