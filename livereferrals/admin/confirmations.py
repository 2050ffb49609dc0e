"""Confirmations, to look at, with the trace that says why this hit was credited."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from livereferrals.admin.looking import LookOnlyAdmin
from livereferrals.callbacks.models import Delivery
from livereferrals.tracking.amounts import canonical_amount
from livereferrals.tracking.models import Confirmation

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.utils.safestring import SafeString

AMOUNT_FIELDS = frozenset({"amount", "currency", "amount_micros", "reversed_micros"})

DELIVERY_COLUMNS = ("subscription", "kind", "state", "attempts", "last_status", "last_outcome", "due_at", "finished_at")
"""What a confirmation's page shows of each delivery."""


class DeliveryInline(admin.TabularInline):
    """What was owed for a confirmation."""

    model = Delivery
    fields = DELIVERY_COLUMNS
    readonly_fields = DELIVERY_COLUMNS
    extra = 0
    max_num = 0
    can_delete = False
    show_change_link = True

    def has_view_permission(self, request: HttpRequest, obj: Confirmation | None = None) -> bool:
        """Return whether the user may see deliveries."""
        return request.user.has_perm("livereferrals.view_delivery")

    def has_change_permission(self, request: HttpRequest, obj: Confirmation | None = None) -> bool:
        """Return False: what happened is not edited."""
        return False


@admin.register(Confirmation)
class ConfirmationAdmin(LookOnlyAdmin):
    """Successes credited to hits."""

    list_display = ["occurred_at", "trigger", "partner", "reference", "amount", "user", "reversed_at"]
    list_filter = ["occurred_at", "trigger", ("reversed_at", admin.EmptyFieldListFilter), "partner"]
    list_select_related = ["partner", "user"]
    search_fields = ["=id", "=reference", "=visitor__id", "=user__username"]
    ordering = ["-occurred_at"]
    inlines = [DeliveryInline]
    fields = [
        "trigger",
        "occurred_at",
        "partner",
        "hit",
        "visitor",
        "user",
        "reference",
        "amount",
        "problem",
        "reversed_at",
        "rule",
        "trace_text",
        "extra",
        "origin",
    ]

    def get_list_display(self, request: HttpRequest) -> Any:
        """Leave amounts out for those who may not see them."""
        return self._permitted(request, self.list_display)

    def get_fields(self, request: HttpRequest, obj: Confirmation | None = None) -> Any:
        """Leave amounts out for those who may not see them."""
        return self._permitted(request, self.fields)

    def get_readonly_fields(self, request: HttpRequest, obj: Confirmation | None = None) -> Any:
        """Return every field: nothing here is edited."""
        return self.get_fields(request, obj)

    @staticmethod
    def _permitted(request: HttpRequest, names: Any) -> list[str]:
        if request.user.has_perm("livereferrals.view_amounts"):
            return list(names)
        return [name for name in names if name not in AMOUNT_FIELDS]

    @admin.display(description=_("amount"))
    def amount(self, confirmation: Confirmation) -> str:
        """Show the amount with its currency."""
        amount = canonical_amount(confirmation.amount_micros, confirmation.currency)
        return f"{amount} {confirmation.currency}" if amount is not None else "-"

    @admin.display(description=_("trace"))
    def trace_text(self, confirmation: Confirmation) -> SafeString:
        """Show the trace as it was stored."""
        return format_html("<pre>{}</pre>", json.dumps(confirmation.trace, indent=1, ensure_ascii=False))
