"""Who and what brings most: the first partners, links and triggers of a range, each with a bar for its part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext, gettext_lazy

from livereferrals.dashboard import wording
from livereferrals.dashboard.addresses import address
from livereferrals.dashboard.sources import By
from livereferrals.dashboard.tables import Cell, Empty, Heading, Table, TableRow
from livereferrals.tracking.models import Partner, ReferralLink

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from django.utils.functional import _StrPromise

    from livereferrals.dashboard.pages import Moment
    from livereferrals.dashboard.sources import Whose
    from livereferrals.dashboard.statistics import Numbers
    from livereferrals.dashboard.viewpoints import Viewpoint

FIRST: Final = 5
WIDTH: Final = 100
"""Of the widest bar, in the drawing's own units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leading:
    """The first of one kind: a chart of bars that is its own table."""

    key: str
    """`partner`, `link` or `trigger`; for ids of elements."""
    table: Table


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    name: str
    hint: str = ""
    url: str = ""


def _partners(uids: Sequence[Any]) -> dict[Any, _Named]:
    rows = Partner.objects.filter(uid__in=uids).values_list("uid", "name")
    return {uid: _Named(name=name, hint=uid, url=address("partner", uid)) for uid, name in rows}


def _links(keys: Sequence[Any]) -> dict[Any, _Named]:
    rows = ReferralLink.objects.select_related("partner").in_bulk(keys)
    return {
        pk: _Named(name=row.identifier, hint=row.partner.name if row.partner else "", url=address("link", pk))
        for pk, row in rows.items()
    }


def _triggers(names: Sequence[Any]) -> dict[Any, _Named]:
    return {}


NAMES: Final[dict[By, Callable[[Sequence[Any]], Mapping[Any, _Named]]]] = {
    By.PARTNER: _partners,
    By.LINK: _links,
    By.TRIGGER: _triggers,
}
TITLES: Final[dict[By, _StrPromise]] = {
    By.PARTNER: gettext_lazy("Partners that bring most"),
    By.LINK: gettext_lazy("Links that bring most"),
    By.TRIGGER: gettext_lazy("Triggers that confirm most"),
}
EMPTY: Final[dict[By, _StrPromise]] = {
    By.PARTNER: gettext_lazy("Nobody in this range yet."),
    By.LINK: gettext_lazy("Nobody in this range yet."),
    By.TRIGGER: gettext_lazy("Nothing was confirmed in this range yet."),
}


def read(kinds: Sequence[By], viewpoint: Viewpoint, moment: Moment, *, whose: Whose) -> tuple[Leading, ...]:
    """Return the first of each kind in the range. Three queries for each kind, two for triggers."""
    return tuple(_leading(by, viewpoint, moment, whose=whose) for by in kinds)


def _leading(by: By, viewpoint: Viewpoint, moment: Moment, *, whose: Whose) -> Leading:
    amounts = viewpoint.rights.amounts
    # Hits and claims have no trigger: they stand under the empty one, which is none of the first.
    found = moment.figures.leaders(moment.span, by=by, count=FIRST + (by is By.TRIGGER), whose=whose)
    found = [(bucket, numbers) for bucket, numbers in found if bucket != ""][:FIRST]
    names = NAMES[by]([bucket for bucket, _ in found]) if found else {}
    weights = _weights([numbers for _, numbers in found])
    columns = _columns(by, amounts=amounts)
    return Leading(
        key=str(by),
        table=Table(
            caption=str(TITLES[by]),
            headings=(Heading(key="name", label=gettext("Name")), *(heading for heading, _ in columns)),
            rows=tuple(
                TableRow(
                    id="",
                    cells=(
                        _name_cell(names.get(bucket, _Named(name=str(bucket))), weight),
                        *(Cell(text=told(numbers)) for _, told in columns),
                    ),
                )
                for (bucket, numbers), weight in zip(found, weights, strict=True)
            ),
            empty=Empty(title="", text=str(EMPTY[by])),
        ),
    )


def _weights(found: Sequence[Numbers]) -> list[float]:
    """Return the length of each bar: its confirmations beside the most, or its hits where nothing was confirmed."""
    confirmations = [max(0, numbers.confirmations) for numbers in found]
    counts = confirmations if any(confirmations) else [max(0, numbers.hits) for numbers in found]
    most = max(counts, default=0) or 1
    return [round(WIDTH * count / most, 1) for count in counts]


def _columns(by: By, *, amounts: bool) -> list[tuple[Heading, Callable[[Numbers], str]]]:
    """Return the columns after the name. A trigger has neither hits nor a rate."""
    counted = by is not By.TRIGGER
    found: list[tuple[bool, Heading, Callable[[Numbers], str]]] = [
        (counted, _heading("hits", gettext("Hits")), lambda numbers: wording.whole_number(numbers.hits)),
        (
            True,
            _heading("confirmations", gettext("Confirmations")),
            lambda numbers: wording.whole_number(numbers.confirmations),
        ),
        (counted, _heading("rate", gettext("Rate")), lambda numbers: wording.per_cent(numbers.rate)),
        (amounts, _heading("amount", gettext("Amount")), lambda numbers: wording.all_money(numbers.amounts)),
    ]
    return [(heading, told) for shown, heading, told in found if shown]


def _heading(key: str, label: str) -> Heading:
    return Heading(key=key, label=label, numeric=True)


def _name_cell(named: _Named, weight: float) -> Cell:
    return Cell(text=named.name, hint=named.hint, url=named.url, bar=weight)
