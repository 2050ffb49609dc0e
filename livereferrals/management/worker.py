"""`manage.py livereferrals worker`: makes partner callbacks in a process of its own."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any, Final

from livereferrals import housekeeping
from livereferrals.callbacks.worker import Worker

if TYPE_CHECKING:
    from django.core.management.base import CommandParser, OutputWrapper

HELP: Final = "Make partner callbacks until SIGTERM or Ctrl-C; any number of these may run."


def add_arguments(parser: CommandParser) -> None:
    """There are none: everything is a setting."""


def handle(options: dict[str, Any], stdout: OutputWrapper) -> None:
    """Run one worker; what is under way may end before the process does."""
    with housekeeping.running():
        asyncio.run(run(Worker(), stdout))


async def run(worker: Worker, stdout: OutputWrapper) -> None:
    """Run the worker until a signal stops it."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stop)
    stdout.write(f"Callback worker {worker.name} is running; Ctrl-C ends it.")
    stdout.flush()
    await worker.run()
    stdout.write("Callback worker has ended.")
