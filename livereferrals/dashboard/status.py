"""The system's status: the log, hubs, workers, housekeeping and everybody who watches; the same as `status.json`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.timesince import timesince
from django.utils.translation import gettext, gettext_lazy, ngettext
from django.views.decorators.http import require_safe

from livereferrals.dashboard import access, pages, snapshots, system, wording
from livereferrals.dashboard.pages import Page, State
from livereferrals.dashboard.policy import dashboard_headers
from livereferrals.dashboard.tables import Cell, Empty, Heading, Table, TableRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.utils.functional import _StrPromise

    from livereferrals.dashboard.access import Rights
    from livereferrals.dashboard.rows import Tone
    from livereferrals.dashboard.system import Process, System
    from livereferrals.dashboard.viewpoints import Viewpoint

PROBLEMS: Final[dict[str, _StrPromise]] = {
    "unnumbered": gettext_lazy(
        "Events wait for their numbers, so that nobody sees them: neither a server with watchers nor a worker runs."
    ),
    "no-worker": gettext_lazy(
        "No worker makes deliveries. Start one: manage.py livereferrals worker, or a server with an embedded one."
    ),
    "rollups": gettext_lazy("The totals lag behind the log: no process keeps house. Start a worker."),
}
LOST: Final[dict[str, _StrPromise]] = {
    "overload": gettext_lazy("more came than the database takes"),
    "late": gettext_lazy("the database did not answer in time"),
    "database": gettext_lazy("the database was away or full"),
    "refused": gettext_lazy("their link was deleted just then"),
}
"""Why hits are lost."""
CHORES: Final[dict[str, _StrPromise]] = {
    "rollups": gettext_lazy("Totals brought up to date"),
    "events": gettext_lazy("Old events removed from the log"),
    "hits": gettext_lazy("Old hits emptied of what is personal"),
    "visitors": gettext_lazy("Old visitors removed"),
    "attempts": gettext_lazy("Old attempts at callbacks removed"),
    "deliveries": gettext_lazy("Old deliveries removed"),
}
KINDS: Final[dict[str, _StrPromise]] = {"server": gettext_lazy("server"), "worker": gettext_lazy("worker")}
SOME_MOMENT: Final = datetime(2001, 1, 1, tzinfo=UTC)
"""Where lengths of time are measured from; any moment does."""
WORKS_AT: Final[dict[str, _StrPromise]] = {
    "embedded": gettext_lazy("in the servers"),
    "external": gettext_lazy("in processes of their own"),
    "off": gettext_lazy("nowhere"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One fact with its name."""

    label: str
    cell: Cell
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusState(State):
    """What the status page shows."""

    problems: tuple[str, ...]
    facts: tuple[Fact, ...]
    processes: Table
    chores: tuple[Fact, ...]


def may_see(rights: Rights) -> bool:
    """Whether the viewer may see how the system stands: staff, not a partner's login."""
    return rights.is_staff


def read_state(viewpoint: Viewpoint) -> StatusState:
    """Return how everything stands now."""
    with pages.one_moment(viewpoint) as moment:
        found = system.look()
    return StatusState(
        **moment.header,
        problems=tuple(str(PROBLEMS[code]) for code in found.problems),
        facts=_facts(found),
        processes=_processes(found),
        chores=tuple(
            Fact(label=str(CHORES.get(name, name)), cell=_moment(done_at, never=gettext("not yet")))
            for name, done_at in found.chores
        ),
    )


def _facts(found: System) -> tuple[Fact, ...]:
    number = wording.whole_number
    unnumbered = gettext("more than %(count)s") if found.unnumbered > system.COUNTED else "%(count)s"
    kept = found.head - found.oldest
    return (
        Fact(
            label=gettext("Newest event"),
            cell=Cell(text=number(found.head), raw=str(found.head), metric="head"),
            note=gettext("Cursor %(cursor)s") % {"cursor": found.cursor},
        ),
        Fact(label=gettext("Numbered last"), cell=_moment(found.last_numbered_at, never=wording.NONE)),
        Fact(
            label=gettext("Events without a number"),
            cell=Cell(
                text=unnumbered % {"count": number(min(found.unnumbered, system.COUNTED))},
                raw=str(found.unnumbered),
                metric="unnumbered",
                tone=_tone("unnumbered", found),
            ),
            note=_age(found.unnumbered_since, now=found.time),
        ),
        Fact(
            label=gettext("Hubs behind the log"),
            cell=Cell(text=number(found.lag), raw=str(found.lag), metric="lag"),
        ),
        Fact(
            label=gettext("Hits lost"),
            cell=Cell(
                text=number(found.lost_hits.total()),
                raw=str(found.lost_hits.total()),
                metric="lost",
                tone="bad" if found.lost_hits else "neutral",
            ),
            note=_reasons(found.lost_hits) or gettext("Since the servers of now were started"),
        ),
        Fact(
            label=gettext("Feed clients"),
            cell=_sum(found, "watchers"),
        ),
        Fact(
            label=gettext("Open dashboards"),
            cell=_sum(found, "screens"),
        ),
        Fact(
            label=gettext("Worker's last heartbeat"),
            cell=_moment(found.heartbeat, never=gettext("never"), tone=_tone("no-worker", found)),
            note=gettext("Deliveries are made %(where)s") % {"where": WORKS_AT.get(found.works_at, found.works_at)},
        ),
        Fact(
            label=gettext("Channel layer"),
            cell=Cell(text=found.channel_layer.rpartition(".")[2] or gettext("none")),
            note=gettext("Reaches other processes")
            if found.crosses_processes
            else gettext("Other processes look for themselves every second"),
        ),
        Fact(
            label=gettext("Events kept"),
            cell=Cell(text=number(kept), raw=str(kept), metric="kept"),
            note=gettext("For %(time)s") % {"time": _span(found.feed_retention)},
        ),
        Fact(
            label=gettext("Hits kept whole"),
            cell=Cell(text=gettext("for ever") if found.retention is None else _span(found.retention)),
        ),
        Fact(
            label=gettext("Events after the totals"),
            cell=Cell(
                text=number(max(0, found.head - found.rolled_up)),
                raw=str(max(0, found.head - found.rolled_up)),
                tone=_tone("rollups", found),
            ),
        ),
    )


def _reasons(lost: Mapping[str, int]) -> str:
    """Return why hits were lost, and how many for each reason."""
    return "; ".join(
        gettext("%(count)s: %(reason)s") % {"count": wording.whole_number(number), "reason": LOST.get(reason, reason)}
        for reason, number in sorted(lost.items())
    )


def _tone(problem: str, found: System) -> Tone:
    return "bad" if problem in found.problems else "neutral"


def _sum(found: System, name: str) -> Cell:
    total = sum(getattr(process, name) for process in found.living)
    return Cell(text=wording.whole_number(total), raw=str(total), metric=name)


def _processes(found: System) -> Table:
    return Table(
        caption=gettext("Processes"),
        headings=(
            Heading(key="name", label=gettext("Process")),
            Heading(key="kind", label=gettext("Kind")),
            Heading(key="state", label=gettext("State")),
            Heading(key="seen", label=gettext("Heard of")),
            Heading(key="started", label=gettext("Started"), minor=True),
            Heading(key="hub", label=gettext("Hub's place"), numeric=True),
            Heading(key="watchers", label=gettext("Feed clients"), numeric=True),
            Heading(key="behind", label=gettext("Slowest behind"), numeric=True, minor=True),
            Heading(key="screens", label=gettext("Dashboards"), numeric=True),
        ),
        rows=tuple(_row(process) for process in found.processes),
        empty=Empty(
            title=gettext("No process has said anything yet"),
            text=gettext("Servers and workers say every few seconds that they live."),
        ),
    )


def _row(process: Process) -> TableRow:
    host, pid, _start = [*process.name.rsplit(":", 2), "", ""][:3]
    kind = str(KINDS.get(process.kind, process.kind))
    if process.interface == "wsgi":
        kind = gettext("server under WSGI, not live")
    elif process.kind == "server" and process.worker:
        kind = gettext("server with worker")
    number = wording.whole_number
    return TableRow(
        id=f"process-{pid}-{process.started_at:%Y%m%d%H%M%S%f}",
        tone="neutral" if process.alive else "bad",
        cells=(
            Cell(text=f"{host.partition('/')[0]} {pid}".strip(), raw=process.name),
            Cell(text=kind),
            Cell(text=gettext("lives") if process.alive else gettext("gone"), tone="good" if process.alive else "bad"),
            Cell(time=process.seen_at),
            Cell(time=process.started_at),
            Cell(text=wording.NONE if process.hub_seq is None else _place(process.hub_seq, process.hub_lag)),
            Cell(text=number(process.watchers)),
            Cell(text=number(process.behind)),
            Cell(text=number(process.screens)),
        ),
    )


def _place(place: int, lag: int) -> str:
    return (
        f"{wording.whole_number(place)} (\N{MINUS SIGN}{wording.whole_number(lag)})"
        if lag
        else wording.whole_number(place)
    )


def _moment(moment: datetime | None, *, never: str, tone: Tone = "neutral") -> Cell:
    return Cell(text=never, tone=tone) if moment is None else Cell(time=moment, tone=tone)


def _age(since: datetime | None, *, now: datetime) -> str:
    return "" if since is None else gettext("The oldest for %(time)s") % {"time": timesince(since, now)}


def _span(length: timedelta) -> str:
    """Return a length of time in words, from a day on in whole days: nobody counts a window in months and weeks."""
    if length.days:
        return ngettext("%(days)s day", "%(days)s days", length.days) % {"days": length.days}
    return timesince(SOME_MOMENT, SOME_MOMENT + length)


@transaction.non_atomic_requests
@require_safe
@dashboard_headers
def status_json(request: HttpRequest) -> HttpResponse:
    """Answer with the same facts for a monitor; its `status` says whether something is wrong. For staff only."""
    if not request.user.is_authenticated:
        return JsonResponse({"error": "unauthorized"}, status=HTTPStatus.UNAUTHORIZED)
    rights = access.rights_of(request.user)
    if rights is None or not may_see(rights):
        return JsonResponse({"error": "forbidden"}, status=HTTPStatus.FORBIDDEN)
    with snapshots.one_moment():
        found = system.look()
    return JsonResponse(found.as_json())


PAGE = Page(
    name="status",
    template="status.html",
    regions=("system", "cursor"),
    read=read_state,
    title=lambda _: gettext("Status"),
    tab=gettext_lazy("Status"),
    may_see=may_see,
)
