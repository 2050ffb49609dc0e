"""What slow partners and a long backlog cost the callbacks: `python -m benchmarks.backlogs slow|backlog [--postgres]`.

slow     a partner that hangs and one that answers a byte a second, with deliveries waiting behind them: how long after
         its commit a delivery to the other partners arrives, with the slow ones and without
backlog  deliveries that are all due, worked off by `manage.py livereferrals worker --once`: the rate, the worker's
         memory, and the time of its leases, reads and turns at the beginning and at the end

The partners' server is a process of its own and answers at once. SQLite lies on the disk of the tests.
"""

from __future__ import annotations

import argparse
import asyncio
import atexit
import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from benchmarks.ground import prepared, resident_kib

if TYPE_CHECKING:
    from collections.abc import Iterator

    from livereferrals.callbacks.models import Subscription

HEALTHY = 20
FAST = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
WORK = ("lease", "read", "turn")


# --- the partners' server ----------------------------------------------------------------------------------------------


async def serve() -> None:
    """Answer: `/hang` never, `/drip` a byte a second, anything else at once. SIGTERM prints who arrived when."""
    arrived: list[tuple[str, float]] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            at = time.time()
            if "/hang" in head[:40]:
                await reader.read()
            elif "/drip" in head[:40]:
                for byte in FAST:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(1)
            else:
                found = re.search(r"webhook-id: (\S+)", head, re.IGNORECASE)
                arrived.append((found[1] if found else "", at))
                writer.write(FAST)
                await writer.drain()
        writer.close()

    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    server = await asyncio.start_server(converse, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    await over.wait()
    print(json.dumps(arrived), flush=True)  # noqa: T201
    os._exit(0)


class Partners:
    """The server's process."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "benchmarks.backlogs", "serve"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own command
        assert self._process.stdout is not None  # noqa: S101
        self.port = int(self._process.stdout.readline())
        # Also where the benchmark fails.
        atexit.register(self._process.kill)

    def end(self) -> dict[str, float]:
        """End the server; return when each delivery arrived first."""
        self._process.send_signal(signal.SIGTERM)
        output, _ = self._process.communicate(timeout=60)
        return dict(reversed(json.loads(output)))


# --- rows ----------------------------------------------------------------------------------------------------------------


def subscribe(partners: Partners, path: str, **options: Any) -> Subscription:
    """Return a new partner's subscription to a path of the server."""
    from tests.callbacks.running import subscribe as make

    return make(f"http://127.0.0.1:{partners.port}{path}", **options)


def pile_up(subscription: Subscription, *, rows: int) -> None:
    """Let so many deliveries be due, one after the other, since an hour ago."""
    from django.utils import timezone

    from livereferrals import ids
    from livereferrals.callbacks.models import Delivery
    from tests.callbacks.running import owe

    first = owe(subscription)
    begun, known = timezone.now() - timedelta(hours=1), {**(first.payload or {}), "cursor": "bench.1"}
    Delivery.objects.filter(pk=first.pk).delete()
    for start in range(0, rows, 5000):
        Delivery.objects.bulk_create(
            Delivery(
                id=ids.new_uuid(),
                subscription=subscription,
                confirmation_id=first.confirmation_id,
                event=ids.new_uuid(),
                payload=known,
                due_at=begun + timedelta(milliseconds=number),
                created_at=begun,
            )
            for number in range(start, min(rows, start + 5000))
        )


def analyse() -> None:
    """Have the database know its tables, as its own upkeep does."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


# --- slow partners --------------------------------------------------------------------------------------------------------


def stream(partners: Partners, *, seconds: float, rate: float) -> list[float]:
    """Owe deliveries to healthy partners at a steady rate; return how long each took to arrive, in ms."""
    from livereferrals.callbacks.models import Delivery
    from tests.callbacks.running import owe
    from tests.waiting import wait_until

    healthy = [subscribe(partners, f"/fast{number}") for number in range(HEALTHY)]
    committed: dict[str, float] = {}
    begun = time.monotonic()
    for number in range(int(seconds * rate)):
        time.sleep(max(0.0, begun + number / rate - time.monotonic()))
        delivery = owe(healthy[number % HEALTHY])
        committed[str(delivery.pk)] = time.time()
    wait_until(lambda: not Delivery.objects.filter(pk__in=committed, attempts=0).exists(), timeout_s=60)
    time.sleep(1)
    arrived = partners.end()
    return [(arrived[ident] - at) * 1000 for ident, at in committed.items()]


def slow(rows: int, seconds: float, rate: float) -> None:
    """Compare healthy partners' deliveries without and with two slow partners."""
    from livereferrals.callbacks.models import Delivery, DeliveryAttempt
    from tests.callbacks.running import running_worker

    for with_slow in (False, True):
        # Servers of their own: one origin gets `PER_ORIGIN` requests, whatever its subscriptions.
        partners, hanging, dripping = Partners(), Partners(), Partners()
        if with_slow:
            for server, path in ((hanging, "/hang"), (dripping, "/drip")):
                pile_up(subscribe(server, path, max_in_flight=32), rows=rows // 2)
        analyse()
        with running_worker():
            time.sleep(2)
            taken = sorted(stream(partners, seconds=seconds, rate=rate))
        for server in (hanging, dripping):
            server.end()
        quantiles = statistics.quantiles(taken, n=100)
        say(
            slow_partners=with_slow,
            deliveries=len(taken),
            p50_ms=round(quantiles[49], 1),
            p99_ms=round(quantiles[98], 1),
            worst_ms=round(taken[-1], 1),
            attempts_at_slow=Delivery.objects.filter(confirmation__isnull=False, attempts__gt=0).count() - len(taken),
        )
        DeliveryAttempt.objects.all().delete()
        Delivery.objects.all().delete()


# --- a backlog ------------------------------------------------------------------------------------------------------------


class Scrape:
    """A worker's figures at one moment."""

    def __init__(self, port: int, pid: int) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        self.at = time.monotonic()
        self.kib = resident_kib(pid)
        self.calls = self._sum(text, r"callback_attempts_total\{.*\}")
        self.seconds = {work: self._sum(text, rf'callback_database_seconds_sum\{{work="{work}"\}}') for work in WORK}
        self.counts = {work: self._sum(text, rf'callback_database_seconds_count\{{work="{work}"\}}') for work in WORK}

    @staticmethod
    def _sum(text: str, name: str) -> float:
        return sum(float(value) for value in re.findall(rf"livereferrals_{name} (\S+)", text))

    def since(self, before: Scrape) -> dict[str, float]:
        """Return mean times in ms, and the rate, between two moments."""
        found = {
            f"{work}_ms": round(
                1000 * (self.seconds[work] - before.seconds[work]) / max(1, self.counts[work] - before.counts[work]), 2
            )
            for work in WORK
        }
        return found | {"calls_s": round((self.calls - before.calls) / (self.at - before.at))}


def backlog(rows: int, endpoints: int) -> None:
    """Work off a backlog with one worker process."""
    from tests.ports import own_port
    from tests.servers import server_environment

    partners, port = Partners(), own_port()
    for number in range(endpoints):
        pile_up(subscribe(partners, f"/p{number}", max_in_flight=32), rows=rows // endpoints)
    analyse()
    command = [sys.executable, "manage.py", "livereferrals", "-v", "0", "worker", "--once", "--metrics-port", str(port)]
    begun = time.monotonic()
    environment = server_environment(LOGGING={"version": 1})
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
    scrapes: deque[Scrape] = deque()
    while process.poll() is None:
        with contextlib.suppress(OSError):
            scrapes.append(Scrape(port, process.pid))
            say(calls=scrapes[-1].calls, private_mib=round(scrapes[-1].kib / 1024, 1), **_lately(scrapes))
        time.sleep(5)
    if process.returncode:
        raise SystemExit("The worker has failed.")
    arrived = partners.end()
    working = [scrape for scrape in scrapes if scrape.calls]
    if len(working) < 3:
        raise SystemExit("The backlog was gone before it could be watched: take more --rows.")
    tenth = max(1, len(working) // 5)
    say(
        rows=rows,
        delivered=len(arrived),
        seconds=round(time.monotonic() - begun, 1),
        first=working[tenth].since(working[0]),
        last=working[-1].since(working[-1 - tenth]),
        private_mib=(round(working[0].kib / 1024, 1), round(working[-1].kib / 1024, 1)),
    )


def _lately(scrapes: deque[Scrape]) -> dict[str, float]:
    return scrapes[-1].since(scrapes[-2]) if len(scrapes) > 1 else {}


def say(**facts: Any) -> None:
    """Print one line of figures."""
    print(json.dumps(facts), flush=True)  # noqa: T201


@contextlib.contextmanager
def database(*, postgres: bool) -> Iterator[None]:
    """Prepare the tables in SQLite, or in a PostgreSQL that lives as long as the run."""
    with contextlib.ExitStack() as stack:
        if postgres:
            from tests.servers import postgres_server

            os.environ["TEST_DATABASE_URL"] = stack.enter_context(postgres_server())
        stack.enter_context(prepared())
        from django.test import override_settings

        from tests.callbacks.running import LOOPBACK

        stack.enter_context(override_settings(LIVEREFERRALS={"CALLBACKS": {"WORKER": "off", "ALLOW": LOOPBACK}}))
        yield


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["slow", "backlog", "serve"])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--endpoints", type=int, default=HEALTHY)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rate", type=float, default=20, help="deliveries a second to healthy partners")
    parser.add_argument("--postgres", action="store_true")
    options = parser.parse_args()
    if options.what == "serve":
        asyncio.run(serve())
        return
    with database(postgres=options.postgres):
        if options.what == "slow":
            slow(options.rows, options.seconds, options.rate)
        else:
            backlog(options.rows, options.endpoints)


if __name__ == "__main__":
    main()
