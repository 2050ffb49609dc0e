"""Raw aiohttp: one session, 50 loops that POST as fast as they can; no database.

    python -m benchmarks.baselines.raw_aiohttp --requests 20000 [--keep-alive] PORT...

A connection for each request, as the callbacks have it, or kept-alive ones for the record. Prints its CPU time as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
import uuid
from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPS = 50
BODY = json.dumps({"v": 1, "type": "confirmation", "data": dict.fromkeys("abcdefgh", "x" * 36)}).encode()


async def post(session: aiohttp.ClientSession, urls: Iterator[str]) -> None:
    """Take one URL after the other, and POST."""
    for url in urls:
        async with session.post(url, data=BODY) as response:
            await response.read()


async def run(*, ports: list[int], requests: int, keep_alive: bool) -> None:
    """Make all requests."""
    urls = (f"http://127.0.0.1:{ports[number % len(ports)]}/hook/{uuid.uuid4()}" for number in range(requests))
    connector = aiohttp.TCPConnector(limit=0, force_close=not keep_alive)
    timeout = aiohttp.ClientTimeout(total=15)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        begun = time.process_time()
        await asyncio.gather(*(post(session, urls) for _ in range(LOOPS)))
        print(json.dumps({"cpu_s": time.process_time() - begun}), flush=True)  # noqa: T201


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ports", type=int, nargs="+")
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--keep-alive", action="store_true")
    options = parser.parse_args()
    asyncio.run(run(ports=options.ports, requests=options.requests, keep_alive=options.keep_alive))


if __name__ == "__main__":
    main()
