"""Confirmations, to look at: why this hit was credited, who was told, and what was taken back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Prefetch, Q
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from livereferrals.admin import reversing
from livereferrals.admin.choices import ReversedFilter, TriggerFilter
from livereferrals.admin.exporting import ExportAdmin
from livereferrals.admin.filters import OccurredDayFilter, PartnerFilter
from livereferrals.admin.listing import as_uuid, user_pks
from livereferrals.admin.looking import AMOUNTS, PEOPLE, LookOnlyAdmin
from livereferrals.admin.styling import Styled
from livereferrals.admin.tools import Tool, ToolsAdmin
from livereferrals.callbacks.models import Delivery, DeliveryAttempt
from livereferrals.callbacks.stories import outcome_in_words
from livereferrals.tracking import sentences
from livereferrals.tracking.amounts import Money, canonical_amount
from livereferrals.tracking.models import Confirmation, Partner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Model
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern
    from django.utils.safestring import SafeString


@admin.register(Confirmation)
class ConfirmationAdmin(Styled, ExportAdmin, ToolsAdmin, LookOnlyAdmin):
    """Successes credited to hits."""

    change_form_template = "admin/livereferrals/confirmation/change_form.html"
    list_display = ["occurred_at", "trigger", "partner", "amount", "standing", "reference", "user"]
    list_filter = [PartnerFilter, TriggerFilter, OccurredDayFilter, ReversedFilter]
    list_select_related = ["partner", "user"]
    search_fields = ["id"]
    search_help_text = _(
        "A reference such as an order's number, the id of a confirmation, hit or visitor, "
        "or a user's login name or e-mail address, as a whole."
    )
    ordering = ["-occurred_at"]
    guarded = {
        AMOUNTS: frozenset({"amount", "reversed_amount", "currency"}),
        PEOPLE: frozenset({"user", "visitor", "trace_text"}),
    }
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "trigger",
                    "occurred_at",
                    "reference",
                    "amount",
                    "problem",
                    "partner",
                    "hit",
                    "visitor",
                    "user",
                    "standing",
                ]
            },
        ),
        (_("For engineers"), {"fields": ["id", "rule", "origin", "extra", "trace_text"], "classes": ["collapse"]}),
    ]
    export_columns = (
        "id",
        "time",
        "trigger",
        "reference",
        "partner_uid",
        "partner",
        "link",
        "hit",
        "visitor",
        "user",
        "amount",
        "reversed_amount",
        "currency",
        "reversed_at",
        "rule",
    )

    def found_by(self, text: str) -> Q:
        """Find by reference, id, hit, visitor or user."""
        found = as_uuid(text)
        if found is not None:
            return Q(reference=text) | Q(pk=found) | Q(hit_id=found) | Q(visitor_id=found)
        return Q(reference=text) | Q(user_id__in=user_pks(text))

    def get_urls(self) -> list[URLPattern]:
        """Add the page that takes a confirmation back."""
        return [reversing.url_pattern(self), *super().get_urls()]

    def get_tools(self, request: HttpRequest, obj: Model) -> list[Tool]:
        """Offer to take it back, to those who may."""
        if not isinstance(obj, Confirmation) or not reversing.may_reverse(request, obj):
            return []
        return [Tool(label=_("Reverse"), url=reversing.address(obj))]

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Leave the problem out where there is none."""
        fieldsets = super().get_fieldsets(request, obj)
        if isinstance(obj, Confirmation) and not obj.problem:
            fieldsets[0][1]["fields"].remove("problem")
        return fieldsets

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the confirmation with its story."""
        confirmation = self.get_object(request, object_id)
        context = dict(extra_context or {})
        if confirmation is not None and self.has_view_permission(request, confirmation):
            context |= _story(confirmation)
            context |= _reversals(confirmation, amounts=request.user.has_perm(AMOUNTS))
            context |= _deliveries(request, confirmation)
        return super().change_view(request, object_id, form_url, context)

    @admin.display(description=_("amount"))
    def amount(self, confirmation: Confirmation) -> str:
        """Show the amount with its currency."""
        money = Money(micros=confirmation.amount_micros, currency=confirmation.currency)
        return sentences.money_of(money) or "-"

    @admin.display(description=_("standing"))
    def standing(self, confirmation: Confirmation) -> str:
        """Say whether it still counts."""
        if confirmation.reversed_at is not None:
            return str(_("Reversed"))
        return str(_("Reversed in part") if confirmation.reversed_micros else _("Standing"))

    @admin.display(description=_("trace"))
    def trace_text(self, confirmation: Confirmation) -> SafeString:
        """Show the trace as it was stored."""
        return format_html("<pre>{}</pre>", json.dumps(confirmation.trace, indent=1, ensure_ascii=False))

    def export_rows(self, rows: list[Confirmation]) -> Iterator[dict[str, object]]:
        """Give one row for each confirmation."""
        links = dict(
            Confirmation.objects.filter(pk__in=[row.pk for row in rows]).values_list("pk", "hit__link__identifier")
        )
        for row in rows:
            yield {
                "id": row.pk,
                "time": row.occurred_at,
                "trigger": row.trigger,
                "reference": row.reference,
                "partner_uid": row.partner.uid if row.partner else None,
                "partner": row.partner,
                "link": links[row.pk],
                "hit": row.hit_id,
                "visitor": row.visitor_id,
                "user": row.user,
                "amount": canonical_amount(row.amount_micros, row.currency),
                "reversed_amount": canonical_amount(row.reversed_micros, row.currency) if row.currency else None,
                "currency": row.currency,
                "reversed_at": row.reversed_at,
                "rule": row.rule,
            }


def _story(confirmation: Confirmation) -> dict[str, Any]:
    names = dict(Partner.objects.filter(uid__in=sentences.partners_in(confirmation.trace)).values_list("uid", "name"))
    return {"lr_story": sentences.told(confirmation.trace, names=names)}


def _reversals(confirmation: Confirmation, *, amounts: bool) -> dict[str, Any]:
    rows = confirmation.reversals.select_related("created_by").order_by("created_at")
    return {
        "lr_reversals": [
            {
                "row": row,
                "amount": sentences.money_of(Money(micros=row.amount_micros, currency=confirmation.currency))
                if amounts and row.amount_micros is not None
                else "",
            }
            for row in rows
        ]
    }


def _deliveries(request: HttpRequest, confirmation: Confirmation) -> dict[str, Any]:
    """Return what was owed to the partner, each with its attempts. At most two queries."""
    may_see = request.user.has_perm("livereferrals.view_delivery")
    if not may_see:
        return {"lr_may_see_deliveries": False}
    may_see_attempts = request.user.has_perm("livereferrals.view_deliveryattempt")
    attempts = DeliveryAttempt.objects.order_by("number")
    rows = Delivery.objects.filter(confirmation=confirmation).select_related("subscription__partner").order_by("pk")
    if may_see_attempts:
        rows = rows.prefetch_related(Prefetch("attempt_log", queryset=attempts))
    deliveries = [
        {
            "row": row,
            "outcome": outcome_in_words(row.last_outcome),
            "attempts": [
                {"row": attempt, "outcome": outcome_in_words(attempt.outcome)} for attempt in row.attempt_log.all()
            ]
            if may_see_attempts
            else [],
        }
        for row in rows
    ]
    return {"lr_may_see_deliveries": True, "lr_deliveries": deliveries}
