"""The endpoints of partners' servers: how their calls go, why they are held; and the page of one of them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from django.db.models import Case, F, IntegerField, Q, Value, When
from django.utils.formats import number_format
from django.utils.translation import gettext

from livereferrals.callbacks import attention, figures, holds
from livereferrals.callbacks.holds import HoldKind
from livereferrals.callbacks.models import Endpoint, EndpointState
from livereferrals.dashboard import pages, wording
from livereferrals.dashboard.addresses import address
from livereferrals.dashboard.narrowing import as_uuid
from livereferrals.dashboard.pages import NoSuchSubjectError, Page, State
from livereferrals.dashboard.scoping import visible
from livereferrals.dashboard.tables import Cell, Empty, Heading, Table, TableRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from livereferrals.callbacks.figures import Figures
    from livereferrals.callbacks.holds import Hold
    from livereferrals.dashboard.access import Rights
    from livereferrals.dashboard.rows import Tone
    from livereferrals.dashboard.viewpoints import Viewpoint

NOTHING: Final = "\N{EN DASH}"
SHOWN: Final = 20
"""Endpoints of the console: those that need somebody first, then those that were called last."""
RELATED: Final = ("subscription__partner", "state_changed_by")


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something that a viewer may do, on a page that asks first."""

    label: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPageState(State):
    """What an endpoint's page shows."""

    name: str
    called: str
    """The address, with its placeholders; empty for a viewer who may not see subscriptions."""
    stand: Cell
    until: Cell | None
    numbers: tuple[tuple[str, str], ...]
    failing: str
    acts: tuple[Act, ...]
    deliveries_url: str


def may_see(rights: Rights) -> bool:
    """Whether the viewer sees deliveries and endpoints."""
    return rights.may("view_delivery")


def newest(viewpoint: Viewpoint) -> list[Endpoint]:
    """Return the endpoints of the console. One query over the endpoints, none over deliveries."""
    rows = visible(Endpoint.objects.select_related(*RELATED), rights=viewpoint.rights)
    in_use = rows.filter(~Q(subscription__callback_url=""), subscription__archived_at__isnull=True)
    urgency = Case(
        When(state=EndpointState.DISABLED, then=Value(0)),
        When(failing_since__isnull=False, then=Value(1)),
        When(state=EndpointState.PAUSED, then=Value(2)),
        default=Value(3),
        output_field=IntegerField(),
    )
    return list(in_use.order_by(urgency, F("failing_since").asc(nulls_last=True), "-last_leased_at", "pk")[:SHOWN])


def table_of(rows: Sequence[Endpoint], viewpoint: Viewpoint, *, now: datetime) -> Table:
    """Return the console's table of these endpoints. Six queries."""
    numbers = figures.of_subscriptions([row.pk for row in rows], now=now)
    return Table(
        caption=gettext("Endpoints"),
        headings=(
            Heading(key="endpoint", label=gettext("Endpoint")),
            Heading(key="state", label=gettext("State")),
            Heading(key="waiting", label=gettext("Waiting"), numeric=True),
            Heading(key="overdue", label=gettext("Due for"), numeric=True, minor=True),
            Heading(key="sending", label=gettext("Under way"), numeric=True, minor=True),
            Heading(key="delivered", label=gettext("Delivered, 1 h"), numeric=True),
            Heading(key="dead", label=gettext("Given up, 7 d"), numeric=True),
            Heading(key="rate", label=gettext("Success, 24 h"), numeric=True),
            Heading(key="p95", label=gettext("p95"), numeric=True, minor=True),
        ),
        rows=tuple(_row(row, numbers[row.pk], viewpoint, now=now) for row in rows),
        empty=Empty(
            title=gettext("No endpoints yet"),
            text=gettext("A partner with a subscription that has a callback address shows here."),
        ),
    )


def _row(row: Endpoint, numbers: Figures, viewpoint: Viewpoint, *, now: datetime) -> TableRow:
    hold = holds.hold_of(row, now=now, for_staff=viewpoint.rights.is_staff)
    name = str(row.subscription)
    return TableRow(
        id=f"endpoint-{row.subscription.uid}",
        cells=(
            Cell(text=name, url=address("endpoint", row.subscription.uid)),
            stand_cell(row, hold),
            Cell(text=waiting_text(numbers), raw=str(numbers.waiting)),
            Cell(text=_span(numbers, now=now)),
            Cell(text=str(numbers.sending)),
            Cell(text=ended_text(numbers.delivered, numbers)),
            Cell(text=ended_text(numbers.dead, numbers), tone="bad" if numbers.dead else "neutral"),
            Cell(text=rate_text(numbers)),
            Cell(text=NOTHING if numbers.p95_ms is None else f"{numbers.p95_ms} ms"),
        ),
    )


def stand_cell(row: Endpoint, hold: Hold | None) -> Cell:
    """Return what holds an endpoint, or how it goes."""
    if hold is not None:
        tone: Tone = "bad" if hold.kind is HoldKind.DISABLED else "warn"
        return Cell(text=hold.text, tone=tone)
    if row.failing_since is not None:
        return Cell(text=gettext("failing"), tone="warn")
    return Cell(text=gettext("in service"), tone="good")


def waiting_text(numbers: Figures) -> str:
    """Return how many wait, as far as they were counted."""
    return f"> {number_format(figures.COUNTED)}" if numbers.is_much else number_format(numbers.waiting)


def ended_text(count: int, numbers: Figures) -> str:
    """Return how many ended so, as far as they were counted."""
    text = number_format(count)
    return f"\N{GREATER-THAN OR EQUAL TO} {text}" if numbers.is_cut else text


def rate_text(numbers: Figures) -> str:
    """Return the part of calls that succeeded."""
    return wording.per_cent(None if numbers.rate is None else Decimal(str(numbers.rate)))


def _span(numbers: Figures, *, now: datetime) -> str:
    minutes = int(numbers.overdue(now).total_seconds() // 60)
    if minutes < 1:
        return ""
    return gettext("%(h)s h %(m)s min") % {"h": minutes // 60, "m": minutes % 60} if minutes >= 60 else f"{minutes} min"


def needs_of(viewpoint: Viewpoint, *, now: datetime) -> tuple[Cell, ...]:
    """Return the lines of the banner, for those who may see subscriptions; they lead to the endpoint for who sees it."""
    if not viewpoint.rights.may("view_subscription"):
        return ()
    found = attention.needs(now=now, partners=viewpoint.rights.partners)
    leads = may_see(viewpoint.rights)
    return tuple(
        Cell(
            text=f"{need.subscription}: {need.text}",
            url=address("endpoint", need.subscription.uid) if leads else "",
        )
        for need in found
    )


def read_state(viewpoint: Viewpoint) -> EndpointPageState:
    """Return what an endpoint's page shows now.

    Raises:
        NoSuchSubjectError: there is no such endpoint, or it is another partner's.
    """
    with pages.one_moment(viewpoint) as moment:
        row = find(viewpoint.subject, viewpoint.rights)
        now = moment.now
        numbers = figures.of_subscriptions([row.pk], now=now)[row.pk]
        hold = holds.hold_of(row, now=now, for_staff=viewpoint.rights.is_staff)
    failing = ""
    if row.failing_since is not None:
        failing = gettext("%(count)s attempts failed in a row, none succeeded") % {"count": row.failed_attempts_since}
    return EndpointPageState(
        **moment.header,
        name=str(row.subscription),
        called=row.subscription.callback_url if viewpoint.rights.may("view_subscription") else "",
        stand=stand_cell(row, hold),
        until=Cell(time=hold.until, countdown=True) if hold is not None and hold.until is not None else None,
        numbers=(
            (gettext("Waiting"), waiting_text(numbers)),
            (gettext("Due for"), _span(numbers, now=now) or NOTHING),
            (gettext("Under way"), str(numbers.sending)),
            (gettext("Delivered, 1 h"), ended_text(numbers.delivered, numbers)),
            (gettext("Given up, 7 d"), ended_text(numbers.dead, numbers)),
            (gettext("Success, 24 h"), rate_text(numbers)),
            (gettext("p50"), NOTHING if numbers.p50_ms is None else f"{numbers.p50_ms} ms"),
            (gettext("p95"), NOTHING if numbers.p95_ms is None else f"{numbers.p95_ms} ms"),
        ),
        failing=failing,
        acts=acts_of(row, hold, viewpoint.rights),
        deliveries_url=f"{address('deliveries')}?subscription={row.subscription.uid}",
    )


def find(subject: str, rights: Rights) -> Endpoint:
    """Return an endpoint that the viewer may see, by its subscription's uid. One query.

    Raises:
        NoSuchSubjectError: there is none.
    """
    uid = as_uuid(subject)
    rows = visible(Endpoint.objects.select_related(*RELATED), rights=rights)
    row = rows.filter(subscription__uid=uid).first() if uid is not None else None
    if row is None:
        raise NoSuchSubjectError(subject)
    return row


def acts_of(row: Endpoint, hold: Hold | None, rights: Rights) -> tuple[Act, ...]:
    """Return what the viewer may do with the endpoint just now."""
    kind = None if hold is None else hold.kind
    if kind in (HoldKind.ARCHIVED, HoldKind.NO_ADDRESS):
        return ()
    label = gettext("Try again now") if kind is HoldKind.GATE else gettext("Enable")
    offered = (
        ("test", gettext("Send a test"), "send_test_callback", True),
        ("pause", gettext("Pause"), "hold_endpoint", kind in (None, HoldKind.GATE, HoldKind.INACTIVE)),
        ("enable", label, "hold_endpoint", kind in (HoldKind.PAUSED, HoldKind.DISABLED, HoldKind.GATE)),
        ("replay", gettext("Replay"), "retry_delivery", True),
    )
    return tuple(
        Act(label=text, url=f"{address('endpoint', row.subscription.uid)}{name}/")
        for name, text, codename, is_of_use in offered
        if is_of_use and rights.may(codename)
    )


PAGE = Page(
    name="endpoint",
    template="deliveries_endpoint.html",
    regions=("delivery_endpoint", "cursor"),
    read=read_state,
    title=lambda state: state.name if isinstance(state, EndpointPageState) else gettext("Endpoint"),
    below="deliveries",
    may_see=may_see,
)
