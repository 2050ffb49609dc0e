"""The page that asks why a confirmation is to be taken back, and then takes it back (D-22)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext as _

from livereferrals.admin.listing import as_uuid
from livereferrals.admin.looking import AMOUNTS
from livereferrals.tracking.models import Confirmation, ReversalReason
from livereferrals.tracking.sentences import money_of
from livereferrals.triggers.forms import ReversalForm, left

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

NAME = "livereferrals_confirmation_reverse"
PERMISSION = "livereferrals.reverse_confirmation"


def may_reverse(request: HttpRequest, confirmation: Confirmation) -> bool:
    """Return whether the user may take it back, and there is something to take back."""
    return request.user.has_perm(PERMISSION) and confirmation.reversed_at is None


def address(confirmation: Confirmation) -> str:
    """Return the page's URL."""
    return reverse(f"admin:{NAME}", args=[confirmation.pk])


def url_pattern(model_admin: ModelAdmin) -> URLPattern:
    """Return the page's place below the confirmation's."""

    def view(request: HttpRequest, object_id: str) -> HttpResponse:
        return page(model_admin, request, object_id)

    return path("<path:object_id>/reverse/", model_admin.admin_site.admin_view(view), name=NAME)


def page(model_admin: ModelAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
    """Ask, or do what was answered."""
    if not request.user.has_perm(PERMISSION) or not model_admin.has_view_permission(request):
        raise PermissionDenied
    pk = as_uuid(object_id)
    confirmation = None if pk is None else Confirmation.objects.select_related("partner").filter(pk=pk).first()
    if confirmation is None:
        raise Http404
    parts = request.user.has_perm(AMOUNTS) and confirmation.amount_micros is not None
    form = ReversalForm(request.POST or None, parts=parts)
    if request.method == "POST" and form.is_valid() and _reverse(model_admin, request, confirmation, form):
        return HttpResponseRedirect(reverse("admin:livereferrals_confirmation_change", args=[confirmation.pk]))
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "opts": Confirmation._meta,
        "media": model_admin.media,
        "title": _("Reverse the confirmation"),
        "subtitle": str(confirmation),
        "object": confirmation,
        "form": form,
        "left": money_of(left(confirmation)) if parts else "",
    }
    return TemplateResponse(request, "admin/livereferrals/confirmation/reverse.html", context)


def _reverse(model_admin: ModelAdmin, request: HttpRequest, confirmation: Confirmation, form: ReversalForm) -> bool:
    """Take it back and say so; return False where the form has to be filled in anew."""
    result = form.take_back(confirmation, by=request.user)
    if result is None:
        return False
    if not result.created:
        messages.warning(request, _("It had been reversed before."))
        return True
    model_admin.log_change(
        request,
        confirmation,
        _("Reversed: %(reason)s.") % {"reason": ReversalReason(form.cleaned_data["reason"]).label},
    )
    messages.success(request, _("The confirmation was reversed; the partner is told."))
    return True
