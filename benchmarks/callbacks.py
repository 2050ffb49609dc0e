"""How fast callbacks go out (P14-P17): beside raw aiohttp, beside Celery with requests, and beside a partner who hangs.

The deliveries are real rows, each with its own URL, all due; one `manage.py livereferrals worker --once` makes them. The
partners are eight ports of a process that answers at once. Every delivery has to have arrived, and arrived once.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from benchmarks.calling import PARTNERS, celery, ours, pile_up, raw_aiohttp, ready
from benchmarks.clients.sink import Sink
from benchmarks.outcomes import Count, Curve, Outcome
from benchmarks.rounds import alternate, median

if TYPE_CHECKING:
    from benchmarks.calling import Round
    from benchmarks.outcomes import Conditions
    from benchmarks.templates import Database

NAMES: Final[dict[Database, str]] = {"postgres": "PostgreSQL", "sqlite": "SQLite"}
HANGING: Final = 200
BIG: Final = {"full": 20_000, "quick": 1_600}
START: Final = 8
"""Calls in a round that shows what it costs to begin and end the processes."""


# --- the rows of the table ------------------------------------------------------------------------------------------------


def on_postgres(conditions: Conditions) -> list[Outcome]:
    """A backlog on PostgreSQL: P14."""
    ready(conditions, "postgres")
    return _against_raw(conditions, row="P14", database="PostgreSQL", goal=0.80, stretch=0.90)


def on_sqlite(conditions: Conditions) -> list[Outcome]:
    """A backlog on SQLite: P15."""
    ready(conditions, "sqlite")
    return _against_raw(conditions, row="P15", database="SQLite", goal=0.75, stretch=0.85)


def _against_raw(conditions: Conditions, *, row: str, database: str, goal: float, stretch: float) -> list[Outcome]:
    number = conditions.pick(full=BIG["full"], quick=BIG["quick"])
    found = alternate(
        {"ours": partial(ours, number=number), "raw": partial(raw_aiohttp, number=number)},
        rounds=conditions.rounds,
        warm_up={},
    )
    kept = raw_aiohttp(number=number, keep_alive=True)
    return [
        Outcome(
            row=row,
            what=f"{number} due deliveries, {PARTNERS} partners, {database}",
            against="raw aiohttp, a connection for each request",
            goal=goal,
            stretch=stretch,
            ours=[one.rate for one in found["ours"]],
            theirs=[one.rate for one in found["raw"]],
            unit="calls/s",
            counts=_counts(found["ours"], number=number),
            figures={
                "CPU of ours, us a call": round(median([one.cpu_us for one in found["ours"]])),
                "CPU of raw aiohttp, us a call": round(median([one.cpu_us for one in found["raw"]])),
                "raw aiohttp with kept-alive connections, calls/s": round(kept.rate),
            },
        )
    ]


def _counts(rounds: list[Round], *, number: int) -> list[Count]:
    expected = number * len(rounds)
    return [
        Count(what="deliveries that arrived", found=sum(one.arrived for one in rounds), expected=expected),
        Count(what="requests, one for each delivery", found=sum(one.requests for one in rounds), expected=expected),
        Count(what="rows that say delivered", found=sum(one.delivered for one in rounds), expected=expected),
    ]


def against_celery(conditions: Conditions) -> list[Outcome]:
    """The same work by Celery: P16."""
    ready(conditions, "postgres")
    number = conditions.pick(full=BIG["full"], quick=BIG["quick"]) // 2
    found = alternate(
        {"ours": partial(ours, number=number), "celery": partial(celery, conditions.valkey_url or "", number=number)},
        rounds=conditions.rounds,
        warm_up={},
    )
    counts = _counts(found["ours"], number=number)
    mine, theirs = found["ours"], found["celery"]
    begun = {
        "ours": ours(number=START).cpu_us * START / number,
        "celery": celery(conditions.valkey_url or "", number=START).cpu_us * START / number,
    }
    common: dict[str, Any] = {"row": "P16", "against": "Celery with requests, 4 processes, Valkey"}
    return [
        Outcome(
            what="calls a second, PostgreSQL", goal=8, stretch=10, unit="calls/s", counts=counts,
            ours=[one.rate for one in mine], theirs=[one.rate for one in theirs], **common,
        ),
        Outcome(
            what="CPU of the workers for each call", goal=12, stretch=16, unit="us", better="lower", bound="at least",
            ours=[one.cpu_us - begun["ours"] for one in mine], theirs=[one.cpu_us - begun["celery"] for one in theirs],
            notes="Without what it takes to begin and end the processes.", **common,
        ),
    ]  # fmt: skip


def hanging(conditions: Conditions) -> list[Outcome]:
    """One partner takes calls and never answers: P17."""
    outcomes = []
    for database in NAMES:
        what = f"from commit to result, p99 of the healthy, {HANGING} due to one who hangs, {NAMES[database]}"
        if conditions.wants("P17", what):
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                outcomes.append(pool.submit(_hanging, conditions, database, what).result())
    return outcomes


def _hanging(conditions: Conditions, database: Database, what: str) -> Outcome:
    ready(conditions, database)
    from livereferrals.callbacks.models import Delivery
    from tests.callbacks.running import running_worker

    number = conditions.pick(full=400, quick=80)
    sink = Sink(ports=PARTNERS, hanging=1)
    try:
        with running_worker():
            p99s = [_stream(sink.ports, number=number) for _ in range(conditions.rounds)]
            healthy = Delivery.objects.exclude(subscription__callback_url__contains=f":{sink.ports[0]}/")
            delivered = healthy.filter(state="delivered").count()
            # What hangs is not waited for.
            Delivery.objects.filter(state="waiting").delete()
            sink.kill()
    finally:
        sink.kill()
    return Outcome(
        row="P17",
        what=what,
        goal=100,
        stretch=30,
        ours=p99s,
        unit="ms",
        better="lower",
        counts=[Count(what="healthy deliveries made", found=delivered, expected=number * conditions.rounds)],
    )


def _stream(ports: list[int], *, number: int, rate: float = 40.0) -> float:
    """Owe deliveries to healthy partners at a steady rate; return the p99 of the time to their result, in ms."""
    from livereferrals.callbacks.models import Delivery
    from tests.callbacks.running import owe, subscribe
    from tests.callbacks.running import pile_up as pile_up_at
    from tests.waiting import wait_until

    pile_up_at(subscribe(f"http://127.0.0.1:{ports[0]}/hang/{{delivery_id}}"), HANGING)
    healthy = [subscribe(f"http://127.0.0.1:{port}/hook/{{delivery_id}}") for port in ports[1:]]
    time.sleep(2)
    committed: dict[Any, float] = {}
    begun = time.monotonic()
    for place in range(number):
        time.sleep(max(0.0, begun + place / rate - time.monotonic()))
        delivery = owe(healthy[place % len(healthy)])
        committed[delivery.pk] = time.time()
    mine = Delivery.objects.filter(subscription__in=healthy)
    wait_until(lambda: not mine.exclude(state="delivered").exists(), timeout_s=60)
    ended = dict(mine.filter(finished_at__isnull=False).values_list("pk", "finished_at"))
    taken = [(ended[key].timestamp() - at) * 1000 for key, at in committed.items()]  # type: ignore[union-attr] # all have ended
    return statistics.quantiles(taken, n=100)[98]


# --- growth ---------------------------------------------------------------------------------------------------------------


def growth(conditions: Conditions) -> list[Curve]:
    """Return what a lease and a reading cost over the backlog, and over the number of endpoints."""
    ready(conditions, "sqlite")
    from tests.callbacks.running import owe, subscribe

    backlog, endpoints, waiting = [], [], 0
    for size in (1_000, 4_000) if conditions.quick else (1_000, 10_000, 100_000):
        pile_up([9] * PARTNERS, number=size - waiting)
        waiting = size
        backlog.append((float(size), _looked()))
    made = PARTNERS * len(backlog)
    for size in (30, 60) if conditions.quick else (30, 100, 1_000):
        for place in range(made, size):
            owe(subscribe(f"http://127.0.0.1:9/{place}"))
        made = size
        endpoints.append((float(size), _looked()))
    what = "a lease, what is due at it read, and the lease given back; SQLite"
    return [
        Curve(path="callbacks", what=what, size="deliveries waiting", points=backlog),
        Curve(path="callbacks", what=what, size="endpoints with something due", points=endpoints),
    ]


def _looked() -> float:
    from livereferrals.callbacks import leasing, reading

    times = []
    for _ in range(7):
        begun = time.monotonic()
        leases = leasing.lease(worker="benchmark:1:1", limit=leasing.AT_ONCE).leases
        reading.read(lease.endpoint for lease in leases)
        leasing.release({lease.endpoint: lease.token for lease in leases})
        times.append((time.monotonic() - begun) * 1000)
    return median(times)


MEASURES = {"P14": on_postgres, "P15": on_sqlite, "P16": against_celery, "P17": hanging}
