"""Who brings most: the first partners and links of a range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from livereferrals.dashboard import wording
from livereferrals.dashboard.addresses import address
from livereferrals.dashboard.sources import By
from livereferrals.tracking.models import Partner, ReferralLink

if TYPE_CHECKING:
    from livereferrals.dashboard.pages import Moment
    from livereferrals.dashboard.sources import Whose
    from livereferrals.dashboard.statistics import Numbers

FIRST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """One of the first."""

    name: str
    hint: str
    """What tells it from others of that name."""
    url: str
    """Its page; empty where it is gone."""
    hits: str
    confirmations: str
    rate: str


def partners(moment: Moment, *, whose: Whose) -> tuple[Leader, ...]:
    """Return the first partners of the range. Three queries."""
    found = moment.figures.leaders(moment.span, by=By.PARTNER, count=FIRST, whose=whose)
    names = dict(Partner.objects.filter(uid__in=[uid for uid, _ in found]).values_list("uid", "name"))
    return tuple(
        _leader(names.get(uid, uid), uid, address("partner", uid) if uid in names else "", numbers)
        for uid, numbers in found
    )


def links(moment: Moment, *, whose: Whose) -> tuple[Leader, ...]:
    """Return the first links of the range. Three queries."""
    found = moment.figures.leaders(moment.span, by=By.LINK, count=FIRST, whose=whose)
    rows = ReferralLink.objects.select_related("partner").in_bulk([pk for pk, _ in found])
    return tuple(_leader(*_link(rows.get(pk), pk), numbers) for pk, numbers in found)


def _link(row: ReferralLink | None, pk: Any) -> tuple[str, str, str]:
    if row is None:
        return str(pk), "", ""
    return row.identifier, row.partner.name if row.partner else "", address("link", pk)


def _leader(name: str, hint: str, url: str, numbers: Numbers) -> Leader:
    return Leader(
        name=name,
        hint=hint,
        url=url,
        hits=wording.whole_number(numbers.hits),
        confirmations=wording.whole_number(numbers.confirmations),
        rate=wording.per_cent(numbers.rate),
    )
