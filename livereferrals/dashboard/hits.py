"""The hits: every following of a link, with filters for what is looked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Q
from django.utils.translation import gettext, gettext_lazy

from livereferrals.dashboard import narrowing, pages, people
from livereferrals.dashboard.addresses import address
from livereferrals.dashboard.columns import Column
from livereferrals.dashboard.filters import Field
from livereferrals.dashboard.listing import Listing, no_rows
from livereferrals.dashboard.narrowing import DAY, LINK, PARTNER
from livereferrals.dashboard.pages import Page, State
from livereferrals.dashboard.scoping import visible
from livereferrals.dashboard.tables import Cell, Empty
from livereferrals.tracking import entries
from livereferrals.tracking.models import Device, ReferralHit

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.utils.functional import _StrPromise

    from livereferrals.dashboard.pages import Moment
    from livereferrals.dashboard.tables import Table
    from livereferrals.dashboard.viewpoints import Viewpoint

MARKS: Final[dict[str, _StrPromise]] = {
    "repeat": gettext_lazy("repeat"),
    "self_referral": gettext_lazy("self-referral"),
    "bot": gettext_lazy("bot"),
    "flagged_by": gettext_lazy("flagged"),
    "no_consent": gettext_lazy("without consent"),
}
"""Why a hit counts less than others, by the column that says so."""
CLAIMED, CONFIRMED, FLAGGED = "claimed", "confirmed", "flagged_by"
DEVICE = Field(
    name="device",
    label=gettext_lazy("Device"),
    choices=tuple(Device.values),
    labels={"": gettext_lazy("All devices"), **dict(Device.choices)},
)
MARK = Field(
    name="mark",
    label=gettext_lazy("Marked"),
    choices=(*MARKS, CLAIMED, CONFIRMED),
    labels={
        "": gettext_lazy("All hits"),
        **MARKS,
        CLAIMED: gettext_lazy("claimed"),
        CONFIRMED: gettext_lazy("confirmed"),
    },
)
SEARCH = Field(name="q", label=gettext_lazy("Id of a hit or visitor"))
RELATED: Final = ("link", "partner", "user")


@dataclass(frozen=True, slots=True, kw_only=True)
class HitsState(State):
    """What the page of hits shows."""

    table: Table


def _rows(viewpoint: Viewpoint, _moment: Moment) -> QuerySet[ReferralHit]:
    filters, rights = viewpoint.filters, viewpoint.rights
    # Links apart: joined, SQLite begins with them and sorts all hits, once it has statistics (`ANALYZE`).
    rows = visible(ReferralHit.objects.select_related("partner", "user").prefetch_related("link"), rights=rights)
    if partner := filters.value(PARTNER):
        rows = rows.filter(narrowing.of_partner(partner, rights))
    if link := filters.value(LINK):
        rows = rows.filter(narrowing.of_link(link, rights))
    if device := filters.value(DEVICE):
        rows = rows.filter(device=device)
    if day := filters.value(DAY):
        rows = rows.filter(narrowing.on_day(day, column="created_at"))
    if mark := filters.value(MARK):
        rows = rows.filter(_marked(mark))
    if text := filters.value(SEARCH):
        found = narrowing.as_uuid(text)
        rows = rows.filter(Q(pk=found) | Q(visitor=found)) if found is not None else rows.none()
    return rows


def _marked(mark: str) -> Q:
    if mark == CLAIMED:
        return Q(user__isnull=False)
    if mark == CONFIRMED:
        return Q(confirmed_at__isnull=False)
    return ~Q(flagged_by="") if mark == FLAGGED else Q(**{mark: True})


def link_cell(row: ReferralHit, _viewpoint: Viewpoint) -> Cell:
    """Return the link with its page."""
    return Cell(text=row.link.identifier, url=address("link", row.link_id))


def partner_cell(row: Any, _viewpoint: Viewpoint) -> Cell:
    """Return the partner of a hit or a confirmation with its page."""
    if row.partner is None:
        return Cell()
    return Cell(text=row.partner.name, url=address("partner", row.partner.uid))


def state_cell(row: ReferralHit, _viewpoint: Viewpoint) -> Cell:
    """Return whether the hit was confirmed, counts, or why it counts less."""
    if row.confirmed_at is not None:
        return Cell(text=gettext("confirmed"), tone="good")
    words = [str(label) for name, label in MARKS.items() if getattr(row, name) and name != FLAGGED]
    if row.flagged_by:
        words.append(gettext("flagged by %(rule)s") % {"rule": row.flagged_by})
    return Cell(text=", ".join(words) if words else gettext("counted"), tone="warn" if words else "neutral")


def _empty(viewpoint: Viewpoint) -> Empty:
    if viewpoint.filters.others:
        return no_rows(gettext("No such hit"))
    return no_hits()


def no_hits() -> Empty:
    """Return what stands where there is no hit yet."""
    return Empty(
        title=gettext("No hits yet"),
        text=gettext("When somebody follows a link, it shows here."),
        url=address("links"),
        link=gettext("Choose a link to share"),
    )


LISTING: Listing[ReferralHit] = Listing(
    name="hits",
    caption=gettext_lazy("Hits"),
    columns=(
        Column(
            key="time",
            label=gettext_lazy("Time"),
            cell=lambda row, _: Cell(time=row.created_at),
            order=("-created_at", "-id"),
        ),
        Column(key="link", label=gettext_lazy("Link"), cell=link_cell),
        Column(key="partner", label=gettext_lazy("Partner"), cell=partner_cell),
        Column(
            key="landing",
            label=gettext_lazy("Led to"),
            cell=lambda row, _: Cell(text=entries.landing(row.entry_url) or ""),
            minor=True,
        ),
        Column(
            key="referrer",
            label=gettext_lazy("Came from"),
            cell=lambda row, _: Cell(text=entries.referrer_host(row.referer) or ""),
            minor=True,
        ),
        Column(
            key="device",
            label=gettext_lazy("Device"),
            cell=lambda row, _: Cell(text=str(Device(row.device).label), raw=row.device),
            minor=True,
        ),
        Column(
            key="visitor",
            label=gettext_lazy("Visitor"),
            cell=lambda row, viewpoint: people.visitor_cell(row.visitor_id, viewpoint.rights),
        ),
        Column(
            key="user",
            label=gettext_lazy("User"),
            cell=lambda row, viewpoint: people.user_cell(row, viewpoint.rights),
            minor=True,
        ),
        Column(key="state", label=gettext_lazy("State"), cell=state_cell),
    ),
    rows=_rows,
    order="time",
    empty=_empty,
)
FIELDS = (*LISTING.fields, MARK, DEVICE, PARTNER, LINK, DAY, SEARCH)


def read_state(viewpoint: Viewpoint) -> HitsState:
    """Return what the page shows now."""
    with pages.one_moment(viewpoint) as moment:
        table = LISTING.table(viewpoint, moment, fields=FIELDS)
    return HitsState(**moment.header, table=table)


PAGE = Page(
    name="hits",
    template="list.html",
    regions=("list", "cursor"),
    read=read_state,
    title=lambda _: gettext("Hits"),
    tab=gettext_lazy("Hits"),
    fields=FIELDS,
    exports=True,
)
