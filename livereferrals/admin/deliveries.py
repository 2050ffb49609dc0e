"""Deliveries and their attempts, to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from livereferrals.admin.exporting import ExportAdmin
from livereferrals.admin.filters import DeliveryPartnerFilter
from livereferrals.admin.listing import as_uuid
from livereferrals.admin.looking import LookOnlyAdmin
from livereferrals.admin.styling import Styled
from livereferrals.callbacks.models import Delivery, DeliveryAttempt
from livereferrals.callbacks.outcomes import Outcome
from livereferrals.tracking.models import Confirmation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest

ATTEMPT_FIELDS = (
    "number",
    "started_at",
    "duration_ms",
    "came_of_it",
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

    @admin.display(description=_("outcome"))
    def came_of_it(self, attempt: DeliveryAttempt) -> str:
        """Say what happened."""
        return outcome_in_words(attempt.outcome)

    def has_view_permission(self, request: HttpRequest, obj: Delivery | None = None) -> bool:
        """Return whether the user may see attempts."""
        return request.user.has_perm("livereferrals.view_deliveryattempt")

    def has_change_permission(self, request: HttpRequest, obj: Delivery | None = None) -> bool:
        """Return False: what happened is not edited."""
        return False


def outcome_in_words(code: str) -> str:
    """Return what an outcome means."""
    return str(Outcome(code).label) if code in Outcome.values else code


@admin.register(Delivery)
class DeliveryAdmin(Styled, ExportAdmin, LookOnlyAdmin):
    """What is owed to partners, and what came of it."""

    list_display = ["created_at", "subscription", "kind", "state", "attempts", "last_status", "came_of_it", "due_at"]
    list_filter = ["state", DeliveryPartnerFilter]
    list_select_related = ["subscription__partner", "confirmation"]
    search_fields = ["id"]
    search_help_text = _("The id of a delivery or a confirmation, or a confirmation's reference, as a whole.")
    # Ids are in the order of time.
    ordering = ["-id"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "subscription",
                    "confirmation",
                    "kind",
                    "state",
                    "end_reason",
                    "due_at",
                    "attempts",
                    "lost",
                    "last_status",
                    "came_of_it",
                    "created_at",
                    "finished_at",
                ]
            },
        )
    ]
    inlines = [AttemptInline]
    export_columns = (
        "id",
        "created_at",
        "partner_uid",
        "partner",
        "trigger",
        "kind",
        "confirmation",
        "reference",
        "state",
        "why_it_ended",
        "attempts",
        "last_status",
        "last_outcome",
        "due_at",
        "ended_at",
    )

    @admin.display(description=_("last outcome"))
    def came_of_it(self, delivery: Delivery) -> str:
        """Say what happened last."""
        return outcome_in_words(delivery.last_outcome) or "-"

    def found_by(self, text: str) -> Q:
        """Find by delivery, confirmation or reference."""
        found = as_uuid(text)
        confirmations = list(Confirmation.objects.filter(reference=text).values_list("pk", flat=True))
        by_reference = Q(confirmation_id__in=confirmations)
        return by_reference if found is None else by_reference | Q(pk=found) | Q(confirmation_id=found)

    def export_rows(self, rows: list[Delivery]) -> Iterator[dict[str, object]]:
        """Give one row for each delivery."""
        for row in rows:
            yield {
                "id": row.pk,
                "created_at": row.created_at,
                "partner_uid": row.subscription.partner.uid,
                "partner": row.subscription.partner,
                "trigger": row.subscription.trigger,
                "kind": row.kind,
                "confirmation": row.confirmation_id,
                "reference": row.confirmation.reference if row.confirmation else None,
                "state": row.state,
                "why_it_ended": row.end_reason,
                "attempts": row.attempts,
                "last_status": row.last_status,
                "last_outcome": row.last_outcome,
                "due_at": row.due_at,
                "ended_at": row.finished_at,
            }
