"""The delivery console: what needs somebody, the endpoints, and the log of deliveries."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from livereferrals import ids
from livereferrals.callbacks import holds, stories
from livereferrals.callbacks.models import Delivery, DeliveryKind, DeliveryState, Subscription
from livereferrals.callbacks.outcomes import Outcome
from livereferrals.dashboard import endpoints, narrowing, pages, tables
from livereferrals.dashboard.addresses import address
from livereferrals.dashboard.endpoints import may_see
from livereferrals.dashboard.filters import Field
from livereferrals.dashboard.listing import Column, Listing, no_rows
from livereferrals.dashboard.pages import Page, State
from livereferrals.dashboard.scoping import visible
from livereferrals.dashboard.tables import Cell, Empty
from livereferrals.tracking.models import Confirmation, Partner

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.utils.functional import _StrPromise

    from livereferrals.dashboard.pages import Moment
    from livereferrals.dashboard.rows import Tone
    from livereferrals.dashboard.tables import Table
    from livereferrals.dashboard.viewpoints import Viewpoint

SHORT_OUTCOMES: Final[dict[str, _StrPromise]] = {
    Outcome.OK: gettext_lazy("delivered"),
    Outcome.REDIRECT: gettext_lazy("redirect"),
    Outcome.GONE: gettext_lazy("gone"),
    Outcome.THROTTLED: gettext_lazy("throttled"),
    Outcome.CLIENT_ERROR: gettext_lazy("refused (4xx)"),
    Outcome.SERVER_ERROR: gettext_lazy("server error"),
    Outcome.TIMEOUT_CONNECT: gettext_lazy("no connection"),
    Outcome.TIMEOUT: gettext_lazy("timeout"),
    Outcome.DNS: gettext_lazy("DNS"),
    Outcome.CONNECT: gettext_lazy("connection refused"),
    Outcome.TLS: gettext_lazy("TLS"),
    Outcome.DISCONNECTED: gettext_lazy("hung up"),
    Outcome.PROTOCOL: gettext_lazy("not HTTP"),
    Outcome.BLOCKED: gettext_lazy("blocked"),
    Outcome.UNRENDERABLE: gettext_lazy("unrenderable"),
    Outcome.ERROR: gettext_lazy("our error"),
    Outcome.CANCELLED: gettext_lazy("shutdown"),
    Outcome.LOST: gettext_lazy("lost"),
}
"""The outcomes in a menu; in full they are too long for one."""
STATE = Field(
    name="state",
    label=gettext_lazy("State"),
    choices=tuple(DeliveryState.values),
    labels={"": gettext_lazy("All states"), **dict(DeliveryState.choices)},
)
OUTCOME = Field(
    name="outcome",
    label=gettext_lazy("Outcome"),
    choices=tuple(Outcome.values),
    labels={"": gettext_lazy("All outcomes"), **SHORT_OUTCOMES},
)
PARTNER = Field(name="partner", label=gettext_lazy("Partner"))
DAY = Field(name="day", label=gettext_lazy("Day, as 2026-05-31"), pattern=r"\d{4}-\d\d-\d\d")
SEARCH = Field(name="q", label=gettext_lazy("Reference or id"))
SUBSCRIPTION = Field(name="subscription", pattern=r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
RELATED: Final = ("subscription__partner", "subscription__endpoint__state_changed_by", "confirmation")
CLOCKS_AGREE: Final = timedelta(hours=1)
"""An id's own time and the database's time of the row differ by less."""
UNDELIVERED: Final = [state for state in DeliveryState if state != DeliveryState.DELIVERED]
TONES: Final[dict[str, Tone]] = {DeliveryState.DELIVERED: "good", DeliveryState.DEAD: "bad"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleState(State):
    """What the console shows."""

    needs: tuple[Cell, ...]
    """What needs somebody, one line each."""
    endpoints: Table
    table: Table


def _rows(viewpoint: Viewpoint, _moment: Moment) -> QuerySet[Delivery]:
    filters = viewpoint.filters
    # Not joined: SQLite would begin with the partners, and sort all deliveries of each.
    rows = visible(Delivery.objects.prefetch_related(*RELATED), rights=viewpoint.rights)
    if state := filters.value(STATE):
        rows = rows.filter(state=state)
    if outcome := filters.value(OUTCOME):
        rows = rows.filter(last_outcome=outcome)
        # A failure is looked for among what is not delivered, by the index of states.
        rows = rows if outcome == Outcome.OK else rows.filter(state__in=UNDELIVERED)
    if partner := filters.value(PARTNER):
        rows = rows.filter(subscription_id__in=_subscriptions_of(partner))
    if subscription := filters.value(SUBSCRIPTION):
        named = Subscription.objects.filter(uid=subscription).values_list("pk", flat=True)
        rows = rows.filter(subscription_id__in=list(named))
    if day := filters.value(DAY):
        rows = rows.filter(_made_on(day))
    if text := filters.value(SEARCH):
        rows = rows.filter(_found_by(text))
    return rows


def _subscriptions_of(text: str) -> list[int]:
    partners = Partner.objects.filter(Q(uid=text) | Q(name__istartswith=text)).values("pk")[:50]
    return list(
        Subscription.objects.filter(partner__in=list(partners.values_list("pk", flat=True))).values_list(
            "pk", flat=True
        )
    )


def _made_on(text: str) -> Q:
    """Match the rows of a day in the project's zone; ids are in the order of time, so that their index bounds it."""
    bounds = narrowing.bounds_of(text)
    made = narrowing.within(bounds, column="created_at")
    if bounds is None:
        return made
    begin, end = bounds
    return made & Q(pk__gte=ids.first_uuid(begin - CLOCKS_AGREE), pk__lt=ids.first_uuid(end + CLOCKS_AGREE))


def _found_by(text: str) -> Q:
    by_reference = Q(confirmation__in=list(Confirmation.objects.filter(reference=text).values_list("pk", flat=True)))
    try:
        key = uuid.UUID(text)
    except ValueError:
        return by_reference
    return by_reference | Q(pk=key) | Q(confirmation=key)


def _state_cell(row: Delivery, _viewpoint: Viewpoint) -> Cell:
    words = row.get_state_display()
    if row.kind != DeliveryKind.CONFIRMATION:
        words = f"{row.get_kind_display()}, {words}"
    if row.end_reason:
        words = f"{words}: {row.get_end_reason_display()}"
    return Cell(text=words, tone=TONES.get(row.state, "neutral"))


def _next_cell(row: Delivery, viewpoint: Viewpoint) -> Cell:
    if row.state != DeliveryState.WAITING:
        return Cell()
    is_test = row.kind == DeliveryKind.TEST
    now, for_staff = timezone.now(), viewpoint.rights.is_staff
    hold = None if is_test else holds.hold_of(row.subscription.endpoint, now=now, for_staff=for_staff)
    if hold is not None and hold.until is None:
        return Cell(text=gettext("on hold: %(why)s") % {"why": hold.text}, tone="warn")
    return Cell(time=max(row.due_at, hold.until) if hold is not None and hold.until else row.due_at, countdown=True)


def _outcome_cell(row: Delivery, _viewpoint: Viewpoint) -> Cell:
    words = stories.outcome_in_words(row.last_outcome)
    return Cell(text=f"{words} ({row.last_status})" if row.last_status else words)


def _reference(row: Delivery, _viewpoint: Viewpoint) -> Cell:
    return Cell(text=row.confirmation.reference or "" if row.confirmation is not None else "")


def _empty(viewpoint: Viewpoint) -> Empty:
    if viewpoint.filters.others:
        return no_rows(gettext("No such delivery"))
    return Empty(
        title=gettext("No deliveries yet"),
        text=gettext("When a confirmation is owed to a partner's server, its call shows here."),
    )


LISTING: Listing[Delivery] = Listing(
    name="deliveries",
    caption=gettext_lazy("Deliveries"),
    columns=(
        Column(
            key="made",
            label=gettext_lazy("Made"),
            cell=lambda row, _: Cell(time=row.created_at, url=address("delivery", row.pk)),
            order=("-id",),
        ),
        Column(
            key="subscription",
            label=gettext_lazy("Partner, trigger"),
            cell=lambda row, _: Cell(text=str(row.subscription)),
        ),
        Column(key="reference", label=gettext_lazy("Reference"), cell=_reference),
        Column(key="state", label=gettext_lazy("State"), cell=_state_cell),
        Column(key="outcome", label=gettext_lazy("Last outcome"), cell=_outcome_cell),
        Column(
            key="attempts",
            label=gettext_lazy("Attempts"),
            cell=lambda row, _: Cell(text=str(row.attempts)),
            numeric=True,
            minor=True,
        ),
        Column(key="next", label=gettext_lazy("Next attempt"), cell=_next_cell),
    ),
    rows=_rows,
    order="made",
    empty=_empty,
)
FIELDS = (*LISTING.fields, STATE, OUTCOME, PARTNER, DAY, SEARCH, SUBSCRIPTION)


def read_console(viewpoint: Viewpoint) -> ConsoleState:
    """Return what the console shows now."""
    with pages.one_moment(viewpoint) as moment:
        return ConsoleState(
            **moment.header,
            needs=moment.part("delivery_needs", lambda: endpoints.needs_of(viewpoint, now=moment.now), ()),
            endpoints=moment.part(
                "delivery_endpoints",
                lambda: endpoints.table_of(endpoints.newest(viewpoint), viewpoint, now=moment.now),
                tables.NOTHING,
            ),
            table=moment.part("list", lambda: LISTING.table(viewpoint, moment, fields=FIELDS), tables.NOTHING),
        )


PAGE = Page(
    name="deliveries",
    template="deliveries.html",
    regions=("delivery_needs", "delivery_endpoints", "list", "cursor"),
    read=read_console,
    title=lambda _: gettext("Deliveries"),
    tab=gettext_lazy("Deliveries"),
    may_see=may_see,
    fields=FIELDS,
    exports=True,
)
