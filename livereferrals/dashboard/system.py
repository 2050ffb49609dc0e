"""How the system stands: the log, the processes and what they say of themselves, for the status page and for monitors."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from channels.layers import InMemoryChannelLayer, get_channel_layer
from django.utils import timezone

from livereferrals import conf, times
from livereferrals.callbacks.processes import is_gone
from livereferrals.dashboard import rollups
from livereferrals.events import log
from livereferrals.events.models import Chore, Event, ProcessStatus
from livereferrals.streaming.processes import SILENT_FOR

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping, Sequence

COUNTED: Final = 1_000
"""Events without a number are counted to here and no further."""
NUMBERED_WITHIN: Final = timedelta(seconds=30)
"""Hubs and workers number every second what a killed process left; what is older has nobody."""
ROLLUPS_BEHIND: Final = 10_000
"""Events after the rollups from which on something is wrong: they follow every few seconds."""
SHOWN: Final = 100
"""Processes that are shown, those seen last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What one process last said of itself."""

    name: str
    kind: str
    """`server` or `worker`."""
    interface: str
    """How a server serves: `asgi`, or `wsgi`, which is never live; empty for a worker."""
    started_at: datetime
    seen_at: datetime
    alive: bool
    """Whether it is there: it has said so lately, and has not ended on this machine."""
    worker: bool
    """Whether it makes deliveries."""
    hub_seq: int | None
    """How far its hub had read; nothing while nobody watches."""
    hub_lag: int
    """How far behind the log that was."""
    watchers: int
    screens: int
    behind: int
    """Numbers of the log that its slowest feed client is behind."""
    lost_hits: Mapping[str, int]
    """Hits that it has answered and not recorded since it started, by reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """How everything stands at one moment."""

    cursor: str
    time: datetime
    head: int
    oldest: int
    last_numbered_at: datetime | None
    unnumbered: int
    """Committed events without a number, at most `COUNTED + 1`."""
    unnumbered_since: datetime | None
    """When the oldest of them was made."""
    rolled_up: int
    """The rollups are complete up to here."""
    channel_layer: str
    """The class of the channel layer; empty: none."""
    crosses_processes: bool
    """Whether hints reach other processes at once."""
    works_at: str
    """Where deliveries are made: the setting `WORKER`."""
    feed_retention: timedelta
    retention: timedelta | None
    chores: tuple[tuple[str, datetime | None], ...]
    """When each piece of housekeeping was last done."""
    processes: tuple[Process, ...]

    @property
    def living(self) -> tuple[Process, ...]:
        """The processes that are there."""
        return tuple(process for process in self.processes if process.alive)

    @property
    def lag(self) -> int:
        """How far the slowest hub was behind the log when it said so."""
        return max((process.hub_lag for process in self.living), default=0)

    @property
    def lost_hits(self) -> Counter[str]:
        """Hits that the processes that are there have lost since they were started, by reason."""
        return sum((Counter(process.lost_hits) for process in self.living), Counter())

    @property
    def heartbeat(self) -> datetime | None:
        """When a worker last said that it makes deliveries."""
        return max((process.seen_at for process in self.processes if process.worker), default=None)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, as codes: `unnumbered`, `no-worker`, `rollups`."""
        waits_long = self.unnumbered_since is not None and self.time - self.unnumbered_since > NUMBERED_WITHIN
        no_worker = self.works_at != "off" and not any(process.worker for process in self.living)
        behind = self.head - self.rolled_up > ROLLUPS_BEHIND
        found = {"unnumbered": waits_long, "no-worker": no_worker, "rollups": behind}
        return tuple(code for code, is_so in found.items() if is_so)

    def as_json(self) -> dict[str, Any]:
        """Return the same for programs."""
        return {
            "status": "problem" if self.problems else "ok",
            "problems": list(self.problems),
            "time": _iso(self.time),
            "log": {
                "cursor": self.cursor,
                "head": self.head,
                "oldest": self.oldest,
                "last_numbered_at": _iso(self.last_numbered_at),
                "unnumbered": self.unnumbered,
                "unnumbered_since": _iso(self.unnumbered_since),
                "rolled_up": self.rolled_up,
            },
            "worker": {"setting": self.works_at, "heartbeat": _iso(self.heartbeat)},
            "channel_layer": {"class": self.channel_layer or None, "crosses_processes": self.crosses_processes},
            "retention": {
                "feed_s": self.feed_retention.total_seconds(),
                "hits_s": None if self.retention is None else self.retention.total_seconds(),
            },
            "watchers": sum(process.watchers for process in self.living),
            "screens": sum(process.screens for process in self.living),
            "lag": self.lag,
            "lost_hits": dict(self.lost_hits),
            "chores": {name: _iso(done_at) for name, done_at in self.chores},
            "processes": [
                {
                    "name": process.name,
                    "kind": process.kind,
                    "interface": process.interface,
                    "alive": process.alive,
                    "started_at": _iso(process.started_at),
                    "seen_at": _iso(process.seen_at),
                    "worker": process.worker,
                    "hub_seq": process.hub_seq,
                    "hub_lag": process.hub_lag,
                    "watchers": process.watchers,
                    "screens": process.screens,
                    "behind": process.behind,
                }
                for process in self.processes
            ],
        }


def look() -> System:
    """Return how everything stands now. Six queries, none of which grows with the log."""
    row = log.load_log()
    now = timezone.now()
    unnumbered, since = _unnumbered()
    layer = get_channel_layer()
    processes = list(ProcessStatus.objects.order_by("-seen_at")[:SHOWN])
    return System(
        cursor=f"{row.epoch}.{row.head}",
        time=now,
        head=row.head,
        oldest=row.oldest,
        last_numbered_at=row.last_numbered_at,
        unnumbered=unnumbered,
        unnumbered_since=since,
        rolled_up=rollups.position().seq,
        channel_layer="" if layer is None else f"{type(layer).__module__}.{type(layer).__qualname__}",
        crosses_processes=layer is not None and not isinstance(layer, InMemoryChannelLayer),
        works_at=conf.callbacks.WORKER,
        feed_retention=conf.settings.FEED_RETENTION,
        retention=conf.settings.RETENTION,
        chores=(
            ("rollups", _last_rolled_up(processes)),
            *Chore.objects.order_by("name").values_list("name", "done_at"),
        ),
        processes=_in_order([_process(each, now=now) for each in processes]),
    )


def _unnumbered() -> tuple[int, datetime | None]:
    """Return how many events have no number, and when the first was made, which its id says. By their own index."""
    ids: list[uuid.UUID] = list(
        Event.objects.filter(seq__isnull=True).order_by("id").values_list("id", flat=True)[: COUNTED + 1]
    )
    return len(ids), _made_at(ids[0]) if ids else None


def _made_at(key: uuid.UUID) -> datetime:
    """Return when a UUID of version 7 was made (RFC 9562 5.7)."""
    return times.as_stored(datetime.fromtimestamp((key.int >> 80) / 1000, tz=UTC))


def _process(row: ProcessStatus, *, now: datetime) -> Process:
    return Process(
        name=row.pk,
        kind=row.kind,
        interface=row.interface,
        started_at=row.started_at,
        seen_at=row.seen_at,
        alive=row.seen_at > now - SILENT_FOR and not is_gone(row.pk),
        worker=row.worker,
        hub_seq=row.hub_seq,
        hub_lag=row.hub_lag,
        watchers=row.watchers,
        screens=row.screens,
        behind=max(map(int, row.behind.values()), default=0),
        lost_hits=row.lost_hits,
    )


def _last_rolled_up(rows: Sequence[ProcessStatus]) -> datetime | None:
    """Return when the totals were last brought forward; every process that keeps house does it every few seconds."""
    said = [
        times.as_stored(times.as_aware(datetime.fromisoformat(text)))
        for row in rows
        if (text := row.housekeeping.get("rollups"))
    ]
    return max(said, default=None)


def _in_order(processes: Sequence[Process]) -> tuple[Process, ...]:
    """Return those that live first, by name: rows that change places with every heartbeat cannot be read."""
    return tuple(sorted(processes, key=lambda process: (not process.alive, process.name)))


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
