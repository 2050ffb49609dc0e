"""How a subscription's endpoint is doing, above its form: state, numbers, and the buttons for both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.db import transaction
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters

from livereferrals.admin import endpoint_acts, replays, secret_pages, subscription_headers
from livereferrals.admin.tools import Tool, ToolsAdmin, list_tool
from livereferrals.callbacks import alerting, figures, holds, looking_up, masking
from livereferrals.callbacks.models import AlertCause, Subscription
from livereferrals.callbacks.waking import wake_workers

if TYPE_CHECKING:
    from django.db.models import Model
    from django.forms import ModelForm
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

ADDRESSES = ("callback_url", "reversal_url")


class ServedAdmin(ToolsAdmin):
    """Adds the endpoint to a subscription's page."""

    change_form_template = "admin/livereferrals/subscription/change_form.html"

    def get_urls(self) -> list[URLPattern]:
        """Add the pages of the endpoint's acts, secrets and replays."""
        own = [endpoint_acts.url_pattern(self), secret_pages.url_pattern(self), replays.url_pattern(self)]
        return [*own, *super().get_urls()]

    def get_tools(self, request: HttpRequest, obj: Model) -> list[Tool]:
        """Return the buttons that work for this user just now."""
        if not isinstance(obj, Subscription):
            return []
        hold = holds.hold_of(endpoint_acts.load(obj), now=timezone.now())
        return [
            *endpoint_acts.tools(request, obj, hold),
            *list_tool(request, _("Deliveries"), "delivery", subscription=str(obj.pk)),
            *replays.tools(request, obj),
            *secret_pages.tools(request, obj),
        ]

    # What somebody has just typed is not to stand in the report of an error either.
    @method_decorator(sensitive_post_parameters(*subscription_headers.FIELDS))
    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the page with how the endpoint is doing."""
        row = None if object_id is None else self.get_object(request, object_id)
        health = None
        if isinstance(row, Subscription) and row.callback_url and self.has_view_permission(request, row):
            health = health_of(row)
        return super().changeform_view(request, object_id, form_url, {"lr_health": health, **(extra_context or {})})

    def save_model(self, request: HttpRequest, obj: Any, form: ModelForm, change: bool) -> None:  # noqa: FBT001 - Django's
        """Save, and tell the colleagues by mail of a new address (callback-S24)."""
        super().save_model(request, obj, form, change)
        changed = [name for name in ADDRESSES if change and name in form.changed_data]
        for name in changed:
            said = _("%(field)s: %(old)s became %(new)s, by %(user)s.") % {
                "field": name,
                "old": masking.url(str(form.initial.get(name) or "-")),
                "new": masking.url(getattr(obj, name) or "-"),
                "user": request.user.get_username(),
            }
            self.log_change(request, obj, said)
            alerting.raise_alert(obj.pk, AlertCause.CHANGED, now=timezone.now(), text=said)
        if changed:
            wake_workers()
        self._look_up(request, obj, [name for name in ADDRESSES if name in form.changed_data])

    def _look_up(self, request: HttpRequest, row: Subscription, names: list[str]) -> None:
        """Warn of new addresses that lead where nobody may call; after the commit, since name servers may be slow."""

        def look() -> None:
            for name in names:
                warning = looking_up.warning_about(getattr(row, name), plain_http=row.allow_plain_http)
                if warning:
                    self.message_user(request, warning, messages.WARNING)

        transaction.on_commit(look, robust=True)


def health_of(row: Subscription) -> dict[str, Any]:
    """Return what the page says of the endpoint. Six short queries."""
    now = timezone.now()
    endpoint = endpoint_acts.load(row)
    numbers = figures.of_subscriptions([row.pk], now=now)[row.pk]
    return {
        "endpoint": endpoint,
        "hold": holds.hold_of(endpoint, now=now),
        "numbers": numbers,
        "counted": figures.COUNTED,
        "overdue": numbers.overdue(now),
        "is_overdue": numbers.overdue(now) >= alerting.OVERDUE_FOR,
        "now": now,
        "percent": None if numbers.rate is None else round(100 * numbers.rate, 1),
        "is_plain": row.callback_url.startswith("http:"),
    }
