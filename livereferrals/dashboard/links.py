"""The links that partners, users and the house share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Q
from django.utils.translation import gettext, gettext_lazy

from livereferrals.dashboard import pages
from livereferrals.dashboard.filters import Field
from livereferrals.dashboard.listing import Column, Listing, no_rows
from livereferrals.dashboard.pages import Page, State
from livereferrals.dashboard.scoping import visible
from livereferrals.dashboard.tables import Cell, Empty
from livereferrals.tracking.models import LinkOwner, ReferralLink

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from livereferrals.dashboard.pages import Moment
    from livereferrals.dashboard.tables import Table
    from livereferrals.dashboard.viewpoints import Viewpoint

OWNER = Field(
    name="owner",
    label=gettext_lazy("Owner"),
    choices=tuple(LinkOwner.values),
    labels={"": gettext_lazy("All owners"), **dict(LinkOwner.choices)},
)
SEARCH = Field(name="q", label=gettext_lazy("Link or partner"))


@dataclass(frozen=True, slots=True, kw_only=True)
class LinksState(State):
    """What the page of links shows."""

    table: Table


def _rows(viewpoint: Viewpoint, _moment: Moment) -> QuerySet[ReferralLink]:
    rows = visible(ReferralLink.objects.select_related("partner", "user"), rights=viewpoint.rights)
    if owner := viewpoint.filters.value(OWNER):
        rows = rows.filter(owner=owner)
    if text := viewpoint.filters.value(SEARCH):
        rows = rows.filter(Q(identifier__istartswith=text) | Q(partner__name__istartswith=text))
    return rows


def _empty(viewpoint: Viewpoint) -> Empty:
    if viewpoint.filters.others:
        return no_rows(gettext("No such link"))
    return Empty(
        title=gettext("No links yet"), text=gettext("Each partner has a link from the day that it is created.")
    )


def _owner(row: ReferralLink, _viewpoint: Viewpoint) -> Cell:
    return Cell(text=row.partner.name if row.partner else str(LinkOwner(row.owner).label))


LISTING: Listing[ReferralLink] = Listing(
    name="links",
    caption=gettext_lazy("Links"),
    columns=(
        Column(
            key="link",
            label=gettext_lazy("Link"),
            cell=lambda row, _: Cell(text=row.identifier),
            order=("identifier",),
        ),
        Column(key="owner", label=gettext_lazy("Belongs to"), cell=_owner),
        Column(key="target", label=gettext_lazy("Leads to"), cell=lambda row, _: Cell(text=row.target), minor=True),
        Column(
            key="created",
            label=gettext_lazy("Created"),
            cell=lambda row, _: Cell(time=row.created_at),
            order=("-created_at", "-id"),
            minor=True,
        ),
    ),
    rows=_rows,
    order="created",
    empty=_empty,
)
FIELDS = (*LISTING.fields, OWNER, SEARCH)


def read_state(viewpoint: Viewpoint) -> LinksState:
    """Return what the page shows now."""
    with pages.one_moment(viewpoint) as moment:
        table = LISTING.table(viewpoint, moment, fields=FIELDS)
    return LinksState(**moment.header, table=table)


PAGE = Page(
    name="links",
    template="list.html",
    regions=("list", "cursor"),
    read=read_state,
    title=lambda _: gettext("Links"),
    tab=gettext_lazy("Links"),
    fields=FIELDS,
    exports=True,
)
