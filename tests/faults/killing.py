"""Killing workers at a point, and proving that the books are right afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings

from livereferrals.callbacks.models import Delivery, DeliveryAttempt, Subscription
from livereferrals.tracking.models import Confirmation
from tests import forking
from tests.servers import server_environment

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Iterator

    from tests.partner import PartnerSink


class Nursery:
    """A process that forks workers which kill themselves."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._worker: int | None = None
        self._place = ""

    def run_until_killed(self, place: str) -> None:
        """Run a worker, and return when it has killed itself at this point."""
        self.start(place)
        self.wait_for_kill(place)

    def start(self, place: str = "never") -> int:
        """Start a worker; return the number of its process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{place}\n")
        self._process.stdin.flush()
        self._worker, self._place = int(self._process.stdout.readline()), place
        return self._worker

    def wait_for_kill(self, place: str = "never") -> None:
        """Return when the worker has been killed."""
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        self._worker = None
        assert said == f"{place} {-signal.SIGKILL}\n"

    def kill(self) -> None:
        """Kill the worker, if there is one, and return when it is gone."""
        if self._worker is not None:
            os.kill(self._worker, signal.SIGKILL)
            self.wait_for_kill(self._place)


@contextlib.contextmanager
def nursery() -> Iterator[Nursery]:
    """Run a nursery; a worker in it that never gets to its point is ended with it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.worker_process"],
        env=server_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield Nursery(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            # Its group is itself and the worker of the moment.
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def start_worker(place: str = "never", **overrides: Any) -> forking.Forked:
    """Start a worker of its own that kills itself at this point; keyword arguments override settings."""
    command = ["tests.faults.worker_process", place]
    return forking.start(
        command, environment=server_environment(**overrides), log=Path(settings.SCRATCH) / "workers.log"
    )


@contextlib.contextmanager
def workers(number: int, **overrides: Any) -> Iterator[list[forking.Forked]]:
    """Run some worker processes; they are killed in the end."""
    processes = [start_worker(**overrides) for _ in range(number)]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def under_way() -> set[uuid.UUID]:
    """Return what was started and has no result: all that a kill may have repeated."""
    return set(Delivery.objects.filter(state="sending").values_list("pk", flat=True))


def check_books(sink: PartnerSink, *, in_flight: Collection[uuid.UUID] = ()) -> None:
    """Prove that each debt was paid, none twice but what was in flight at a kill, and nothing that is no debt.

    For cases in which every delivery ends well and no request fails. `in_flight`: what was `sending` at the kills.
    """
    owed = {
        (confirmation.pk, subscription.pk)
        for subscription in Subscription.objects.exclude(callback_url="")
        for confirmation in Confirmation.objects.filter(partner=subscription.partner, trigger=subscription.trigger)
    }
    rows = list(Delivery.objects.filter(kind="confirmation"))
    assert Counter((row.confirmation_id, row.subscription_id) for row in rows) == Counter(owed)
    assert {row.state for row in rows} <= {"delivered"}
    # A port is used again: what comes without an id is somebody else's, who looks for a server that has gone.
    sent = Counter(call.headers["webhook-id"] for call in list(sink.calls) if "webhook-id" in call.headers)
    assert set(sent) == {str(row.pk) for row in rows}, "a debt was not paid, or something was sent that is none"
    lost = Counter(DeliveryAttempt.objects.filter(outcome="lost").values_list("delivery", flat=True))
    for row in rows:
        assert sent[str(row.pk)] <= 1 + lost[row.pk], f"{row.pk} was repeated for no reason"
        assert row.lost == lost[row.pk]
        assert row.attempts == row.attempt_log.count()
    assert set(lost) <= set(in_flight), "an attempt was lost that was not in flight"
