"""The confirmations: successes credited to hits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db.models import Q
from django.utils.translation import gettext, gettext_lazy

from livereferrals.dashboard import narrowing, pages, people, wording
from livereferrals.dashboard.addresses import address
from livereferrals.dashboard.columns import Column
from livereferrals.dashboard.filters import Field
from livereferrals.dashboard.hits import partner_cell
from livereferrals.dashboard.listing import Listing, no_rows
from livereferrals.dashboard.narrowing import DAY, PARTNER
from livereferrals.dashboard.pages import Page, State
from livereferrals.dashboard.scoping import visible
from livereferrals.dashboard.tables import Cell, Empty
from livereferrals.tracking import amounts
from livereferrals.tracking.models import Confirmation

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from livereferrals.dashboard.access import Rights
    from livereferrals.dashboard.pages import Moment
    from livereferrals.dashboard.tables import Table
    from livereferrals.dashboard.viewpoints import Viewpoint

STANDING: Final = {
    "standing": Q(reversed_at__isnull=True, reversed_micros=0),
    "part": Q(reversed_at__isnull=True, reversed_micros__gt=0),
    "reversed": Q(reversed_at__isnull=False),
}
STATE = Field(
    name="state",
    label=gettext_lazy("State"),
    choices=tuple(STANDING),
    labels={
        "": gettext_lazy("All states"),
        "standing": gettext_lazy("standing"),
        "part": gettext_lazy("reversed in part"),
        "reversed": gettext_lazy("reversed"),
    },
)
TRIGGER = Field(name="trigger", label=gettext_lazy("Trigger"), pattern=r".{1,100}")
SEARCH = Field(name="q", label=gettext_lazy("Reference or id"))
NEWEST: Final = 10
"""Confirmations that the overview shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationsState(State):
    """What the page of confirmations shows."""

    table: Table


def all_visible(rights: Rights) -> QuerySet[Confirmation]:
    """Return the confirmations that the viewer may see, with what a row shows. Two more queries."""
    # Hits apart, for the reason that the list of hits gives.
    rows = Confirmation.objects.select_related("partner", "user").prefetch_related("hit__link")
    return visible(rows, rights=rights)


def _rows(viewpoint: Viewpoint, _moment: Moment) -> QuerySet[Confirmation]:
    filters, rights = viewpoint.filters, viewpoint.rights
    rows = all_visible(rights)
    if state := filters.value(STATE):
        rows = rows.filter(STANDING[state])
    if trigger := filters.value(TRIGGER):
        rows = rows.filter(trigger=trigger)
    if partner := filters.value(PARTNER):
        rows = rows.filter(narrowing.of_partner(partner, rights))
    if day := filters.value(DAY):
        rows = rows.filter(narrowing.on_day(day, column="occurred_at"))
    if text := filters.value(SEARCH):
        rows = rows.filter(_found_by(text))
    return rows


def _found_by(text: str) -> Q:
    found = narrowing.as_uuid(text)
    by_reference = Q(reference=text)
    return by_reference if found is None else by_reference | Q(pk=found) | Q(hit=found)


def state_cell(row: Confirmation, _viewpoint: Viewpoint) -> Cell:
    """Return whether the confirmation still counts."""
    if row.reversed_at is not None:
        return Cell(text=gettext("reversed"), tone="bad")
    if row.reversed_micros:
        return Cell(text=gettext("reversed in part"), tone="warn")
    return Cell(text=gettext("standing"), tone="good")


def amount_cell(row: Confirmation, _viewpoint: Viewpoint) -> Cell:
    """Return the amount as it was confirmed."""
    return money_cell(row.amount_micros, row.currency)


def money_cell(micros: int | None, currency: str) -> Cell:
    """Return an amount with its currency; nothing where there is none."""
    if micros is None:
        return Cell()
    canonical = amounts.canonical_amount(micros, currency)
    return Cell(text=wording.money(amounts.from_micros(micros), currency), raw=f"{canonical} {currency}")


def _empty(viewpoint: Viewpoint) -> Empty:
    return no_rows(gettext("No such confirmation")) if viewpoint.filters.others else no_confirmations()


def no_confirmations() -> Empty:
    """Return what stands where there is no confirmation yet."""
    return Empty(
        title=gettext("No confirmations yet"),
        text=gettext("When a trigger fires for somebody who has followed a link, it shows here."),
    )


LISTING: Listing[Confirmation] = Listing(
    name="confirmations",
    caption=gettext_lazy("Confirmations"),
    columns=(
        Column(
            key="time",
            label=gettext_lazy("Time"),
            cell=lambda row, _: Cell(time=row.occurred_at, url=address("confirmation", row.pk)),
            order=("-occurred_at", "-id"),
        ),
        Column(key="trigger", label=gettext_lazy("Trigger"), cell=lambda row, _: Cell(text=row.trigger)),
        Column(key="reference", label=gettext_lazy("Reference"), cell=lambda row, _: Cell(text=row.reference or "")),
        Column(key="partner", label=gettext_lazy("Partner"), cell=partner_cell),
        Column(
            key="link",
            label=gettext_lazy("Link"),
            cell=lambda row, _: Cell(text=row.hit.link.identifier, url=address("link", row.hit.link_id)),
            minor=True,
        ),
        Column(
            key="visitor",
            label=gettext_lazy("Visitor"),
            cell=lambda row, viewpoint: people.visitor_cell(row.visitor_id, viewpoint.rights),
            minor=True,
        ),
        Column(
            key="user",
            label=gettext_lazy("User"),
            cell=lambda row, viewpoint: people.user_cell(row, viewpoint.rights),
            minor=True,
        ),
        Column(key="state", label=gettext_lazy("State"), cell=state_cell),
        Column(key="amount", label=gettext_lazy("Amount"), cell=amount_cell, numeric=True, needs="view_amounts"),
    ),
    rows=_rows,
    order="time",
    empty=_empty,
)
FIELDS = (*LISTING.fields, STATE, PARTNER, TRIGGER, DAY, SEARCH)


def newest(viewpoint: Viewpoint, moment: Moment) -> Table:
    """Return the newest confirmations for another page. One query."""
    rows = list(all_visible(viewpoint.rights).order_by("-occurred_at", "-id")[:NEWEST])
    return LISTING.excerpt(rows, viewpoint, moment, empty=no_confirmations(), without={"visitor", "user"})


def read_state(viewpoint: Viewpoint) -> ConfirmationsState:
    """Return what the page shows now."""
    with pages.one_moment(viewpoint) as moment:
        table = LISTING.table(viewpoint, moment, fields=FIELDS)
    return ConfirmationsState(**moment.header, table=table)


PAGE = Page(
    name="confirmations",
    template="list.html",
    regions=("list", "cursor"),
    read=read_state,
    title=lambda _: gettext("Confirmations"),
    tab=gettext_lazy("Confirmations"),
    fields=FIELDS,
    exports=True,
)
