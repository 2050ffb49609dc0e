"""Filters that several lists have: a partner, a link, a day, an id; each with an index below it."""

from __future__ import annotations

import sys
import uuid
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from django.db import connections
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy

from livereferrals import times
from livereferrals.dashboard.filters import Field
from livereferrals.dashboard.scoping import visible
from livereferrals.tracking.models import Partner, ReferralLink

if TYPE_CHECKING:
    from livereferrals.dashboard.access import Rights

PARTNER: Final = Field(name="partner", label=gettext_lazy("Partner"))
LINK: Final = Field(name="link", label=gettext_lazy("Link"), pattern=r"[\w-]{1,50}")
DAY: Final = Field(name="day", label=gettext_lazy("Day, as 2026-05-31"), pattern=r"\d{4}-\d\d-\d\d")
LAST: Final = chr(sys.maxunicode)
MOST: Final = 10
"""Partners that a beginning of a name may mean at once: the rows of more take long to sort."""


def of_partner(text: str, rights: Rights) -> Q:
    """Match the rows of the partner with this uid or name, else of the first whose names begin so. At most two queries."""
    partners = visible(Partner.objects.all(), rights=rights)
    exact = partners.filter(Q(uid=text) | Q(name=text)).values_list("pk", flat=True)
    begun = partners.filter(name__istartswith=text).order_by("name", "pk").values_list("pk", flat=True)
    return Q(partner__in=list(exact[:MOST]) or list(begun[:MOST]))


def of_link(identifier: str, rights: Rights) -> Q:
    """Match the rows of the link of this identifier. One query."""
    found = visible(ReferralLink.objects.filter(identifier=identifier), rights=rights)
    return Q(link__in=list(found.values_list("pk", flat=True)))


def begins(column: str, text: str, *, using: str) -> Q:
    """Match the rows whose text begins so, upper and lower case apart, by the column's index.

    PostgreSQL has one for this beside the ordinary one. SQLite uses none for `LIKE` with an escape, but its own order is
    by code points, so that a span of them means the same.
    """
    if connections[using].vendor != "sqlite":
        return Q(**{f"{column}__startswith": text})
    return Q(**{f"{column}__gte": text, f"{column}__lt": text + LAST})


def bounds_of(text: str) -> tuple[datetime, datetime] | None:
    """Return when a day begins and ends in the project's zone; `None` for what is no day."""
    try:
        day = date.fromisoformat(text)
        begin, end = (
            datetime.combine(each, time.min, tzinfo=timezone.get_default_timezone())
            for each in (day, day + timedelta(days=1))
        )
    except (ValueError, OverflowError):
        return None
    return begin, end


def on_day(text: str, *, column: str) -> Q:
    """Match the rows of a day in the project's zone; none of what is no day."""
    return within(bounds_of(text), column=column)


def within(bounds: tuple[datetime, datetime] | None, *, column: str) -> Q:
    """Match the rows between these times; none where there are none."""
    if bounds is None:
        return Q(pk__in=[])
    begin, end = bounds
    return Q(**{f"{column}__gte": times.as_stored(begin), f"{column}__lt": times.as_stored(end)})


def as_uuid(text: str) -> uuid.UUID | None:
    """Return the id that a text is, or nothing."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
