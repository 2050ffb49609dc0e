"""Deliveries and their attempts, to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin

from livereferrals.admin.looking import LookOnlyAdmin
from livereferrals.callbacks.models import Delivery, DeliveryAttempt

if TYPE_CHECKING:
    from django.http import HttpRequest

ATTEMPT_FIELDS = (
    "number",
    "started_at",
    "duration_ms",
    "outcome",
    "status",
    "error",
    "address",
    "request_url",
    "request_excerpt",
    "response_excerpt",
)
"""What a delivery's page shows of each attempt."""


class AttemptInline(admin.StackedInline):
    """The attempts of a delivery, only for those who may see what partners' servers answer."""

    model = DeliveryAttempt
    fields = ATTEMPT_FIELDS
    readonly_fields = ATTEMPT_FIELDS
    extra = 0
    max_num = 0
    can_delete = False

    def has_view_permission(self, request: HttpRequest, obj: Delivery | None = None) -> bool:
        """Return whether the user may see attempts."""
        return request.user.has_perm("livereferrals.view_deliveryattempt")

    def has_change_permission(self, request: HttpRequest, obj: Delivery | None = None) -> bool:
        """Return False: what happened is not edited."""
        return False


DELIVERY_FIELDS = (
    "subscription",
    "confirmation",
    "kind",
    "state",
    "end_reason",
    "due_at",
    "attempts",
    "lost",
    "last_status",
    "last_outcome",
    "created_at",
    "finished_at",
)
"""What a delivery's page shows."""


@admin.register(Delivery)
class DeliveryAdmin(LookOnlyAdmin):
    """What is owed to partners, and what came of it."""

    list_display = ["created_at", "subscription", "kind", "state", "attempts", "last_status", "last_outcome", "due_at"]
    list_filter = ["state", "created_at", "kind", "subscription__partner"]
    list_select_related = ["subscription__partner"]
    search_fields = ["=id", "=confirmation__id", "=confirmation__reference"]
    ordering = ["-created_at"]
    fields = DELIVERY_FIELDS
    readonly_fields = DELIVERY_FIELDS
    inlines = [AttemptInline]
