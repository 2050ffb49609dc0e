"""The page of one visitor: hits, claim and confirmations in the order in which they happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext

from livereferrals.dashboard import confirmations, hits, pages, people, tables
from livereferrals.dashboard.addresses import address
from livereferrals.dashboard.narrowing import as_uuid
from livereferrals.dashboard.pages import NoSuchSubjectError, Page, State
from livereferrals.dashboard.tables import Cell, Empty, Heading, Table, TableRow
from livereferrals.tracking import entries
from livereferrals.tracking.models import Confirmation, ReferralHit, Visitor

if TYPE_CHECKING:
    from datetime import datetime

    from livereferrals.dashboard.viewpoints import Viewpoint

MOST: Final = 100
"""Hits and confirmations that the page shows, the newest of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitorPageState(State):
    """What a visitor's page shows."""

    id: str
    user: str
    """The login name; empty while nobody has claimed the visitor, or the user is gone."""
    first_seen: Cell
    claimed: Cell | None
    table: Table
    cut: bool
    """Whether there is more than is shown."""
    hits_url: str


def read_state(viewpoint: Viewpoint) -> VisitorPageState:
    """Return what a visitor's page shows now. Three queries over its rows.

    Raises:
        NoSuchSubjectError: there is no such visitor.
    """
    pk = as_uuid(viewpoint.subject)
    with pages.one_moment(viewpoint) as moment:
        row = Visitor.objects.select_related("user").filter(pk=pk).first() if pk is not None else None
        if row is None:
            raise NoSuchSubjectError(viewpoint.subject)
        # The note that not all is shown stands above the list, and both come of one reading.
        story = moment.part("list", lambda: _story(row, viewpoint), (tables.NOTHING, False))
        return VisitorPageState(
            **moment.header,
            id=str(row.pk),
            user=str(row.user) if row.user is not None else "",
            first_seen=Cell(time=row.created_at),
            claimed=Cell(time=row.claimed_at) if row.claimed_at is not None else None,
            table=story[0],
            cut=story[1],
            hits_url=f"{address('hits')}?q={row.pk}",
        )


def _story(row: Visitor, viewpoint: Viewpoint) -> tuple[Table, bool]:
    """Return what the visitor did, in order, and whether there is more. Two queries."""
    hits_of = ReferralHit.objects.select_related(*hits.RELATED).filter(visitor=row)
    followed = list(hits_of.order_by("-created_at")[: MOST + 1])
    credited_of = confirmations.all_visible(viewpoint.rights).filter(visitor=row)
    credited = list(credited_of.order_by("-occurred_at")[: MOST + 1])
    amounts = viewpoint.rights.amounts
    told = [
        *((hit.created_at, _hit(hit, viewpoint, amounts=amounts)) for hit in followed[:MOST]),
        *((each.occurred_at, _confirmation(each, viewpoint, amounts=amounts)) for each in credited[:MOST]),
        *_claims(row, amounts=amounts),
    ]
    table = _table([line for _, line in sorted(told, key=lambda pair: pair[0])], amounts=amounts)
    return table, len(followed) > MOST or len(credited) > MOST


def _table(rows: list[TableRow], *, amounts: bool) -> Table:
    headings = [
        Heading(key="time", label=gettext("Time")),
        Heading(key="type", label=gettext("Type")),
        Heading(key="link", label=gettext("Link")),
        Heading(key="partner", label=gettext("Partner")),
        Heading(key="what", label=gettext("What happened")),
        Heading(key="state", label=gettext("State")),
    ]
    if amounts:
        headings.append(Heading(key="amount", label=gettext("Amount"), numeric=True))
    return Table(
        caption=gettext("What this visitor did, in order"),
        headings=tuple(headings),
        rows=tuple(rows),
        empty=Empty(
            title=gettext("Nothing is kept of this visitor"),
            text=gettext("Its hits are older than what this site keeps, or were erased."),
        ),
    )


def _line(id_: str, *cells: Cell, amount: Cell | None) -> TableRow:
    return TableRow(id=id_, cells=cells if amount is None else (*cells, amount))


def _hit(row: ReferralHit, viewpoint: Viewpoint, *, amounts: bool) -> TableRow:
    return _line(
        f"hit-{row.pk}",
        Cell(time=row.created_at),
        Cell(text=gettext("Hit"), icon="hit"),
        hits.link_cell(row, viewpoint),
        hits.partner_cell(row, viewpoint),
        Cell(text=gettext("To %(path)s") % {"path": entries.landing(row.entry_url) or "/"}),
        hits.state_cell(row, viewpoint),
        amount=Cell() if amounts else None,
    )


def _confirmation(row: Confirmation, viewpoint: Viewpoint, *, amounts: bool) -> TableRow:
    url = address("confirmation", row.pk)
    return _line(
        f"confirmation-{row.pk}",
        Cell(time=row.occurred_at, url=url),
        Cell(text=gettext("Confirmation"), icon="confirmation"),
        Cell(text=row.hit.link.identifier, url=address("link", row.hit.link_id)),
        hits.partner_cell(row, viewpoint),
        Cell(text=" · ".join(filter(None, (row.trigger, row.reference)))),
        confirmations.state_cell(row, viewpoint),
        amount=confirmations.amount_cell(row, viewpoint) if amounts else None,
    )


def _claims(row: Visitor, *, amounts: bool) -> list[tuple[datetime, TableRow]]:
    if row.claimed_at is None:
        return []
    line = _line(
        f"claim-{row.pk}",
        Cell(time=row.claimed_at),
        Cell(text=gettext("Claim"), icon="claim"),
        Cell(),
        Cell(),
        Cell(text=gettext("Tied to %(user)s") % {"user": row.user} if row.user else gettext("Tied to a user")),
        Cell(),
        amount=Cell() if amounts else None,
    )
    return [(row.claimed_at, line)]


PAGE = Page(
    name="visitor",
    template="visitor.html",
    regions=("visitor", "list", "cursor"),
    read=read_state,
    title=lambda _: gettext("Visitor"),
    below="hits",
    may_see=people.may_see,
)
