"""The partners, with their numbers in the chosen range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Q
from django.utils.translation import gettext, gettext_lazy

from livereferrals.dashboard import pages, tallies
from livereferrals.dashboard.addresses import address
from livereferrals.dashboard.columns import Column
from livereferrals.dashboard.filters import Field
from livereferrals.dashboard.listing import Listing, no_rows
from livereferrals.dashboard.pages import Page, State
from livereferrals.dashboard.scoping import visible
from livereferrals.dashboard.sources import By
from livereferrals.dashboard.tables import Cell, Empty
from livereferrals.tracking.models import Partner

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from livereferrals.dashboard.pages import Moment
    from livereferrals.dashboard.tables import Table
    from livereferrals.dashboard.viewpoints import Viewpoint

ACTIVE, INACTIVE = "active", "inactive"
STATE = Field(
    name="state",
    label=gettext_lazy("State"),
    choices=(ACTIVE, INACTIVE),
    labels={
        "": gettext_lazy("All partners"),
        ACTIVE: gettext_lazy("active"),
        INACTIVE: gettext_lazy("not active"),
    },
)
SEARCH = Field(name="q", label=gettext_lazy("Name or uid"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnersState(State):
    """What the page of partners shows."""

    table: Table


def _rows(viewpoint: Viewpoint, _moment: Moment) -> QuerySet[Partner]:
    rows = visible(Partner.objects.all(), rights=viewpoint.rights)
    if state := viewpoint.filters.value(STATE):
        rows = rows.filter(active=state == ACTIVE)
    if text := viewpoint.filters.value(SEARCH):
        rows = rows.filter(Q(name__icontains=text) | Q(uid=text))
    return rows


def state_cell(row: Partner, _viewpoint: Viewpoint) -> Cell:
    """Return whether the partner's links count."""
    if row.active:
        return Cell(text=gettext("active"), raw=ACTIVE, tone="good")
    return Cell(text=gettext("not active"), raw=INACTIVE, tone="warn")


def _empty(viewpoint: Viewpoint) -> Empty:
    if viewpoint.filters.others:
        return no_rows(gettext("No such partner"))
    return Empty(
        title=gettext("No partners yet"),
        text=gettext("Create a partner in the admin; its first link is made with it and shows here."),
    )


LISTING: Listing[Partner] = Listing(
    name="partners",
    key="uid",
    caption=gettext_lazy("Partners"),
    columns=(
        Column(
            key="partner",
            label=gettext_lazy("Partner"),
            cell=lambda row, _: Cell(text=row.name, url=address("partner", row.uid)),
            order=("name", "uid"),
        ),
        Column(key="uid", label=gettext_lazy("uid"), cell=lambda row, _: Cell(text=row.uid), minor=True),
        Column(key="state", label=gettext_lazy("State"), cell=state_cell),
        *tallies.columns(key="uid"),
        Column(
            key="created",
            label=gettext_lazy("Created"),
            cell=lambda row, _: Cell(time=row.created_at),
            order=("-created_at", "-uid"),
            minor=True,
        ),
    ),
    rows=_rows,
    order="partner",
    empty=_empty,
    complete=tallies.complete(By.PARTNER, key="uid"),
)
FIELDS = (*LISTING.fields, STATE, SEARCH)


def read_state(viewpoint: Viewpoint) -> PartnersState:
    """Return what the page shows now."""
    with pages.one_moment(viewpoint) as moment:
        table = LISTING.table(viewpoint, moment, fields=FIELDS)
    return PartnersState(**moment.header, table=table)


PAGE = Page(
    name="partners",
    template="list.html",
    regions=("list", "cursor"),
    read=read_state,
    title=lambda _: gettext("Partners"),
    tab=gettext_lazy("Partners"),
    fields=FIELDS,
    exports=True,
    ranged=True,
)
