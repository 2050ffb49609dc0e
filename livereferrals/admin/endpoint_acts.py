"""Pause, enable and test a subscription's endpoint, from its page, after a question (D-15)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from livereferrals.admin.questions import Question, ask
from livereferrals.admin.tools import Tool
from livereferrals.callbacks import holding, holds, trying
from livereferrals.callbacks.forms import PauseForm
from livereferrals.callbacks.holds import HoldKind
from livereferrals.callbacks.models import Endpoint, Subscription

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

    from livereferrals.callbacks.holds import Hold

NAME: Final = "livereferrals_subscription_endpoint"
HOLD: Final = "livereferrals.hold_endpoint"
TEST: Final = "livereferrals.send_test_callback"
PERMISSIONS: Final = {"pause": HOLD, "enable": HOLD, "test": TEST}
ENABLED_FROM: Final = (HoldKind.PAUSED, HoldKind.DISABLED, HoldKind.GATE)


def load(subscription: Subscription) -> Endpoint:
    """Return a subscription's endpoint with what tells why it is held. One query."""
    return Endpoint.objects.select_related("subscription__partner", "state_changed_by").get(pk=subscription.pk)


def address(subscription: Subscription, act: str) -> str:
    """Return the place of a question."""
    return reverse(f"admin:{NAME}", args=[subscription.pk, act])


def tools(request: HttpRequest, subscription: Subscription, hold: Hold | None) -> list[Tool]:
    """Return the buttons that do something just now."""
    if subscription.archived_at is not None or not subscription.callback_url:
        return []
    offered = {"test": (True, _("Send a test callback"))}
    offered["pause"] = (hold is None or hold.kind in (HoldKind.GATE, HoldKind.INACTIVE), _("Pause"))
    offered["enable"] = (
        hold is not None and hold.kind in ENABLED_FROM,
        _("Try again now") if hold is not None and hold.kind is HoldKind.GATE else _("Enable"),
    )
    return [
        Tool(label=label, url=address(subscription, act))
        for act, (is_offered, label) in offered.items()
        if is_offered and request.user.has_perm(PERMISSIONS[act])
    ]


def url_pattern(model_admin: ModelAdmin) -> URLPattern:
    """Return the place of the questions and their answers."""

    def view(request: HttpRequest, object_id: str, act: str) -> HttpResponse:
        if act not in PERMISSIONS:
            raise Http404
        if not (request.user.has_perm(PERMISSIONS[act]) and model_admin.has_view_permission(request)):
            raise PermissionDenied
        row = model_admin.get_object(request, object_id)
        if not isinstance(row, Subscription) or row.archived_at is not None:
            raise Http404
        if request.method == "POST":
            return _do(request, row, act)
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET", "POST"])
        return ask(model_admin, request, _question(row, act))

    return path("<path:object_id>/endpoint/<slug:act>/", model_admin.admin_site.admin_view(view), name=NAME)


def _page_of(row: Subscription) -> str:
    return reverse("admin:livereferrals_subscription_change", args=[row.pk])


def _question(row: Subscription, act: str) -> Question:
    if act == "pause":
        text = [
            _(
                "Nothing is sent to the partner's server until you enable it again. What comes meanwhile waits; nothing is lost."
            )
        ]
        return Question(title=_("Pause"), text=text, button=_("Pause"), back=_page_of(row), form=PauseForm(), row=row)
    if act == "enable":
        text = [_("Everything that waits is sent now, and earlier failures are forgotten.")]
        hold = holds.hold_of(load(row), now=timezone.now())
        if hold is not None:
            text.append(_("On hold: %(why)s") % {"why": hold.text})
        return Question(title=_("Enable"), text=text, button=_("Enable"), back=_page_of(row), row=row)
    text = [
        _("The partner's server is called once with made-up values, marked as a test. You see its answer."),
        _("It works while the endpoint is paused too, is not repeated, and counts for nothing."),
    ]
    title = _("Send a test callback")
    return Question(title=title, text=text, button=_("Send the test"), back=_page_of(row), row=row)


def _do(request: HttpRequest, row: Subscription, act: str) -> HttpResponse:
    if act == "test":
        return _test(request, row)
    if act == "pause":
        form = PauseForm(request.POST)
        reason = form.cleaned_data["reason"] if form.is_valid() else request.POST.get("reason", "")
        done = holding.pause(row, by=request.user, reason=reason)
        said = _("Paused: nothing is sent until it is enabled.") if done else _("It was on hold already.")
    else:
        done = holding.enable(row, by=request.user)
        said = _("Enabled: what waits is sent now.") if done else _("It was in service already.")
    messages.add_message(request, messages.SUCCESS if done else messages.WARNING, said)
    return HttpResponseRedirect(_page_of(row))


def _test(request: HttpRequest, row: Subscription) -> HttpResponse:
    trial = trying.send_test(row, by=request.user)
    if trial.delivery is None:
        messages.warning(request, trial.in_words())
        return HttpResponseRedirect(_page_of(row))
    if request.user.has_perm("livereferrals.view_delivery"):
        return HttpResponseRedirect(reverse("admin:livereferrals_delivery_change", args=[trial.delivery.pk]))
    messages.success(request, _("The test is sent; somebody who may see deliveries can see the answer."))
    return HttpResponseRedirect(_page_of(row))
