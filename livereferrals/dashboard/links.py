"""The links that partners, users and the house share, with their numbers in the chosen range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext, gettext_lazy

from livereferrals import conf
from livereferrals.dashboard import narrowing, pages, people, sharing, tallies
from livereferrals.dashboard.addresses import address
from livereferrals.dashboard.columns import Column
from livereferrals.dashboard.filters import Field
from livereferrals.dashboard.listing import Listing, no_rows
from livereferrals.dashboard.pages import Page, State
from livereferrals.dashboard.scoping import visible
from livereferrals.dashboard.sources import By
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
LAST = chr(0x10FFFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinksState(State):
    """What the page of links shows."""

    table: Table


def _rows(viewpoint: Viewpoint, _moment: Moment) -> QuerySet[ReferralLink]:
    rows = visible(ReferralLink.objects.select_related("partner", "user"), rights=viewpoint.rights)
    if owner := viewpoint.filters.value(OWNER):
        rows = rows.filter(owner=owner)
    if text := viewpoint.filters.value(SEARCH):
        begun = narrowing.begins("identifier", text, using=rows.db)
        rows = rows.filter(begun | narrowing.of_partner(text, viewpoint.rights))
    return rows


def owner_cell(row: ReferralLink, viewpoint: Viewpoint) -> Cell:
    """Return whose link it is; of a user's by name only for those who may know people."""
    if row.partner is not None:
        return Cell(text=row.partner.name, url=address("partner", row.partner.uid))
    if row.user is not None and people.may_see(viewpoint.rights):
        return Cell(text=str(row.user))
    return Cell(text=str(LinkOwner(row.owner).label), raw=row.owner)


def _empty(viewpoint: Viewpoint) -> Empty:
    if viewpoint.filters.others:
        return no_rows(gettext("No such link"))
    return Empty(
        title=gettext("No links yet"), text=gettext("Each partner has a link from the day that it is created.")
    )


LISTING: Listing[ReferralLink] = Listing(
    name="links",
    caption=gettext_lazy("Links"),
    columns=(
        Column(
            key="link",
            label=gettext_lazy("Link"),
            cell=lambda row, _: Cell(text=row.identifier, url=address("link", row.pk)),
            order=("identifier",),
        ),
        Column(
            key="address",
            label=gettext_lazy("Address"),
            cell=lambda row, _: Cell(text=sharing.link_address(row), copy=True),
        ),
        Column(key="owner", label=gettext_lazy("Belongs to"), cell=owner_cell),
        Column(
            key="target",
            label=gettext_lazy("Leads to"),
            cell=lambda row, _: Cell(text=row.target or conf.settings.DEFAULT_REDIRECT),
            minor=True,
        ),
        *tallies.columns(key="pk"),
        Column(
            key="created",
            label=gettext_lazy("Created"),
            cell=lambda row, _: Cell(time=row.created_at),
            # Ids are in the order of time.
            order=("-id",),
            minor=True,
        ),
    ),
    rows=_rows,
    order="created",
    empty=_empty,
    complete=tallies.complete(By.LINK, key="pk"),
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
    ranged=True,
)
