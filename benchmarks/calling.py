"""Who makes calls in the benchmarks: a worker with real rows, raw aiohttp, and Celery with requests; each does a round."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from benchmarks.clients.sink import Sink
from benchmarks.templates import copied

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import Model

    from benchmarks.clients.sink import Catch
    from benchmarks.outcomes import Conditions
    from benchmarks.templates import Database

PARTNERS: Final = 8
IN_FLIGHT: Final = 25
"""Calls at the same time to each partner: 200 in all, which is what a worker does by default. More loops than its 50 do not
make the raw sender faster: it has the processor busy."""
ALLOWED: Final = {"CALLBACKS": {"WORKER": "off", "ALLOW": ["127.0.0.0/8:*"]}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one contender did."""

    rate: float
    cpu_us: float
    """Of its processes, their start included, for each delivery."""
    arrived: int
    requests: int
    delivered: int
    """Rows that say so."""


def _round(catch: Catch, *, cpu_s: float, number: int, delivered: int) -> Round:
    arrived = len(catch.arrived)
    return Round(
        rate=catch.rate, cpu_us=1e6 * cpu_s / number, arrived=arrived, requests=catch.requests, delivered=delivered
    )


# --- rows -----------------------------------------------------------------------------------------------------------------


def ready(conditions: Conditions, database: Database) -> None:
    """Set Django up on a database of this measurement's own, with the tables."""

    def surroundings(url: str) -> dict[str, str]:
        told = {"DJANGO_SETTINGS_MODULE": "tests.settings", "TEST_DATABASE_URL": url}
        return told | {"TEST_SCRATCH": str(conditions.scratch), "TEST_SETTINGS": json.dumps({"LIVEREFERRALS": ALLOWED})}

    def migrate(url: str) -> None:
        command = [sys.executable, "-m", "django", "migrate", "--skip-checks", "--verbosity", "0"]
        subprocess.run(command, check=True, env=os.environ | surroundings(url))  # noqa: S603 - our own command

    os.environ |= surroundings(copied(conditions, "tests", database, migrate))
    import django

    django.setup()


def pile_up(ports: list[int], *, number: int) -> None:
    """Let so many deliveries be due to these partners, each of an event of its own that has its number."""
    from django.db import connection
    from django.utils import timezone

    from livereferrals import ids
    from livereferrals.events import sequencer
    from livereferrals.events.models import Event
    from tests.callbacks.running import owe, subscribe

    since = timezone.now() - timedelta(hours=1)
    for place, port in enumerate(ports):
        subscription = subscribe(f"http://127.0.0.1:{port}/hook/{{delivery_id}}", max_in_flight=IN_FLIGHT)
        first = owe(subscription)
        event = Event.objects.get(data__confirmation=str(first.confirmation_id))
        events = [ids.new_uuid() for _ in range(place, number, len(ports))]
        multiply(event, [{"id": one, "occurred_at": since, "seq": None, "numbered_at": None} for one in events])
        multiply(
            first,
            [
                {
                    "id": ids.new_uuid(),
                    "event": one,
                    "due_at": since + timedelta(milliseconds=late),
                    "created_at": since,
                }
                for late, one in enumerate(events)
            ],
        )
        first.delete()
    while sequencer.number_events():
        pass
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def multiply(row: Model, copies: list[dict[str, Any]]) -> None:
    """Insert copies of a row, each with these values of its own; the database copies the rest."""
    from django.db import connection

    fields = row._meta.concrete_fields
    own = [field for field in fields if field.attname in copies[0]]
    table, names = row._meta.db_table, ", ".join(str(field.column) for field in own)
    values = [tuple(field.get_db_prep_save(copy[field.attname], connection) for field in own) for copy in copies]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    chosen = ", ".join(f'{"bench_copy" if field in own else table}."{field.column}"' for field in fields)
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE bench_copy AS SELECT {names} FROM {table} WHERE 1 = 0")  # noqa: S608 - names of models
        cursor.executemany(f"INSERT INTO bench_copy VALUES ({', '.join(['%s'] * len(own))})", values)  # noqa: S608 - the same
        cursor.execute(
            f"INSERT INTO {table} ({columns}) SELECT {chosen} FROM {table}, bench_copy WHERE {table}.id = %s",  # noqa: S608 - the same
            [row._meta.pk.get_db_prep_save(row.pk, connection)],
        )
        cursor.execute("DROP TABLE bench_copy")


# --- contenders -----------------------------------------------------------------------------------------------------------


def ours(*, number: int) -> Round:
    """Work off a backlog with one worker process."""
    from livereferrals.callbacks.models import Delivery
    from tests.servers import server_environment

    sink = Sink(ports=PARTNERS)
    try:
        before = Delivery.objects.filter(state="delivered").count()
        pile_up(sink.ports, number=number)
        command = [sys.executable, "manage.py", "livereferrals", "-v", "0", "worker", "--once"]
        environment = server_environment(LOGGING={"version": 1}, LIVEREFERRALS=ALLOWED)
        cpu_s = _cpu_of(partial(subprocess.run, command, env=environment, check=True))
    except BaseException:
        sink.kill()
        raise
    catch = sink.end()
    delivered = Delivery.objects.filter(state="delivered").count() - before
    return _round(catch, cpu_s=cpu_s, number=number, delivered=delivered)


def _cpu_of(act: Callable[[], object]) -> float:
    """Return the CPU time of the processes that an act begins and ends."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    act()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def raw_aiohttp(*, number: int, keep_alive: bool = False) -> Round:
    """POST as fast as aiohttp can."""
    sink = Sink(ports=PARTNERS)
    command = [sys.executable, "-m", "benchmarks.baselines.raw_aiohttp", "--requests", str(number)]
    command += ["--keep-alive"] * keep_alive
    try:
        cpu_s = _cpu_of(
            partial(subprocess.run, [*command, *map(str, sink.ports)], check=True, stdout=subprocess.DEVNULL)
        )
    except BaseException:
        sink.kill()
        raise
    catch = sink.end()
    return _round(catch, cpu_s=cpu_s, number=number, delivered=len(catch.arrived))


def celery(broker: str, *, number: int) -> Round:
    """Queue a task for each delivery, then have Celery work."""
    sink = Sink(ports=PARTNERS)
    command = [sys.executable, "-m", "benchmarks.baselines.celery_requests"]
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    environment["CELERY_BROKER"] = broker
    common: dict[str, Any] = {"env": environment, "check": True, "stdout": subprocess.DEVNULL}
    try:
        ports = [f"--port={port}" for port in sink.ports]
        subprocess.run([*command, "fill", "--broker", broker, "--requests", str(number), *ports], **common)  # noqa: S603 - our own command
        cpu_s = _cpu_of(partial(subprocess.run, [*command, "work", "--broker", broker], **common))
    except BaseException:
        sink.kill()
        raise
    catch = sink.end()
    return _round(catch, cpu_s=cpu_s, number=number, delivered=len(catch.arrived))
