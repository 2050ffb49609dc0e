"""A subscription's signing secrets: shown on request, rotated with an overlap, ended (callbacks, section 9)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from livereferrals.admin.subscription_pages import page_pattern
from livereferrals.admin.tools import Tool
from livereferrals.callbacks import signing_secrets
from livereferrals.callbacks.models import SigningSecret, Subscription

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.contrib.admin import ModelAdmin
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

NAME: Final = "livereferrals_subscription_secrets"
PERMISSION: Final = "livereferrals.reveal_secret"
CHANGE: Final = "livereferrals.change_subscription"
LONGEST_H: Final = int(signing_secrets.LONGEST_OVERLAP / timedelta(hours=1))


class RotationForm(forms.Form):
    """How long the old secret signs along."""

    overlap_h = forms.IntegerField(
        label=gettext_lazy("Hours"),
        min_value=0,
        max_value=LONGEST_H,
        initial=24,
        help_text=gettext_lazy(
            "Until then both secrets sign, so that the partner can change over without losing a call. 0: at once."
        ),
    )


def tools(request: HttpRequest, subscription: Subscription) -> list[Tool]:
    """Return the button that leads here, for those who may see secrets."""
    if not request.user.has_perm(PERMISSION):
        return []
    return [Tool(label=_("Signing secrets"), url=reverse(f"admin:{NAME}", args=[subscription.pk]))]


def url_pattern(model_admin: ModelAdmin) -> URLPattern:
    """Return the page's place."""
    return page_pattern(model_admin, suffix="secrets", name=NAME, permission=PERMISSION, show=_page, answer=_answer)


def _answer(model_admin: ModelAdmin, request: HttpRequest, row: Subscription) -> HttpResponse:
    act = request.POST.get("act", "")
    if act == "reveal":
        return _page(model_admin, request, row, revealed=signing_secrets.reveal(row, by=request.user))
    if act not in ("rotate", "end"):
        raise Http404
    if not request.user.has_perm(CHANGE):
        raise PermissionDenied
    if act == "end":
        ended = signing_secrets.end_overlap(row, by=request.user)
        said = _("Only the newest secret signs now.") if ended else _("There was no older secret any more.")
        messages.add_message(request, messages.SUCCESS if ended else messages.WARNING, said)
        return HttpResponseRedirect(request.path)
    form = RotationForm(request.POST)
    if not form.is_valid():
        return _page(model_admin, request, row, form=form)
    signing_secrets.rotate(row, by=request.user, overlap=timedelta(hours=form.cleaned_data["overlap_h"]))
    messages.success(request, _("There is a new secret: show it and give it to the partner."))
    return HttpResponseRedirect(request.path)


def _page(
    model_admin: ModelAdmin,
    request: HttpRequest,
    row: Subscription,
    *,
    revealed: Sequence[SigningSecret] = (),
    form: RotationForm | None = None,
) -> HttpResponse:
    secrets = list(signing_secrets.signing(row, now=timezone.now()))
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "opts": Subscription._meta,
        "media": model_admin.media,
        "title": _("Signing secrets"),
        "subtitle": str(row),
        "object": row,
        "secrets": secrets,
        "revealed": {secret.pk for secret in revealed},
        "may_change": request.user.has_perm(CHANGE) and row.archived_at is None,
        "form": form or RotationForm(),
    }
    response = TemplateResponse(request, "admin/livereferrals/subscription/secrets.html", context)
    response["Cache-Control"] = "no-store"
    return response
