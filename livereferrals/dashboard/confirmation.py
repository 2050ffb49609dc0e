"""The page of one confirmation: its facts, what was taken back, who was told, and why this hit was credited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext

from livereferrals.callbacks.models import Delivery
from livereferrals.dashboard import confirmations, deliveries, delivery, endpoints, pages, people
from livereferrals.dashboard.addresses import address
from livereferrals.dashboard.endpoints import Act
from livereferrals.dashboard.narrowing import as_uuid
from livereferrals.dashboard.pages import NoSuchSubjectError, Page, State
from livereferrals.dashboard.scoping import visible
from livereferrals.dashboard.tables import Cell, Empty, Heading, Table, TableRow
from livereferrals.tracking import sentences
from livereferrals.tracking.models import Confirmation, Partner, Reversal
from livereferrals.tracking.sentences import Story

if TYPE_CHECKING:
    from livereferrals.dashboard.access import Rights
    from livereferrals.dashboard.pages import Moment
    from livereferrals.dashboard.viewpoints import Viewpoint

REVERSE: Final = "reverse_confirmation"
MOST: Final = 50
"""Reversals and deliveries that the page shows."""
NO_STORY: Final = Story(outcome="", rule="", subject="", hits=(), omitted="")
"""Stands for a trace that could not be read; it is never shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationPageState(State):
    """What a confirmation's page shows."""

    name: str
    id: str
    stand: Cell
    facts: tuple[tuple[str, Cell], ...]
    problem: str
    reversals: Table | None
    """Nothing: none of it was taken back."""
    deliveries: Table | None
    """Nothing: the viewer may not see them."""
    story: Story
    trace: Table
    acts: tuple[Act, ...]


def find(subject: str, rights: Rights) -> Confirmation:
    """Return a confirmation that the viewer may see, with what belongs to it. One query.

    Raises:
        NoSuchSubjectError: there is none.
    """
    pk = as_uuid(subject)
    row = None if pk is None else confirmations.all_visible(rights).filter(pk=pk).first()
    if row is None:
        raise NoSuchSubjectError(subject)
    return row


def may_reverse(row: Confirmation, rights: Rights) -> bool:
    """Whether the viewer may take it back, and there is something to take back."""
    return rights.is_staff and rights.may(REVERSE) and row.reversed_at is None


def read_state(viewpoint: Viewpoint) -> ConfirmationPageState:
    """Return what a confirmation's page shows now.

    Raises:
        NoSuchSubjectError: there is no such confirmation, or it is another partner's.
    """
    rights = viewpoint.rights
    with pages.one_moment(viewpoint) as moment:
        row = find(viewpoint.subject, rights)
        story = moment.part("trace", lambda: _story(row, rights), NO_STORY)
        return ConfirmationPageState(
            **moment.header,
            name=" ".join(filter(None, (row.trigger, row.reference))),
            id=str(row.pk),
            stand=confirmations.state_cell(row, viewpoint),
            facts=moment.part("confirmation", lambda: _facts(row, viewpoint), ()),
            problem=gettext("Its amount could not be read and is missing.") if row.problem else "",
            reversals=moment.part("confirmation", lambda: _reversals(row, rights), None),
            deliveries=moment.part("confirmation_deliveries", lambda: _deliveries(row, viewpoint, moment), None),
            story=story,
            trace=looked_at(story),
            acts=(Act(label=gettext("Reverse"), url=address("confirmation_reverse", row.pk)),)
            if may_reverse(row, rights)
            else (),
        )


def _facts(row: Confirmation, viewpoint: Viewpoint) -> tuple[tuple[str, Cell], ...]:
    cells = {column.key: column.cell(row, viewpoint) for column in confirmations.LISTING.columns_for(viewpoint)}
    facts = [
        (gettext("Trigger"), cells["trigger"]),
        (gettext("Time"), Cell(time=row.occurred_at)),
        (gettext("Reference"), cells["reference"]),
        (gettext("Partner"), cells["partner"]),
        (gettext("Link"), cells["link"]),
        (gettext("Visitor"), people.visitor_cell(row.visitor_id, viewpoint.rights)),
        (gettext("User"), people.user_cell(row, viewpoint.rights)),
    ]
    if viewpoint.rights.amounts:
        facts.append((gettext("Amount"), confirmations.amount_cell(row, viewpoint)))
        if row.reversed_micros:
            facts.append((gettext("Reversed"), confirmations.money_cell(row.reversed_micros, row.currency)))
    return tuple((label, cell) for label, cell in facts if cell.text or cell.time)


def _reversals(row: Confirmation, rights: Rights) -> Table | None:
    """Return what was taken back; who did it and the note are the house's own. One query."""
    rows = visible(Reversal.objects.select_related("created_by"), rights=rights).filter(confirmation=row)
    found = list(rows.order_by("created_at", "pk")[:MOST])
    if not found:
        return None
    headings = [Heading(key="time", label=gettext("Time")), Heading(key="reason", label=gettext("Reason"))]
    if rights.amounts:
        headings.append(Heading(key="amount", label=gettext("Amount"), numeric=True))
    if rights.is_staff:
        headings += [Heading(key="by", label=gettext("By")), Heading(key="note", label=gettext("Note"))]
    return Table(
        caption=gettext("Reversals"),
        headings=tuple(headings),
        rows=tuple(
            TableRow(id=f"reversal-{each.pk}", cells=_reversal(each, currency=row.currency, rights=rights))
            for each in found
        ),
        empty=Empty(title=""),
    )


def _reversal(row: Reversal, *, currency: str, rights: Rights) -> tuple[Cell, ...]:
    reason = row.get_reason_display()
    cells = [
        Cell(time=row.created_at),
        Cell(text=gettext("%(reason)s, in part") % {"reason": reason} if row.partial else reason),
    ]
    if rights.amounts:
        cells.append(confirmations.money_cell(row.amount_micros, currency))
    if rights.is_staff:
        cells += [Cell(text=str(row.created_by or "")), Cell(text=row.note)]
    return tuple(cells)


def _deliveries(row: Confirmation, viewpoint: Viewpoint, moment: Moment) -> Table | None:
    """Return what was owed to the partner's servers, to those who may see it. One query."""
    if not endpoints.may_see(viewpoint.rights):
        return None
    rows = visible(Delivery.objects.select_related(*delivery.RELATED), rights=viewpoint.rights)
    found = list(rows.filter(confirmation=row).order_by("pk")[:MOST])
    empty = Empty(title=gettext("No deliveries"), text=gettext("No server of the partner is told of it."))
    return deliveries.LISTING.excerpt(found, viewpoint, moment, empty=empty, without={"reference"})


def _story(row: Confirmation, rights: Rights) -> Story:
    """Return the trace in words; to a partner's login with its own hits alone (A-11). One query."""
    trace = row.trace if rights.partners is None else sentences.of_partners(row.trace, rights.partners)
    uids = sentences.partners_in(trace)
    names = dict(visible(Partner.objects.filter(uid__in=uids), rights=rights).values_list("uid", "name"))
    return sentences.told(trace, names=names)


def looked_at(story: Story) -> Table:
    """Return the hits of a decision, with what became of each."""
    return Table(
        caption=gettext("The hits that were looked at, the preferred first"),
        headings=(
            Heading(key="verdict", label=gettext("What became of it")),
            Heading(key="link", label=gettext("Link")),
            Heading(key="partner", label=gettext("Partner")),
            Heading(key="age", label=gettext("Followed")),
        ),
        rows=tuple(
            TableRow(
                id=f"looked-{number}",
                tone="good" if hit.credited else "neutral",
                cells=(
                    Cell(
                        text=hit.verdict,
                        icon="confirmation" if hit.credited else "",
                        tone="good" if hit.credited else "neutral",
                    ),
                    Cell(text=hit.link),
                    Cell(text=hit.partner),
                    Cell(text=hit.age),
                ),
            )
            for number, hit in enumerate(story.hits, 1)
        ),
        empty=Empty(
            title=gettext("Nothing was recorded"),
            text=gettext("How it was decided is not known, for example because the confirmation was imported."),
        ),
    )


PAGE = Page(
    name="confirmation",
    template="confirmation.html",
    regions=("confirmation", "trace", "confirmation_deliveries", "cursor"),
    read=read_state,
    title=lambda state: state.name if isinstance(state, ConfirmationPageState) else gettext("Confirmation"),
    below="confirmations",
)
