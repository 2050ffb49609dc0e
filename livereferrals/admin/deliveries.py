"""Deliveries: a list to search, a page with every attempt, and what staff do with them (D-23)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from livereferrals.admin import delivery_acts, delivery_pages
from livereferrals.admin.delivery_filters import MadeDayFilter, OutcomeFilter, OwnPartnerFilter, SubscriptionFilter
from livereferrals.admin.exporting import ExportAdmin
from livereferrals.admin.listing import as_uuid
from livereferrals.admin.looking import LookOnlyAdmin
from livereferrals.admin.styling import Styled
from livereferrals.admin.tools import Tool, ToolsAdmin
from livereferrals.callbacks.models import Delivery, DeliveryKind, DeliveryState
from livereferrals.callbacks.stories import outcome_in_words
from livereferrals.tracking.models import Confirmation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Model, QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern


@admin.register(Delivery)
class DeliveryAdmin(Styled, ExportAdmin, ToolsAdmin, LookOnlyAdmin):
    """What is owed to partners, and what came of it."""

    change_form_template = "admin/livereferrals/delivery/change_form.html"
    list_display = [
        "created_at",
        "subscription",
        "reference",
        "stands",
        "came_of_it",
        "attempts",
        "next_attempt",
    ]
    list_filter = ["state", OwnPartnerFilter, SubscriptionFilter, OutcomeFilter, MadeDayFilter]
    actions = ["retry", "resend", "cancel"]
    list_select_related = ["confirmation"]
    list_display_links = ["created_at", "reference"]
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
                    "came_of_it",
                    "created_at",
                    "finished_at",
                ]
            },
        )
    ]
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
        """Say what happened last, with the status where there was an answer."""
        said = outcome_in_words(delivery.last_outcome) or "-"
        return f"{said} ({delivery.last_status})" if delivery.last_status else said

    @admin.display(description=_("state"))
    def stands(self, delivery: Delivery) -> str:
        """Say where it stands, and what kind it is where it is no confirmation."""
        if delivery.kind == DeliveryKind.CONFIRMATION:
            return delivery.get_state_display()
        return f"{delivery.get_kind_display()}, {delivery.get_state_display()}"

    @admin.display(description=_("reference"))
    def reference(self, delivery: Delivery) -> str:
        """Show the host's reference, such as the order's number."""
        return (delivery.confirmation.reference if delivery.confirmation is not None else "") or "-"

    @admin.display(description=_("next attempt"), ordering="due_at")
    def next_attempt(self, delivery: Delivery) -> Any:
        """Show when it is tried, as long as it waits; the page of the row counts down."""
        return delivery.due_at if delivery.state == DeliveryState.WAITING else None

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may retry, resend and cancel."""
        return delivery_acts.may_act(request)

    @admin.action(description=_("Retry now"), permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> HttpResponse | None:
        """Retry the selected deliveries, after a question."""
        return delivery_acts.ask_about(self, request, queryset, "retry")

    @admin.action(description=_("Resend"), permissions=["retry"])
    def resend(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> HttpResponse | None:
        """Resend the selected deliveries, after a question."""
        return delivery_acts.ask_about(self, request, queryset, "resend")

    @admin.action(description=_("Cancel"), permissions=["retry"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> HttpResponse | None:
        """Cancel the selected deliveries, after a question."""
        return delivery_acts.ask_about(self, request, queryset, "cancel")

    def get_actions(self, request: HttpRequest) -> Any:
        """Leave Django's "Delete selected" out."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def get_urls(self) -> list[URLPattern]:
        """Add the questions and the part of the page that renews itself."""
        return [delivery_acts.url_pattern(self), delivery_pages.url_pattern(self), *super().get_urls()]

    def get_tools(self, request: HttpRequest, obj: Model) -> list[Tool]:
        """Offer what can be done with it just now."""
        return delivery_acts.tools(request, obj) if isinstance(obj, Delivery) else []

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the page with what happened."""
        delivery = None if object_id is None else delivery_pages.load(object_id)
        may_see = delivery is not None and self.has_view_permission(request, delivery)
        story = delivery_pages.context_of(request, delivery) if may_see and delivery is not None else None
        return super().changeform_view(request, object_id, form_url, {"lr_story": story, **(extra_context or {})})

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        """Read subscriptions and partners apart: joined, SQLite begins with them and sorts all deliveries of each."""
        rows: QuerySet[Delivery] = super().get_queryset(request)
        return rows.prefetch_related("subscription__partner")

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
