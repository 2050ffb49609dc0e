"""Threads that keep their database connections: a crowd that comes back must not open one for each question.

Channels' own `database_sync_to_async` closes the connection after each call where `CONN_MAX_AGE` is 0, Django's default:
on PostgreSQL that is a new session for every look at the log. Here a thread keeps its connection while it has work, and
gives it back after a quiet moment, or when it has failed.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import django.db

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

CUT = (django.db.OperationalError, django.db.InterfaceError)
"""What a connection raises that the database has cut, among other troubles of the moment."""
IDLE_CLOSE_S = 5.0
"""Quiet time after which a thread gives its connection back; longer than the hub's pause between two looks."""


class _Cuts:
    """How often a connection of this process's reading threads was found cut.

    Where the database was away all connections are cut, and each thread would learn it by a question that fails: a reader
    for each is sent away. So the first one tells the others, which begin with new connections.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count = 0

    def note(self, known: int) -> None:
        """Count another cut, unless others have been counted since this connection was opened."""
        with self._lock:
            if known == self.count:
                self.count += 1


_cuts = _Cuts()


class DatabaseThreads:
    """At most `count` daemon threads, started with the first work and anew in each forked child."""

    def __init__(self, name: str, *, count: int) -> None:
        self._name = name
        self._count = count
        self._lock = threading.Lock()
        self._work: queue.SimpleQueue[tuple[Future[object], Callable[[], object]]] = queue.SimpleQueue()
        self._pid: int | None = None

    async def run(self, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `act` returns, in one of the threads; work whose caller has gone before its turn is left out."""
        if self._pid != os.getpid():
            self._start()
        future: Future[T] = Future()
        self._work.put((future, partial(copy_context().run, act, *args, **kwargs)))  # type: ignore[arg-type] # of any T
        return await asyncio.wrap_future(future)

    def _start(self) -> None:
        with self._lock:
            if self._pid == os.getpid():
                return
            self._work = queue.SimpleQueue()
            self._pid = os.getpid()
            for number in range(self._count):
                threading.Thread(target=self._serve, name=f"{self._name}-{number}", daemon=True).start()

    def _serve(self) -> None:
        work = self._work
        known = _cuts.count
        while True:
            try:
                future, act = work.get(timeout=IDLE_CLOSE_S)
            except queue.Empty:
                django.db.connections.close_all()
                future, act = work.get()
            if future.set_running_or_notify_cancel():
                if known != _cuts.count:
                    django.db.connections.close_all()
                    known = _cuts.count
                _settle(future, act, known=known)
            del future, act  # what was read is not to be kept until the next work


def _settle(future: Future[object], act: Callable[[], object], *, known: int) -> None:
    try:
        result = act()
    except BaseException as error:  # noqa: BLE001 - it is raised again in the caller
        if isinstance(error, django.db.Error):
            # What broke may be the connection itself; the next work begins with a new one.
            django.db.connections.close_all()
        if isinstance(error, CUT):
            _cuts.note(known)
        future.set_exception(error)
    else:
        future.set_result(result)
