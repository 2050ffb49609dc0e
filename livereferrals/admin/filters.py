"""Filters whose value is typed: a partner, a link, a day; each with an index below it (D-21)."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from livereferrals import times
from livereferrals.tracking.models import Partner, ReferralLink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.contrib.admin.views.main import ChangeList
    from django.db.models import QuerySet
    from django.http import HttpRequest

MOST_PARTNERS = 10
"""Partners that a part of a name may mean at once: the rows of more take SQLite seconds to sort."""


class TypedFilter(admin.SimpleListFilter):
    """A filter whose value is typed: a list of a thousand partners to click on helps nobody."""

    template = "admin/livereferrals/typed_filter.html"
    kind = "text"
    help_text: Any = ""
    quick: ClassVar[tuple[tuple[str, Any], ...]] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the values that a click chooses."""
        return list(self.quick)

    def has_output(self) -> bool:
        """Return True: there is always something to type."""
        return True

    def value(self) -> str | None:
        """Return what was typed, without what no database takes."""
        typed = super().value()
        return None if typed is None else typed.replace("\x00", "").strip()

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """Give the field first, then what can be clicked on."""
        name = str(self.parameter_name)
        others = [
            (key, value)
            for key, values in changelist.get_filters_params().items()
            if key != name
            for value in (values if isinstance(values, list) else [values])
        ]
        if changelist.query:
            others.append(("q", changelist.query))
        typed = self.value() or ""
        known = {str(key) for key, _label in self.lookup_choices}
        yield {
            "name": name,
            "kind": self.kind,
            "help": self.help_text,
            "typed": "" if typed in known else typed,
            "others": others,
            "clear": changelist.get_query_string(remove=[name]) if typed else "",
        }
        for key, label in self.lookup_choices:
            yield {
                "selected": typed == str(key),
                "query_string": changelist.get_query_string({name: key}),
                "display": label,
            }


class PartnerFilter(TypedFilter):
    """The rows of one partner, by its uid or a part of its name."""

    title = _("partner")
    parameter_name = "partner"
    help_text = _("Name or uid")
    path = "partner_id"
    """The column that holds the partner, or leads to it."""
    of_partner = "pk"
    """What of the partner that column holds."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Filter by the partners that the text means."""
        typed = self.value()
        if not typed:
            return queryset
        partners = partners_called(typed, self.of_partner)
        if len(partners) > MOST_PARTNERS:
            said = _("More than %(count)s partners have this in their name: type more of it.")
            messages.warning(request, said % {"count": MOST_PARTNERS}, fail_silently=True)
            return queryset.none()
        return queryset.filter(**{f"{self.path}__in": partners})


def partners_called(text: str, column: str = "pk") -> list[Any]:
    """Return the partner of this uid or name, else those with the text in their name, one more than allowed at most.

    At most two queries.
    """
    exact = Partner.objects.filter(Q(uid=text) | Q(name__iexact=text)).values_list(column, flat=True)
    inside = Partner.objects.filter(name__icontains=text).values_list(column, flat=True)
    return list(exact[:MOST_PARTNERS]) or list(inside[: MOST_PARTNERS + 1])


class EventPartnerFilter(PartnerFilter):
    """The same for the log, which knows partners by their uid."""

    path = "partner"
    of_partner = "uid"


class LinkFilter(TypedFilter):
    """The rows of one link, by its identifier."""

    title = _("link")
    parameter_name = "link"
    help_text = _("The link's identifier")
    path = "link_id"
    """The column that holds the link."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Filter by the link of this identifier."""
        typed = self.value()
        if not typed:
            return queryset
        return queryset.filter(**{f"{self.path}__in": link_pks(typed)})


def link_pks(identifier: str) -> list[Any]:
    """Return the link of this identifier, if there is one. One query."""
    return list(ReferralLink.objects.filter(identifier=identifier).values_list("pk", flat=True))


class DayFilter(TypedFilter):
    """The rows of one day, or of the last days, in the project's time zone."""

    title = _("day")
    parameter_name = "day"
    kind = "date"
    column = "created_at"
    quick = (("today", _("Today")), ("yesterday", _("Yesterday")), ("7", _("Last 7 days")), ("30", _("Last 30 days")))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Filter by the span of time."""
        typed = self.value()
        if not typed:
            return queryset
        span = days_meant(typed, today=times.today())
        if span is None:
            return queryset.none()
        begin, end = (_midnight(day) for day in span)
        return queryset.filter(self.within(begin, end))

    def within(self, begin: datetime, end: datetime) -> Q:
        """Return the condition on a row of this span of time."""
        return Q(**{f"{self.column}__gte": begin, f"{self.column}__lt": end})


class OccurredDayFilter(DayFilter):
    """The same for confirmations."""

    column = "occurred_at"


def days_meant(text: str, *, today: date) -> tuple[date, date] | None:
    """Return the first day and the day after the last, or `None` for what is no day."""
    tomorrow = today + timedelta(days=1)
    if text == "yesterday":
        return today - timedelta(days=1), today
    if text == "today":
        return today, tomorrow
    if text in ("7", "30"):
        return tomorrow - timedelta(days=int(text)), tomorrow
    try:
        day = date.fromisoformat(text)
        return day, day + timedelta(days=1)
    except (ValueError, OverflowError):
        return None


def _midnight(day: date) -> datetime:
    return times.as_stored(datetime.combine(day, time.min, tzinfo=timezone.get_default_timezone()))
