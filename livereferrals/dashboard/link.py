"""The page of one link: where it leads, how to share and to try it, its numbers and its last hits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext

from livereferrals import conf
from livereferrals.dashboard import charts, gauges, hits, leaders, links, pages, sharing, tables
from livereferrals.dashboard.addresses import address
from livereferrals.dashboard.pages import Page, State
from livereferrals.dashboard.scoping import visible
from livereferrals.dashboard.sources import By, Whose
from livereferrals.dashboard.tables import Cell
from livereferrals.tracking.links import refusal
from livereferrals.tracking.models import ReferralHit, ReferralLink

if TYPE_CHECKING:
    from livereferrals.dashboard.charts import Chart
    from livereferrals.dashboard.funnels import Stage
    from livereferrals.dashboard.leaders import Leading
    from livereferrals.dashboard.pages import Moment
    from livereferrals.dashboard.rows import Counter
    from livereferrals.dashboard.tables import Table
    from livereferrals.dashboard.viewpoints import Viewpoint

HITS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is to be known of a link itself."""

    owner: Cell
    stand: Cell
    """Whether following it counts, or why not."""
    share: Cell
    """The address to share; empty where the host has no URL for links."""
    target: str
    trial_url: str
    picture_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPageState(State):
    """What a link's page shows."""

    name: str
    about: About | None
    """Nothing: it could not be read."""
    hits_url: str
    counters: tuple[Counter, ...]
    chart: Chart
    funnel: tuple[Stage, ...]
    leaders: tuple[Leading, ...]
    """The triggers that confirm most."""
    hits: Table


def read_state(viewpoint: Viewpoint) -> LinkPageState:
    """Return what a link's page shows now, all of it at one cursor.

    Raises:
        NoSuchSubjectError: there is no such link, or it is another partner's.
    """
    with pages.one_moment(viewpoint) as moment:
        row = sharing.find(viewpoint.subject, viewpoint.rights)
        whose = Whose(link=row.pk)
        readings = gauges.Readings(viewpoint, moment, whose=whose)
        return LinkPageState(
            **moment.header,
            name=row.identifier,
            about=moment.part("link", lambda: _about(row, viewpoint, moment), None),
            counters=moment.part("counters", readings.counters, ()),
            chart=moment.part("chart", readings.chart, charts.NOTHING),
            funnel=moment.part("funnel", readings.funnel, ()),
            leaders=moment.part("leaders", lambda: leaders.read((By.TRIGGER,), viewpoint, moment, whose=whose), ()),
            hits=moment.part("link_hits", lambda: _hits(row, viewpoint, moment), tables.NOTHING),
            hits_url=f"{address('hits')}?link={row.identifier}",
        )


def _about(row: ReferralLink, viewpoint: Viewpoint, moment: Moment) -> About:
    reason = refusal(row, now=moment.now)
    shared = sharing.link_address(row)
    return About(
        owner=links.owner_cell(row, viewpoint),
        stand=Cell(text=gettext("counts"), tone="good")
        if reason is None
        else Cell(text=gettext("counts nothing: %(reason)s") % {"reason": reason.label}, tone="warn"),
        share=Cell(text=shared, copy=bool(shared)),
        target=row.target or conf.settings.DEFAULT_REDIRECT,
        trial_url=address("link_trial", row.pk),
        picture_url=address("link_picture", row.pk) if shared else "",
    )


def _hits(row: ReferralLink, viewpoint: Viewpoint, moment: Moment) -> Table:
    rows = visible(ReferralHit.objects.select_related(*hits.RELATED), rights=viewpoint.rights).filter(link=row)
    found = list(rows.order_by("-created_at", "-id")[:HITS])
    return hits.LISTING.excerpt(found, viewpoint, moment, empty=hits.no_hits(), without={"link", "partner"})


PAGE = Page(
    name="link",
    template="link.html",
    regions=("link", "counters", "chart", "funnel", "leaders", "link_hits", "cursor"),
    read=read_state,
    title=lambda state: (
        gettext("Link %(link)s") % {"link": state.name} if isinstance(state, LinkPageState) else gettext("Link")
    ),
    below="links",
    ranged=True,
)
