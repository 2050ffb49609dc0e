"""The page that asks why a confirmation is to be taken back, and then takes it back (D-22)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from livereferrals import api
from livereferrals.admin.listing import as_uuid
from livereferrals.admin.looking import AMOUNTS
from livereferrals.tracking.amounts import Money
from livereferrals.tracking.models import Confirmation, ReversalReason
from livereferrals.tracking.reasons import ReversalOutcome

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

NAME = "livereferrals_confirmation_reverse"
PERMISSION = "livereferrals.reverse_confirmation"


class ReversalForm(forms.Form):
    """Why, and how much of it."""

    reason = forms.ChoiceField(
        label=gettext_lazy("Reason"),
        choices=[("", "---------"), *ReversalReason.choices],
        help_text=gettext_lazy("The partner sees it."),
    )
    amount = forms.DecimalField(
        label=gettext_lazy("Only a part"),
        required=False,
        min_value=0,
        localize=False,
        help_text=gettext_lazy("Leave it empty to reverse all of it."),
    )
    note = forms.CharField(
        label=gettext_lazy("Note"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "cols": 60}),
        help_text=gettext_lazy("For your colleagues; the partner never sees it."),
    )

    def __init__(self, *args: Any, parts: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not parts:
            del self.fields["amount"]


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
        "left": str(left(confirmation)) if parts else "",
    }
    return TemplateResponse(request, "admin/livereferrals/confirmation/reverse.html", context)


def left(confirmation: Confirmation) -> Money:
    """Return what has not been taken back yet."""
    micros = confirmation.amount_micros
    return Money(
        micros=None if micros is None else micros - confirmation.reversed_micros, currency=confirmation.currency
    )


def _reverse(model_admin: ModelAdmin, request: HttpRequest, confirmation: Confirmation, form: ReversalForm) -> bool:
    """Take it back and say so; return False where the form has to be filled in anew."""
    values = form.cleaned_data
    try:
        result = api.reverse(
            confirmation,
            reason=values["reason"],
            note=values["note"],
            amount=values.get("amount"),
            by=request.user,
        )
    except ValueError as error:
        form.add_error("amount" if "amount" in form.fields else None, str(error))
        return False
    if result.reason == ReversalOutcome.EXCEEDS_AMOUNT:
        form.add_error("amount", _("There is only %(left)s left to reverse.") % {"left": left(confirmation)})
        return False
    if not result.created:
        messages.warning(request, _("It had been reversed before."))
        return True
    model_admin.log_change(
        request, confirmation, _("Reversed: %(reason)s.") % {"reason": ReversalReason(values["reason"]).label}
    )
    messages.success(request, _("The confirmation was reversed; the partner is told."))
    return True
