"""The signal inspector: which triggers there are, whether they are connected, and what each decided, and why."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Sum
from django.utils.translation import gettext, gettext_lazy

from livereferrals.dashboard import pages, wording
from livereferrals.dashboard.addresses import address
from livereferrals.dashboard.pages import Page, State
from livereferrals.dashboard.tables import Cell, Empty, Heading, Table, TableRow
from livereferrals.tracking import sentences
from livereferrals.tracking.models import Partner
from livereferrals.tracking.reasons import Reason
from livereferrals.triggers import connections
from livereferrals.triggers.models import TriggerCount, TriggerFiring

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from livereferrals.dashboard.access import Rights
    from livereferrals.dashboard.rows import Tone
    from livereferrals.dashboard.viewpoints import Viewpoint
    from livereferrals.triggers.connections import Connection

COUNTED_FOR: Final = timedelta(days=7)
FIRINGS: Final = 20
STRANGERS: Final = 20
"""Names that fired without being declared, at most."""
HITS: Final = 3
"""Hits of a decision that are named."""
FAILED: Final = (Reason.ERROR, Reason.BAD_MAPPING)
TONES: Final[dict[str, Tone]] = {Reason.CONFIRMED: "good", **dict.fromkeys(FAILED, "bad")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """One trigger as the inspector shows it."""

    key: str
    """For ids of elements."""
    name: str
    standing: Cell
    why: tuple[str, ...]
    """Why it does not fire."""
    parts: tuple[tuple[str, str], ...]
    """Signal, sender and receiver, each with its name."""
    counts: tuple[tuple[str, Cell], ...]
    last: Cell | None
    firings: Table


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectorState(State):
    """What the inspector shows."""

    unreadable: tuple[str, ...]
    """Entries of the settings that are no triggers."""
    triggers: tuple[Inspected, ...]
    try_url: str
    """Where a dry run is made; empty: the viewer may not."""


def may_see(rights: Rights) -> bool:
    """Whether the viewer may see what triggers decided: staff with the permission, never a partner's login."""
    return rights.is_staff and rights.may("view_triggerfiring")


def may_try(rights: Rights) -> bool:
    """Whether the viewer may ask what would become of somebody: that tells which links a person has followed."""
    return may_see(rights) and rights.may("view_visitor")


def read_state(viewpoint: Viewpoint) -> InspectorState:
    """Return every trigger with its last firings: two queries, one for each trigger, and one for partners' names."""
    declared = connections.connections()
    with pages.one_moment(viewpoint) as moment:
        counts = _counts(since=moment.now - COUNTED_FOR)
        strangers = sorted(counts.keys() - {each.name for each in declared})[:STRANGERS]
        names = [*(each.name for each in declared), *strangers]
        fired = {name: list(TriggerFiring.objects.filter(trigger=name).order_by("-pk")[:FIRINGS]) for name in names}
        partners = _partners(fired.values())
    known = {each.name: each for each in declared}
    return InspectorState(
        **moment.header,
        unreadable=connections.unreadable(),
        try_url=address("dry_run") if declared and may_try(viewpoint.rights) else "",
        triggers=tuple(
            _inspected(str(number), name, known.get(name), counts=counts[name], firings=fired[name], partners=partners)
            for number, name in enumerate(names, 1)
        ),
    )


def _counts(*, since: datetime) -> defaultdict[str, dict[str, int]]:
    """Return how often each trigger decided what. One query."""
    rows = TriggerCount.objects.filter(hour__gt=since).order_by().values_list("trigger", "reason")
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for trigger, reason, count in rows.annotate(total=Sum("count")):
        found[trigger][reason] = count
    return found


def _partners(fired: Iterable[list[TriggerFiring]]) -> dict[str, str]:
    """Return the names of the partners that the decisions speak of. One query."""
    uids = {uid for firings in fired for each in firings for uid in sentences.partners_in(each.trace or {})}
    return dict(Partner.objects.filter(uid__in=uids).values_list("uid", "name")) if uids else {}


def _inspected(
    key: str,
    name: str,
    connection: Connection | None,
    *,
    counts: Mapping[str, int],
    firings: list[TriggerFiring],
    partners: Mapping[str, str],
) -> Inspected:
    return Inspected(
        key=key,
        name=name,
        standing=_standing(connection),
        why=() if connection is None else connection.why_not,
        parts=_parts(connection),
        counts=_in_four(key, counts),
        last=Cell(time=firings[0].fired_at) if firings else None,
        firings=_table(key, firings, partners),
    )


def _standing(connection: Connection | None) -> Cell:
    if connection is None:
        return Cell(text=gettext("Not in the settings: it confirms nothing"), tone="bad")
    if not connection.connected:
        return Cell(text=gettext("Not connected"), tone="bad")
    if not connection.enabled:
        return Cell(text=gettext("Connected, but switched off"), tone="warn")
    if connection.why_not:
        return Cell(text=gettext("Connected, but it hears nothing"), tone="bad")
    return Cell(text=gettext("Connected"), tone="good")


def _parts(connection: Connection | None) -> tuple[tuple[str, str], ...]:
    if connection is None:
        return ()
    return (
        (gettext("Signal"), connection.signal),
        (gettext("Sender"), connection.sender or gettext("whoever sends it")),
        (gettext("Receiver"), connection.receiver),
    )


def _in_four(key: str, counts: Mapping[str, int]) -> tuple[tuple[str, Cell], ...]:
    fired = sum(counts.values())
    attributed = counts.get(Reason.CONFIRMED, 0)
    failed = sum(counts.get(reason, 0) for reason in FAILED)
    found: tuple[tuple[str, str, int, Tone], ...] = (
        ("fired", gettext("Fired"), fired, "neutral"),
        ("attributed", gettext("Attributed"), attributed, "neutral"),
        ("unattributed", gettext("Not attributed"), fired - attributed - failed, "neutral"),
        ("failed", gettext("Failed"), failed, "bad" if failed else "neutral"),
    )
    return tuple(
        (label, Cell(text=wording.whole_number(count), raw=str(count), metric=f"{name}-{key}", tone=tone))
        for name, label, count, tone in found
    )


def _table(key: str, firings: Iterable[TriggerFiring], partners: Mapping[str, str]) -> Table:
    return Table(
        caption=gettext("Last firings"),
        headings=(
            Heading(key="time", label=gettext("Time")),
            Heading(key="outcome", label=gettext("Outcome")),
            Heading(key="hits", label=gettext("Hits that were looked at")),
            Heading(key="receiver", label=gettext("Receiver"), minor=True),
            Heading(key="duration", label=gettext("Took"), numeric=True, minor=True),
        ),
        rows=tuple(
            TableRow(
                id=f"firing-{each.pk}",
                cells=(
                    Cell(time=each.fired_at),
                    _outcome(each),
                    Cell(text=_hits(each.trace or {}, partners)),
                    Cell(text=each.receiver.rpartition(".")[2]),
                    Cell(text="" if each.duration_ms is None else _milliseconds(each.duration_ms)),
                ),
            )
            for each in firings
        ),
        empty=Empty(
            title=gettext("It has not fired yet"),
            text=gettext("When its signal is sent, what it decides shows here within seconds."),
        ),
    )


def _outcome(firing: TriggerFiring) -> Cell:
    code = firing.reason
    words = str(Reason(code).label) if code in Reason.values else code
    return Cell(
        text=words[:1].upper() + words[1:],
        raw=code,
        url=address("confirmation", firing.confirmation) if firing.confirmation is not None else "",
        tone=TONES.get(code, "neutral"),
    )


def _hits(trace: Mapping[str, Any], partners: Mapping[str, str]) -> str:
    """Return, of the first hits, what became of each and why."""
    story = sentences.told(trace, names=partners)
    said = [
        gettext("%(link)s, %(age)s: %(verdict)s") % {"link": hit.link, "age": hit.age, "verdict": hit.verdict}
        for hit in story.hits[:HITS]
    ]
    more = len(story.hits) - len(said)
    if more or story.omitted:
        said.append("\N{HORIZONTAL ELLIPSIS}")
    return "; ".join(said)


def _milliseconds(duration: float) -> str:
    # Translators: a time in milliseconds.
    return gettext("%(count)s ms") % {"count": wording.whole_number(max(1, round(duration)))}


PAGE = Page(
    name="triggers",
    template="triggers.html",
    regions=("triggers", "cursor"),
    read=read_state,
    title=lambda _: gettext("Triggers"),
    tab=gettext_lazy("Triggers"),
    may_see=may_see,
)
