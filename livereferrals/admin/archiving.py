"""The page that asks before subscriptions are archived; they are not deleted once they have deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from livereferrals.callbacks.models import Delivery, DeliveryState, Subscription

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

NAME = "livereferrals_subscription_archive"


def archive(model_admin: ModelAdmin, request: HttpRequest, chosen: QuerySet[Subscription]) -> HttpResponse | None:
    """Ask, or archive what was chosen before and confirmed now."""
    rows = list(chosen.filter(archived_at__isnull=True).select_related("partner"))
    if not rows:
        model_admin.message_user(request, _("They are archived already."), messages.WARNING)
        return None
    if "confirmed" not in request.POST:
        return _question(model_admin, request, rows)
    for row in rows:
        row.archived_at = timezone.now()
        row.save(update_fields=["archived_at"])
        model_admin.log_change(request, row, [{"changed": {"fields": ["archived_at"]}}])
    said = ngettext("%(count)s subscription was archived.", "%(count)s subscriptions were archived.", len(rows))
    model_admin.message_user(request, said % {"count": len(rows)}, messages.SUCCESS)
    return None


def url_pattern(model_admin: ModelAdmin) -> URLPattern:
    """Return the question's place below a subscription's page."""

    def view(request: HttpRequest, object_id: str) -> HttpResponse:
        row = model_admin.get_object(request, object_id)
        if not model_admin.has_change_permission(request, row):
            raise PermissionDenied
        if row is None or row.archived_at is not None:
            raise Http404
        return _question(model_admin, request, [row])

    return path("<path:object_id>/archive/", model_admin.admin_site.admin_view(view), name=NAME)


def address(subscription: Subscription) -> str:
    """Return the question's URL for one subscription."""
    return reverse(f"admin:{NAME}", args=[subscription.pk])


def _question(model_admin: ModelAdmin, request: HttpRequest, rows: list[Subscription]) -> HttpResponse:
    waiting = Delivery.objects.filter(subscription__in=rows, state=DeliveryState.WAITING).count()
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "opts": Subscription._meta,
        "media": model_admin.media,
        "title": _("Archive subscriptions"),
        "rows": rows,
        "waiting": waiting,
        "checkbox": ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "admin/livereferrals/subscription/archive.html", context)
