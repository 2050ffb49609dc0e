"""The page of one link: where it leads, how to share and to try it, its numbers and its last hits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext

from livereferrals import conf
from livereferrals.dashboard import gauges, hits, links, pages, sharing
from livereferrals.dashboard.addresses import address
from livereferrals.dashboard.pages import Page, State
from livereferrals.dashboard.scoping import visible
from livereferrals.dashboard.sources import Whose
from livereferrals.dashboard.tables import Cell
from livereferrals.tracking.links import refusal
from livereferrals.tracking.models import ReferralHit

if TYPE_CHECKING:
    from livereferrals.dashboard.charts import Chart
    from livereferrals.dashboard.funnels import Stage
    from livereferrals.dashboard.rows import Counter
    from livereferrals.dashboard.tables import Table
    from livereferrals.dashboard.viewpoints import Viewpoint

HITS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPageState(State):
    """What a link's page shows."""

    name: str
    owner: Cell
    stand: Cell
    """Whether following it counts, or why not."""
    share: Cell
    """The address to share; empty where the host has no URL for links."""
    target: str
    trial_url: str
    picture_url: str
    hits_url: str
    counters: tuple[Counter, ...]
    chart: Chart
    funnel: tuple[Stage, ...]
    hits: Table


def read_state(viewpoint: Viewpoint) -> LinkPageState:
    """Return what a link's page shows now, all of it at one cursor.

    Raises:
        NoSuchSubjectError: there is no such link, or it is another partner's.
    """
    rights = viewpoint.rights
    with pages.one_moment(viewpoint) as moment:
        row = sharing.find(viewpoint.subject, rights)
        numbers = gauges.read(viewpoint, moment, whose=Whose(link=row.pk))
        latest = visible(ReferralHit.objects.select_related(*hits.RELATED), rights=rights).filter(link=row)
        found = list(latest.order_by("-created_at", "-id")[:HITS])
        table = hits.LISTING.excerpt(found, viewpoint, moment, empty=hits.no_hits(), without={"link", "partner"})
    reason = refusal(row, now=moment.now)
    shared = sharing.link_address(row)
    return LinkPageState(
        **moment.header,
        name=row.identifier,
        owner=links.owner_cell(row, viewpoint),
        stand=Cell(text=gettext("counts"), tone="good")
        if reason is None
        else Cell(text=gettext("counts nothing: %(reason)s") % {"reason": reason.label}, tone="warn"),
        share=Cell(text=shared, copy=bool(shared)),
        target=row.target or conf.settings.DEFAULT_REDIRECT,
        trial_url=address("link_trial", row.pk),
        picture_url=address("link_picture", row.pk) if shared else "",
        hits_url=f"{address('hits')}?link={row.identifier}",
        counters=numbers.counters,
        chart=numbers.chart,
        funnel=numbers.funnel,
        hits=table,
    )


PAGE = Page(
    name="link",
    template="link.html",
    regions=("link", "counters", "chart", "funnel", "link_hits", "cursor"),
    read=read_state,
    title=lambda state: gettext("Link %(link)s") % {"link": state.name},  # type: ignore[attr-defined] # this page's state
    below="links",
    ranged=True,
)
