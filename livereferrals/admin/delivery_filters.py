"""Filters of the delivery log: each leads to subscriptions or states that have an index (D-23)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from livereferrals import ids
from livereferrals.admin.filters import DayFilter, PartnerFilter, TypedFilter
from livereferrals.callbacks.models import DeliveryState, Subscription
from livereferrals.callbacks.outcomes import Outcome

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet
    from django.http import HttpRequest

UNDELIVERED = [state for state in DeliveryState if state != DeliveryState.DELIVERED]
CLOCKS_AGREE: Final = timedelta(hours=1)
"""An id's own time and the database's time of the row differ by less."""


class OwnPartnerFilter(PartnerFilter):
    """The deliveries of one partner, by its uid or a part of its name."""

    path = "partner_id"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Filter by the subscriptions of the partners that the text means: the index knows those."""
        if not self.value():
            return queryset
        partners = super().queryset(request, Subscription.objects.all())
        return queryset.filter(subscription_id__in=list(partners.values_list("pk", flat=True)))


class MadeDayFilter(DayFilter):
    """The deliveries that were made on a day, along the index of their ids, by which the list is sorted."""

    def within(self, begin: datetime, end: datetime) -> Q:
        """Return the condition, with bounds of the ids."""
        bounds = Q(pk__gte=ids.first_uuid(begin - CLOCKS_AGREE), pk__lt=ids.first_uuid(end + CLOCKS_AGREE))
        return bounds & super().within(begin, end)


class SubscriptionFilter(TypedFilter):
    """The deliveries of one subscription, by its number, or of all to one trigger."""

    title = _("subscription")
    parameter_name = "subscription"
    help_text = _("Trigger, or the subscription's number")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Filter by the subscriptions that the text means."""
        typed = self.value()
        if not typed:
            return queryset
        # Nine digits fit into every column of a key; more are no key of ours.
        is_number = typed.isascii() and typed.isdigit() and len(typed) < 10
        named = Subscription.objects.filter(trigger=typed).values_list("pk", flat=True)
        return queryset.filter(subscription_id__in=[int(typed)] if is_number else list(named))


class OutcomeFilter(admin.SimpleListFilter):
    """The deliveries whose last attempt ended so."""

    title = _("last outcome")
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the outcomes in words."""
        return list(Outcome.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Filter by the outcome; a failure is looked for among what is not delivered, by the index of states."""
        chosen = self.value()
        if chosen not in Outcome.values:
            return queryset
        if chosen == Outcome.OK:
            return queryset.filter(last_outcome=chosen)
        return queryset.filter(last_outcome=chosen, state__in=UNDELIVERED)
