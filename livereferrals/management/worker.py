"""`manage.py livereferrals worker`: makes partner callbacks in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.core.management.base import CommandError

from livereferrals import housekeeping
from livereferrals.callbacks import metrics
from livereferrals.callbacks.models import Subscription
from livereferrals.callbacks.worker import Orders, Worker
from livereferrals.housekeeping import reporting
from livereferrals.management import log_lines
from livereferrals.streaming.processes import Life

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from django.core.management.base import OutputWrapper

HELP: Final = "Make partner callbacks, and keep house, until SIGTERM or Ctrl-C; any number of these may run."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what one worker may be told beyond the settings."""
    parser.add_argument("--concurrency", type=int, metavar="N", help="calls at the same time (setting CONCURRENCY)")
    parser.add_argument("--once", action="store_true", help="make what is due, then end")
    parser.add_argument("--endpoint", type=int, metavar="ID", help="serve this subscription only, by its number")
    parser.add_argument(
        "--health-file", type=Path, metavar="PATH", help="write this file anew while the worker is well"
    )
    parser.add_argument("--metrics-port", type=int, metavar="PORT", help="answer Prometheus at this port")
    parser.add_argument("--metrics-address", default="127.0.0.1", metavar="ADDRESS", help="and at this address")


def handle(options: dict[str, Any], stdout: OutputWrapper) -> None:
    """Run one worker; what is under way may end before the process does."""
    worker = Worker(_orders(options))
    if options["verbosity"] > 0:
        log_lines.show(logging.getLogger("livereferrals"), stdout)
    if options["metrics_port"] is not None:
        _serve_metrics(options["metrics_port"], address=options["metrics_address"])
    with contextlib.nullcontext() if options["once"] else _residing(worker):
        asyncio.run(run(worker, stdout))


@contextlib.contextmanager
def _residing(worker: Worker) -> Iterator[None]:
    """Keep house, and say that this process lives."""
    with (
        housekeeping.running() as keeper,
        reporting.running(lambda: Life(kind="worker", worker=worker.is_well, chores=keeper.done)),
    ):
        yield


def _orders(options: dict[str, Any]) -> Orders:
    concurrency, endpoint, health_file = options["concurrency"], options["endpoint"], options["health_file"]
    if concurrency is not None and not 1 <= concurrency <= 10_000:
        raise CommandError(f"--concurrency is {concurrency}; it goes from 1 to 10000.")
    if endpoint is not None and not Subscription.objects.filter(pk=endpoint).exists():
        raise CommandError(f"There is no subscription with the number {endpoint}.")
    if health_file is not None and not health_file.parent.is_dir():
        raise CommandError(f"There is no directory {health_file.parent} for the health file.")
    return Orders(concurrency=concurrency, endpoint=endpoint, once=options["once"], health_file=health_file)


def _serve_metrics(port: int, *, address: str) -> None:
    if not metrics.is_there():
        raise CommandError("--metrics-port needs the Prometheus client: pip install livereferrals[metrics]")
    try:
        metrics.serve(port, address=address)
    except OSError as error:
        raise CommandError(f"Metrics cannot be shown at {address}:{port}: {error.strerror}.") from error


async def run(worker: Worker, stdout: OutputWrapper) -> None:
    """Run the worker until a signal stops it; a second signal ends it without waiting for what is under way."""
    loop = asyncio.get_running_loop()
    is_stopping = False

    def stop() -> None:
        nonlocal is_stopping
        (worker.hurry if is_stopping else worker.stop)()
        is_stopping = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    stdout.write(f"Callback worker {worker.name} is running; Ctrl-C ends it.")
    stdout.flush()
    await worker.run()
    stdout.write(f"Callback worker has ended after {worker.calls} calls.")
