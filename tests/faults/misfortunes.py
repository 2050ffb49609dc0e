"""What can happen to a running system; each happens, and what it has taken comes back."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from django.db import connections

from livereferrals.callbacks import processes
from livereferrals.callbacks.models import Delivery, Endpoint
from tests.faults.machinery import full_disk, stopped
from tests.waiting import wait_until

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from tests.faults.machinery import Killable, OddServer, Postgres, Service, Valkey, WorkerProcess

LOCK_TIMEOUT_S: Final = 1
"""How long a server of the chaos waits for SQLite's lock: less than it is held at times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What there is to be mistreated."""

    servers: Sequence[OddServer]
    workers: Sequence[WorkerProcess] = ()
    postgres: Postgres | None = None
    valkey: Valkey | None = None
    sqlite: str = ""
    """The path of the database's file."""
    chance: random.Random
    longest_s: float = 4.0
    """How long something is away, or stopped, at most."""
    notes: list[str] = field(default_factory=list)
    """What was done to whom."""

    @property
    def processes(self) -> list[Killable]:
        """Ours that run."""
        return [*self.servers, *self.workers]

    def a_while(self) -> float:
        """Return for how long something lasts."""
        return self.chance.uniform(0.2, self.longest_s)

    def note(self, what: str) -> None:
        """Say what has been done."""
        self.notes.append(what)


def kill_server(scene: Scene) -> None:
    """Kill -9 of a server; it is started again at once or after a while."""
    if scene.workers:
        _kill(scene, scene.chance.choice(scene.servers))
    else:
        kill_worker(scene)


def kill_worker(scene: Scene) -> None:
    """Kill -9 of a process that makes callbacks, in the midst of one."""
    _kill(scene, _caught_calling(scene))


def kill_everything(scene: Scene) -> None:
    """Kill -9 of all servers and workers at once, as when the machine's memory is out."""
    scene.note("kill -9 of all servers and workers")
    for process in scene.processes:
        process.kill9()
    for process in scene.processes:
        process.start()


def stop_process(scene: Scene) -> None:
    """SIGSTOP of a server or worker for a while."""
    process = scene.chance.choice(scene.processes)
    _stop(scene, f"{process.name} {process.pid}", process.pid)


def _kill(scene: Scene, process: Killable) -> None:
    pause_s = scene.chance.choice([0.0, scene.a_while()])
    scene.note(f"kill -9 of {process.name} {process.pid}, {pause_s:.1f} s")
    process.kill9()
    time.sleep(pause_s)
    process.start()


def _stop(scene: Scene, whom: str, *pids: int) -> None:
    span_s = scene.a_while()
    scene.note(f"SIGSTOP of {whom} for {span_s:.1f} s")
    with stopped(*pids):
        time.sleep(span_s)


def _caught_calling(scene: Scene) -> Killable:
    """Return a process that stands still while a partner is about to answer it: what it has begun is to be taken back."""
    callers: list[Killable] = list(scene.workers or scene.servers)

    def caught() -> Killable | None:
        scene.chance.shuffle(callers)
        for process in callers:
            os.kill(process.pid, signal.SIGSTOP)
            if _is_calling(process.pid):
                return process
            os.kill(process.pid, signal.SIGCONT)
        return None

    try:
        found = wait_until(caught, what="A process that makes a callback")
    finally:
        connections.close_all()
    assert found is not None
    return found


def _is_calling(pid: int) -> bool:
    """Whether this process makes callbacks, of which none has been lost before: at the third loss it would be poison."""
    leased = Endpoint.objects.filter(leased_by__startswith=f"{processes.machine()}:{pid}:")
    begun = Delivery.objects.filter(state="sending", subscription__in=leased.values("pk"))
    return set(begun.values_list("lost", flat=True)) == {0}


def _lose(scene: Scene, service: Service | None, *, span_s: float) -> None:
    """Have a database or a channel layer end as at a crash, and start it again after so long."""
    assert service is not None
    scene.note(f"{service.name} crashed, back after {span_s:.1f} s")
    service.crash()
    time.sleep(span_s)
    service.start()


# --- PostgreSQL ----------------------------------------------------------------------------------------------------------


def restart_postgres(scene: Scene) -> None:
    """Restart without a checkpoint: sessions are cut in the middle, and it recovers from its log."""
    _lose(scene, scene.postgres, span_s=0)


def lose_postgres(scene: Scene) -> None:
    """Have none for a while."""
    _lose(scene, scene.postgres, span_s=scene.a_while())


def kill_session(scene: Scene) -> None:
    """Kill -9 of one of its processes: it ends all the others too, and recovers."""
    assert scene.postgres is not None
    pids = scene.postgres.pids()
    if not pids:
        scene.note("no session of PostgreSQL to kill")
        return
    pid = scene.chance.choice(pids)
    scene.note(f"kill -9 of PostgreSQL's session {pid}")
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def cut_sessions(scene: Scene) -> None:
    """End all sessions, as an operator or a fail-over does."""
    assert scene.postgres is not None
    scene.note("all sessions of PostgreSQL ended")
    scene.postgres.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid();")


def stop_sessions(scene: Scene) -> None:
    """SIGSTOP of some of its sessions, with whatever locks they hold."""
    assert scene.postgres is not None
    pids = scene.postgres.pids()
    chosen = scene.chance.sample(pids, k=min(3, len(pids)))
    _stop(scene, f"{len(chosen)} sessions of PostgreSQL", *chosen)


# --- Valkey --------------------------------------------------------------------------------------------------------------


def restart_valkey(scene: Scene) -> None:
    """Restart it, empty: who was a member of a group is none any more."""
    _lose(scene, scene.valkey, span_s=0)
    _all_listen(scene)


def lose_valkey(scene: Scene) -> None:
    """Have none for a while."""
    _lose(scene, scene.valkey, span_s=scene.a_while())
    _all_listen(scene)


def fill_valkey(scene: Scene) -> None:
    """Let its memory be full, so that it refuses every write, for a while."""
    assert scene.valkey is not None
    span_s = scene.a_while()
    scene.note(f"Valkey's memory full for {span_s:.1f} s")
    scene.valkey.limit_memory("1mb")
    time.sleep(span_s)
    scene.valkey.limit_memory("0")
    _all_listen(scene)


def stop_valkey(scene: Scene) -> None:
    """SIGSTOP: connections are taken and nothing is answered."""
    assert scene.valkey is not None
    _stop(scene, "Valkey", scene.valkey.pid)
    _all_listen(scene)


def _all_listen(scene: Scene) -> None:
    """Wait until each process hears again of what others do: events come without it too, by and by, and late."""
    valkey = scene.valkey
    assert valkey is not None
    wait_until(lambda: valkey.listeners() >= len(scene.processes), what="Each process that listens to the others again")


# --- SQLite --------------------------------------------------------------------------------------------------------------


def lock_sqlite(scene: Scene) -> None:
    """Hold the lock of all writers, in half of the cases for longer than anybody waits for it."""
    span_s = scene.chance.choice([0.3, LOCK_TIMEOUT_S]) + scene.a_while()
    scene.note(f"SQLite locked for {span_s:.1f} s")
    holder = sqlite3.connect(scene.sqlite, timeout=60, isolation_level=None)
    with contextlib.closing(holder):
        holder.execute("BEGIN EXCLUSIVE")
        time.sleep(span_s)
        holder.execute("ROLLBACK")


def fill_disk(scene: Scene) -> None:
    """Let no process of ours write to any file for a while, its log included."""
    span_s = scene.a_while()
    scene.note(f"disk full for {span_s:.1f} s")
    pids = [process.pid for process in scene.processes]
    with full_disk(*pids):
        time.sleep(span_s)


Misfortune = Callable[[Scene], None]
SHORT: Final = 7
"""So many of each list are enough for a short run."""
ON_POSTGRES: Final = (
    kill_server,
    kill_worker,
    restart_postgres,
    cut_sessions,
    restart_valkey,
    stop_process,
    fill_valkey,
    kill_session,
    lose_valkey,
    stop_sessions,
    lose_postgres,
    stop_valkey,
    kill_everything,
)
ON_SQLITE: Final = (kill_server, lock_sqlite, fill_disk, stop_process, kill_everything)
