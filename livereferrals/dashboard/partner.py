"""The page of one partner: its numbers, what it shares, who is told of its confirmations, and what happened last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext

from livereferrals.callbacks.models import Endpoint, Subscription
from livereferrals.dashboard import (
    activity,
    charts,
    endpoints,
    gauges,
    leaders,
    links,
    pages,
    partners,
    sharing,
    tables,
    tokens,
)
from livereferrals.dashboard.pages import NoSuchSubjectError, Page, State
from livereferrals.dashboard.scoping import visible
from livereferrals.dashboard.sources import By, Whose
from livereferrals.dashboard.tables import Cell, Empty, Heading, Table, TableRow
from livereferrals.events.models import Event
from livereferrals.streaming.models import FeedToken
from livereferrals.tracking.models import Partner, ReferralLink

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from livereferrals.dashboard.access import Rights
    from livereferrals.dashboard.charts import Chart
    from livereferrals.dashboard.funnels import Stage
    from livereferrals.dashboard.leaders import Leading
    from livereferrals.dashboard.pages import Moment
    from livereferrals.dashboard.rows import Counter, EventRow
    from livereferrals.dashboard.viewpoints import Viewpoint

LINKS: Final = 20
"""Links that the page shows, the newest; the list of links has the others."""
SERVERS: Final = 10
"""Endpoints and subscriptions that the page shows."""
TOKENS: Final = 20
EVENTS: Final = 20
LEADERS: Final = (By.LINK, By.TRIGGER)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerPageState(State):
    """What a partner's page shows."""

    name: str
    uid: str
    stand: Cell
    share: Cell
    """The address of its first link."""
    counters: tuple[Counter, ...]
    chart: Chart
    funnel: tuple[Stage, ...]
    leaders: tuple[Leading, ...]
    """The links and triggers that bring most."""
    links: Table
    more_links: bool
    subscriptions: Table | None
    """Nothing: the viewer may not see them."""
    endpoints: Table | None
    tokens: Table | None
    rows: tuple[EventRow, ...]


def find(subject: str, rights: Rights) -> Partner:
    """Return a partner that the viewer may see. One query.

    Raises:
        NoSuchSubjectError: there is none.
    """
    row = visible(Partner.objects.all(), rights=rights).filter(uid=subject).first()
    if row is None:
        raise NoSuchSubjectError(subject)
    return row


def read_state(viewpoint: Viewpoint) -> PartnerPageState:
    """Return what a partner's page shows now, all of it at one cursor.

    Raises:
        NoSuchSubjectError: there is no such partner, or it is another one's.
    """
    rights = viewpoint.rights
    with pages.one_moment(viewpoint) as moment:
        row = find(viewpoint.subject, rights)
        whose = Whose(partners=frozenset({row.uid}))
        readings = gauges.Readings(viewpoint, moment, whose=whose)
        shared = moment.part("partner_links", lambda: _links(row, viewpoint, moment), (tables.NOTHING, False))
        servers = moment.part("partner_servers", lambda: _servers(row, viewpoint, moment), (None, None, None))
        found = Event.objects.filter(partner=row.uid, seq__lte=moment.bounds.head)
        return PartnerPageState(
            **moment.header,
            name=row.name,
            uid=row.uid,
            stand=moment.part("partner", lambda: partners.state_cell(row, viewpoint), Cell()),
            share=moment.part("partner", lambda: _home(row), Cell()),
            counters=moment.part("counters", readings.counters, ()),
            chart=moment.part("chart", readings.chart, charts.NOTHING),
            funnel=moment.part("funnel", readings.funnel, ()),
            leaders=moment.part("leaders", lambda: leaders.read(LEADERS, viewpoint, moment, whose=whose), ()),
            links=shared[0],
            more_links=shared[1],
            subscriptions=servers[0],
            endpoints=servers[1],
            tokens=servers[2],
            rows=moment.part("activity", lambda: activity.newest(found, rights=rights, count=EVENTS), ()),
        )


def _home(row: Partner) -> Cell:
    """Return the address of its first link."""
    home = ReferralLink.objects.filter(partner=row, home=True).select_related("partner", "user").first()
    return Cell(text=sharing.link_address(home), copy=True) if home is not None else Cell()


def _links(row: Partner, viewpoint: Viewpoint, moment: Moment) -> tuple[Table, bool]:
    """Return its newest links, and whether there are more."""
    rows = ReferralLink.objects.filter(partner=row).select_related("partner", "user").order_by("-id")
    found = list(rows[: LINKS + 1])
    empty = Empty(title=gettext("No links"))
    table = links.LISTING.excerpt(found[:LINKS], viewpoint, moment, empty=empty, without={"owner", "created"})
    return table, len(found) > LINKS


def _servers(row: Partner, viewpoint: Viewpoint, moment: Moment) -> tuple[Table | None, Table | None, Table | None]:
    """Return subscriptions, endpoints and tokens, each to those who may see it."""
    rights = viewpoint.rights
    return (
        _subscriptions(row) if rights.may("view_subscription") else None,
        _endpoints(row, viewpoint, now=moment.now) if endpoints.may_see(rights) else None,
        _tokens(row, viewpoint, moment),
    )


def _subscriptions(partner: Partner) -> Table:
    rows = Subscription.objects.filter(partner=partner).order_by("archived_at", "trigger")
    rows = rows.filter(archived_at__isnull=True)[:SERVERS]
    return Table(
        caption=gettext("Subscriptions"),
        headings=(
            Heading(key="trigger", label=gettext("Trigger")),
            Heading(key="way", label=gettext("Is told")),
            Heading(key="since", label=gettext("Since"), minor=True),
        ),
        rows=tuple(
            TableRow(
                id=f"subscription-{row.uid}",
                cells=(
                    Cell(text=row.trigger),
                    Cell(text=_way(row)),
                    Cell(time=row.created_at),
                ),
            )
            for row in rows
        ),
        empty=Empty(
            title=gettext("No subscriptions"),
            text=gettext("Without a subscription to a trigger, no confirmation is credited to this partner."),
        ),
    )


def _way(row: Subscription) -> str:
    if not row.callback_url:
        return gettext("by the feed alone")
    # Translators: an HTTP method and an address.
    return gettext("%(method)s %(address)s") % {"method": row.method, "address": row.callback_url}


def _endpoints(partner: Partner, viewpoint: Viewpoint, *, now: datetime) -> Table | None:
    """Return how the calls to the partner's servers go; nothing where none of its subscriptions has an address."""
    rows = Endpoint.objects.select_related(*endpoints.RELATED).filter(
        subscription__partner=partner, subscription__archived_at__isnull=True
    )
    found = list(rows.exclude(subscription__callback_url="").order_by("pk")[:SERVERS])
    return endpoints.table_of(found, viewpoint, now=now) if found else None


def _tokens(partner: Partner, viewpoint: Viewpoint, moment: Moment) -> Table | None:
    """Return the feed tokens, for those who may see them."""
    rights = viewpoint.rights
    if not tokens.may_see(rights):
        return None
    rows = list(
        visible(FeedToken.objects.filter(partner=partner), rights=rights).order_by("-created_at", "pk")[:TOKENS]
    )
    return Table(
        caption=gettext("Feed tokens"),
        headings=(
            Heading(key="name", label=gettext("Name")),
            Heading(key="state", label=gettext("State")),
            Heading(key="used", label=gettext("Last used")),
        ),
        rows=_token_rows(rows, now=moment.now),
        empty=Empty(
            title=gettext("No feed tokens"), text=gettext("A token lets the partner's own program read its feed.")
        ),
    )


def _token_rows(rows: Sequence[FeedToken], *, now: datetime) -> tuple[TableRow, ...]:
    return tuple(
        TableRow(
            id=f"token-{row.pk}",
            cells=(
                Cell(text=row.name),
                _token_state(row, now=now),
                Cell(time=row.last_used_at) if row.last_used_at is not None else Cell(text=gettext("never")),
            ),
        )
        for row in rows
    )


def _token_state(row: FeedToken, *, now: datetime) -> Cell:
    if row.revoked_at is not None:
        return Cell(text=gettext("revoked"), tone="bad")
    if row.expires_at is not None and row.expires_at <= now:
        return Cell(text=gettext("expired"), tone="warn")
    return Cell(text=gettext("valid"), tone="good")


PAGE = Page(
    name="partner",
    template="partner.html",
    regions=(
        "partner",
        "counters",
        "chart",
        "funnel",
        "leaders",
        "partner_links",
        "partner_servers",
        "activity",
        "cursor",
    ),
    read=read_state,
    title=lambda state: state.name if isinstance(state, PartnerPageState) else gettext("Partner"),
    below="partners",
    ranged=True,
)
