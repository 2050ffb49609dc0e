"""What triggers decided, a "no" included: kept in the process and written down at most once a second.

Nothing is asked or written in the host's request, and what is written is outside of its transaction: a confirmation that
is rolled back never fired, while a "no" was one whatever becomes of the host's transaction. A kill may lose the last
second of it, never a confirmation. Nothing here leads to a person.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import Counter, deque
from contextvars import ContextVar
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db import Error as DatabaseProblem
from django.db import connections, router, transaction
from django.db.models import F
from django.utils import timezone

from livereferrals.tracking.models import Confirmation
from livereferrals.triggers.declaration import MAX_NAME
from livereferrals.triggers.models import TriggerCount, TriggerFiring

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from livereferrals.triggers.confirming import Result
    from livereferrals.triggers.declaration import Trigger

    Count = tuple[str, datetime, str]

logger = logging.getLogger(__name__)

KEPT: Final = 1_000
"""Firings that the table keeps, of all triggers together."""
COUNTS_FOR: Final = timedelta(days=90)
"""How long the counts of an hour are kept."""
COUNTS_HELD: Final = 5_000
"""Different counts that wait in a process at most, while the database is away."""
EVERY_S: Final = 1.0
IDLE_CLOSE_S: Final = 5.0
"""Quiet time after which the thread gives its database connection back."""
RETRY_S: Final = 5.0
"""Pause after a database error."""
MAX_RECEIVER: Final = 200


class Recorder:
    """Holds what was decided, and a daemon thread that writes it down; one in a process."""

    def __init__(self) -> None:
        self.paused = False
        """Write nothing by itself: for tests, whose transactions another connection could not see into."""
        self._firings: deque[TriggerFiring] = deque(maxlen=KEPT)
        self._counts: Counter[Count] = Counter()
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        """Held while something is written, so that a process that ends waits for what its thread has taken up."""
        self._wanted = threading.Event()
        self._pid: int | None = None
        self._swept: datetime | None = None
        """The hour in which old counts were last looked for."""

    def take(self, firing: TriggerFiring) -> None:
        """Have a firing written soon; returns at once, without a query."""
        key = (firing.trigger, _hour_of(firing.fired_at), firing.reason)
        with self._lock:
            self._firings.append(firing)
            if key in self._counts or len(self._counts) < COUNTS_HELD:
                self._counts[key] += 1
        if self.paused or _is_private_database():
            return
        self._wanted.set()
        if self._pid != os.getpid():
            self._start()

    def flush(self) -> int:
        """Write what waits, in one transaction; return how many firings that were.

        Raises:
            django.db.Error: the database is away; what was to be written waits on.
        """
        with self._writing:
            with self._lock:
                firings, counts = list(self._firings), dict(self._counts)
                self._firings.clear()
                self._counts.clear()
            if not firings:
                return 0
            try:
                self._write(firings, counts)
            except BaseException:
                with self._lock:
                    # The newest of both: what is appended pushes the oldest out.
                    self._firings = deque([*firings, *self._firings], maxlen=KEPT)
                    self._counts.update(counts)
                raise
            return len(firings)

    def waiting(self) -> list[TriggerFiring]:
        """Return what waits to be written, oldest first."""
        with self._lock:
            return list(self._firings)

    def forget(self) -> None:
        """Drop what waits."""
        with self._lock:
            self._firings.clear()
            self._counts.clear()

    def _write(self, firings: Sequence[TriggerFiring], counts: Mapping[Count, int]) -> None:
        alias = router.db_for_write(TriggerFiring)
        with transaction.atomic(using=alias):
            rows = TriggerFiring.objects.using(alias)
            rows.bulk_create(firings)
            _add(counts, alias=alias)
            # The newest of the rows that are too many; nothing where there are not so many yet.
            first_old = rows.order_by("-pk").values_list("pk", flat=True)[KEPT : KEPT + 1].first()
            if first_old is not None:
                rows.filter(pk__lte=first_old).delete()
            self._sweep(alias)

    def _sweep(self, alias: str) -> None:
        hour = _hour_of(timezone.now())
        if hour != self._swept:
            TriggerCount.objects.using(alias).filter(hour__lt=hour - COUNTS_FOR).delete()
            self._swept = hour

    def _start(self) -> None:
        with self._lock:
            if self._pid == os.getpid():
                return
            is_first = self._pid is None
            self._wanted = threading.Event()
            self._wanted.set()
            self._pid = os.getpid()
            threading.Thread(target=self._run, name="livereferrals-firings", daemon=True).start()
        if is_first:
            atexit.register(self._flush_at_exit)

    def _run(self) -> None:
        wanted = self._wanted
        while True:
            if not wanted.wait(IDLE_CLOSE_S):
                connections.close_all()
                wanted.wait()
            wanted.clear()
            try:
                self.flush()
            except DatabaseProblem:
                logger.warning("What triggers decided waits to be written.", exc_info=True, extra=_AWAY)
                connections.close_all()
                wanted.set()
                time.sleep(RETRY_S)
            time.sleep(EVERY_S)

    def _flush_at_exit(self) -> None:
        """Write the last second of a process that ends in peace, such as a management command."""
        if self.paused:
            return
        try:
            self.flush()
        except DatabaseProblem:
            logger.warning("What triggers decided last could not be written.", exc_info=True, extra=_AWAY)

    def start_anew(self) -> None:
        """In a forked child: what waits is the parent's to write, and a thread that is not here may hold its locks."""
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self.forget()


_AWAY: Final = {"action": "firings.away"}
_deciding: Final[ContextVar[str]] = ContextVar("livereferrals_deciding", default="")
"""The trigger that is just decided on."""
recorder: Final = Recorder()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=recorder.start_anew)


def watched(trigger: Trigger, receiver: object, decide: Callable[[], Result]) -> Result:
    """Return what `decide` returns, and have it written down: what was confirmed once that is committed, a "no" at once.

    A receiver that confirms its own trigger by a call of the API is one firing, not two.
    """
    if _deciding.get() == trigger.name:
        return decide()
    began = time.perf_counter()
    token = _deciding.set(trigger.name)
    try:
        result = decide()
    finally:
        _deciding.reset(token)
    firing = _firing(trigger, receiver, str(result.reason), began=began)
    firing.trace = _impersonal(result.trace)
    if not result.created or result.confirmation is None:
        recorder.take(firing)
        return result
    firing.confirmation = result.confirmation.pk

    # A function with a name: Django logs the `__qualname__` of a hook that fails.
    def take_firing() -> None:
        recorder.take(firing)

    transaction.on_commit(take_firing, using=router.db_for_write(Confirmation), robust=True)
    return result


def failed(trigger: Trigger, receiver: object, *, reason: str, began: float) -> None:
    """Have it written down that a trigger's receiver raised; `began` by `time.perf_counter()`."""
    recorder.take(_firing(trigger, receiver, reason, began=began))


def _firing(trigger: Trigger, receiver: object, reason: str, *, began: float) -> TriggerFiring:
    return TriggerFiring(
        trigger=trigger.name[:MAX_NAME],
        fired_at=timezone.now(),
        receiver=path_of(receiver)[:MAX_RECEIVER],
        reason=reason,
        duration_ms=round((time.perf_counter() - began) * 1000, 3),
    )


def path_of(named: object) -> str:
    """Return the dotted path of a signal, receiver or sender as a declaration names it."""
    if named is None or isinstance(named, str):
        return named or ""
    name = getattr(named, "__qualname__", None)
    return f"{getattr(named, '__module__', '')}.{name}".lstrip(".") if name else repr(named)


def _impersonal(trace: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a trace without the user's and the visitors' keys: how the subject was found stays."""
    if not trace:
        return None
    subject = trace.get("subject") or {}
    return {**trace, "subject": {"how": subject.get("how", "none")}}


def _add(counts: Mapping[Count, int], *, alias: str) -> None:
    """Add to the counts; in one order, so that two processes cannot wait for each other."""
    rows = TriggerCount.objects.using(alias)
    keys = sorted(counts)
    blank = [TriggerCount(trigger=trigger, hour=hour, reason=reason) for trigger, hour, reason in keys]
    rows.bulk_create(blank, ignore_conflicts=True)
    for trigger, hour, reason in keys:
        rows.filter(trigger=trigger, hour=hour, reason=reason).update(
            count=F("count") + counts[(trigger, hour, reason)]
        )


def _hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _is_private_database() -> bool:
    """Whether only the asking thread's connection can see the rows (SQLite in memory)."""
    connection = connections[router.db_for_write(TriggerFiring)]
    return connection.vendor == "sqlite" and connection.is_in_memory_db()  # type: ignore[attr-defined] # SQLite's
