"""Replay of a span of time, from a subscription's page: asked for, previewed, begun, watched and stopped."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.contrib import messages
from django.http import Http404, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from livereferrals.admin.delivery_acts import PERMISSION
from livereferrals.admin.listing import as_uuid
from livereferrals.admin.subscription_pages import page_pattern
from livereferrals.admin.tools import Tool
from livereferrals.callbacks import replaying
from livereferrals.callbacks.forms import ReplayForm
from livereferrals.callbacks.models import Replay, ReplayState, Subscription

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

NAME: Final = "livereferrals_subscription_replay"
SHOWN: Final = 10
"""Former replays on the page."""


def tools(request: HttpRequest, subscription: Subscription) -> list[Tool]:
    """Return the button that leads here, where it is of use."""
    is_called = subscription.archived_at is None and bool(subscription.callback_url)
    if not (is_called and request.user.has_perm(PERMISSION)):
        return []
    return [Tool(label=_("Replay"), url=reverse(f"admin:{NAME}", args=[subscription.pk]))]


def url_pattern(model_admin: ModelAdmin) -> URLPattern:
    """Return the page's place."""
    return page_pattern(model_admin, suffix="replay", name=NAME, permission=PERMISSION, show=_show, answer=_answer)


def _show(model_admin: ModelAdmin, request: HttpRequest, row: Subscription) -> HttpResponse:
    now = timezone.now()
    return _page(model_admin, request, row, ReplayForm(initial={"since": now - timedelta(days=1), "until": now}))


def _answer(model_admin: ModelAdmin, request: HttpRequest, row: Subscription) -> HttpResponse:
    if "stop" in request.POST:
        return _stop(request, row)
    form = ReplayForm(request.POST)
    if not form.is_valid():
        return _page(model_admin, request, row, form)
    if "begin" not in request.POST:
        return _page(model_admin, request, row, form, preview=replaying.preview(form.span(row.pk)))
    try:
        replay = replaying.begin(form.span(row.pk), per_second=form.cleaned_data["per_second"], by=request.user)
    except replaying.ReplayRefusedError as error:
        form.add_error(None, str(error))
        return _page(model_admin, request, row, form)
    messages.success(request, _("%(count)s deliveries are replayed.") % {"count": replay.counted})
    return HttpResponseRedirect(request.path)


def _stop(request: HttpRequest, row: Subscription) -> HttpResponse:
    pk = as_uuid(request.POST["stop"])
    replay = (
        None if pk is None else Replay.objects.select_related("subscription").filter(pk=pk, subscription=row).first()
    )
    if replay is None:
        raise Http404
    done = replaying.stop(replay, by=request.user)
    said = _("Stopped. What was made due before still goes out.") if done else _("It had ended already.")
    messages.add_message(request, messages.SUCCESS if done else messages.WARNING, said)
    return HttpResponseRedirect(request.path)


def _page(
    model_admin: ModelAdmin,
    request: HttpRequest,
    row: Subscription,
    form: ReplayForm,
    *,
    preview: replaying.Preview | None = None,
) -> HttpResponse:
    replays = list(row.replays.select_related("created_by").order_by("-created_at")[:SHOWN])
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "opts": Subscription._meta,
        "media": model_admin.media,
        "title": _("Replay"),
        "subtitle": str(row),
        "object": row,
        "form": form,
        "preview": preview,
        "most": replaying.MOST,
        "takes": preview.takes(form.cleaned_data["per_second"]) if preview is not None else None,
        "replays": replays,
        "is_running": any(replay.state == ReplayState.RUNNING for replay in replays),
    }
    return TemplateResponse(request, "admin/livereferrals/subscription/replay.html", context)
