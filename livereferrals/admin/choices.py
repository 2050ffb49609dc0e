"""Filters with a few choices: yes or no, a mark, a trigger; each with an index below it (D-21)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from livereferrals.callbacks.models import Subscription
from livereferrals.triggers import catalogue

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest


class PresenceFilter(admin.SimpleListFilter):
    """Whether a column has a value."""

    column: ClassVar[str]
    yes: Any = _("Yes")
    no: Any = _("No")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return yes and no, in words."""
        return [("yes", self.yes), ("no", self.no)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Filter by whether there is a value."""
        if self.value() not in ("yes", "no"):
            return queryset
        return queryset.filter(**{f"{self.column}__isnull": self.value() == "no"})


class ClaimedFilter(PresenceFilter):
    """Hits with a user."""

    title = _("claimed")
    parameter_name = "claimed"
    column = "user"
    yes = _("Claimed by a user")
    no = _("Anonymous")


class ClaimedVisitorFilter(ClaimedFilter):
    """Visitors that were claimed, also where the user is gone."""

    column = "claimed_at"


class ConfirmedFilter(PresenceFilter):
    """Hits with a standing confirmation."""

    title = _("confirmed")
    parameter_name = "confirmed"
    column = "confirmed_at"
    yes = _("Confirmed")
    no = _("Not confirmed")


class ReversedFilter(PresenceFilter):
    """Confirmations that were taken back."""

    title = _("reversed")
    parameter_name = "reversed"
    column = "reversed_at"
    yes = _("Reversed")
    no = _("Standing")


class ArchivedFilter(PresenceFilter):
    """Subscriptions that were archived."""

    title = _("archived")
    parameter_name = "archived"
    column = "archived_at"
    yes = _("Archived")
    no = _("In use")


class FlagFilter(admin.SimpleListFilter):
    """Hits that are marked as something."""

    title = _("flagged")
    parameter_name = "flag"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the marks of a hit, and none."""
        return [
            ("repeat", _("Repeat")),
            ("self_referral", _("Self-referral")),
            ("bot", _("Bot")),
            ("flagged", _("Flagged")),
            ("no_consent", _("Without consent")),
            ("none", _("None of these")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Filter by the mark."""
        chosen = self.value()
        flags = {key: Q(**{key: True}) for key, _label in self.lookup_choices if key != "none"}
        flags["flagged"] = ~Q(flagged_by="")
        if chosen == "none":
            return queryset.filter(*(~flag for flag in flags.values()))
        return queryset.filter(flags[chosen]) if chosen in flags else queryset


class TriggerFilter(admin.SimpleListFilter):
    """The rows of one trigger: of the settings, or of a subscription whose trigger has left them."""

    title = _("trigger")
    parameter_name = "trigger"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the triggers by their label; the table itself is not asked, it may be large."""
        known: dict[str, Any] = {trigger.name: trigger.label or trigger.name for trigger in catalogue.triggers()}
        stored = list(Subscription.objects.order_by("trigger").values_list("trigger", flat=True).distinct())
        for name in [*stored, self.value()]:
            if name:
                known.setdefault(name, name)
        return list(known.items())

    def value(self) -> str | None:
        """Return the chosen trigger, without what no database takes."""
        chosen = super().value()
        return None if chosen is None else chosen.replace("\x00", "")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Filter by the trigger's name."""
        return queryset.filter(trigger=self.value()) if self.value() else queryset
