"""What staff do from the delivery console: each act asks by GET, is done by POST, needs its own permission, is recorded."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial, update_wrapper
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from livereferrals.callbacks import acting, holding, replaying, trying
from livereferrals.callbacks.acting import Seen
from livereferrals.callbacks.forms import PauseForm, ReplayForm
from livereferrals.callbacks.models import Replay, ReplayState
from livereferrals.dashboard import access, delivery, endpoints
from livereferrals.dashboard.addresses import address
from livereferrals.dashboard.pages import FOLDER, NoSuchSubjectError
from livereferrals.dashboard.policy import dashboard_headers
from livereferrals.dashboard.views import forbid, refuse_strangers

if TYPE_CHECKING:
    from collections.abc import Callable

    from django import forms
    from django.http import HttpRequest

    from livereferrals.callbacks.models import Delivery, Endpoint

PERMISSIONS: Final = {
    "retry": "retry_delivery",
    "resend": "retry_delivery",
    "cancel": "retry_delivery",
    "replay": "retry_delivery",
    "pause": "hold_endpoint",
    "enable": "hold_endpoint",
    "test": "send_test_callback",
}
OF_DELIVERIES: Final = {"retry": acting.retry_now, "resend": acting.resend, "cancel": acting.cancel}
FORMER: Final = 5
"""Replays that the page of a replay shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a page asks."""

    title: str
    text: tuple[str, ...]
    button: str
    """Empty: there is nothing to do."""
    about: str
    back: str
    problem: str = ""
    """Why the last answer was not done."""
    form: forms.BaseForm | None = None
    hidden: tuple[tuple[str, str], ...] = ()
    more: dict[str, Any] = field(default_factory=dict)
    """What the page of a replay shows besides."""


def act_view(kind: str) -> Callable[..., HttpResponse]:
    """Return the view of the acts on a `delivery` or an `endpoint`."""
    return update_wrapper(partial(_act_view, kind=kind), _act_view)


# Without the whole request in one transaction: what an act commits is what its page shows.
@transaction.non_atomic_requests
@require_http_methods(["GET", "HEAD", "POST"])
@csrf_protect
@dashboard_headers
def _act_view(request: HttpRequest, subject: object, act: str, *, kind: str) -> HttpResponse:
    refusal = refuse_strangers(request)
    if refusal is not None:
        return refusal
    rights = access.rights_of(request.user)
    if act not in PERMISSIONS or (act in OF_DELIVERIES) != (kind == "delivery"):
        raise Http404
    # A partner's login has none of these permissions, whatever id is guessed.
    if rights is None or not endpoints.may_see(rights) or not rights.may(PERMISSIONS[act]):
        return forbid(request)
    try:
        if kind == "delivery":
            return _on_delivery(request, delivery.find(str(subject), rights), act)
        return _on_endpoint(request, endpoints.find(str(subject), rights), act)
    except NoSuchSubjectError:
        return render(request, f"{FOLDER}/missing.html", status=HTTPStatus.NOT_FOUND)


def _ask(request: HttpRequest, question: Question, *, template: str = "ask.html") -> HttpResponse:
    status = HTTPStatus.CONFLICT if question.problem else HTTPStatus.OK
    context = {"question": question, "form": question.form, **question.more}
    return render(request, f"{FOLDER}/{template}", context, status=status)


# --- deliveries -----------------------------------------------------------------------------------------------------------


def _on_delivery(request: HttpRequest, row: Delivery, act: str) -> HttpResponse:
    problem = ""
    if request.method == "POST":
        seen = Seen.parse(request.POST.get("seen", ""))
        if seen is None or seen.delivery != row.pk:
            raise Http404
        done = OF_DELIVERIES[act]([seen], by=request.user)
        if done.deliveries:
            return HttpResponseRedirect(address("delivery", row.pk))
        problem = done.refused[row.pk].in_words()
    title, text, obstacle = {
        "retry": (_("Retry now"), _("The next attempt is made at once."), acting.obstacle_to_retry),
        "resend": (
            _("Resend"),
            _("The partner's server is called once more, with the same id, so that it can tell that it is a repeat."),
            acting.obstacle_to_resend,
        ),
        "cancel": (_("Cancel"), _("The partner's server is not called for it any more."), acting.obstacle_to_cancel),
    }[act]
    hindered = obstacle(row)
    reference = row.confirmation.reference if row.confirmation is not None else ""
    question = Question(
        title=title,
        text=(text,) if hindered is None else (hindered.in_words(),),
        button=title if hindered is None and not problem else "",
        about=f"{row.subscription}, {row.get_kind_display()} {reference or row.pk} ({row.get_state_display()})",
        back=address("delivery", row.pk),
        problem=problem,
        hidden=(("seen", str(Seen(delivery=row.pk, attempts=row.attempts))),),
    )
    return _ask(request, question)


# --- endpoints ------------------------------------------------------------------------------------------------------------


def _on_endpoint(request: HttpRequest, row: Endpoint, act: str) -> HttpResponse:
    if act == "replay":
        return _replay(request, row)
    back = address("endpoint", row.subscription.uid)
    problem = ""
    if request.method == "POST":
        where, problem = _do(request, row, act)
        if where:
            return HttpResponseRedirect(where)
    title, text = {
        "pause": (
            _("Pause"),
            _("Nothing is sent until you enable it again. What comes meanwhile waits; nothing is lost."),
        ),
        "enable": (_("Enable"), _("Everything that waits is sent now, and earlier failures are forgotten.")),
        "test": (
            _("Send a test"),
            _(
                "The partner's server is called once with made-up values, marked as a test. You see its answer. It counts "
                "for nothing."
            ),
        ),
    }[act]
    question = Question(
        title=title,
        text=(text,),
        button=title,
        about=str(row.subscription),
        back=back,
        problem=problem,
        form=PauseForm() if act == "pause" else None,
    )
    return _ask(request, question)


def _do(request: HttpRequest, row: Endpoint, act: str) -> tuple[str, str]:
    """Return where to go on, or why it was not done."""
    back = address("endpoint", row.subscription.uid)
    if act == "test":
        trial = trying.send_test(row.subscription, by=request.user)
        return (address("delivery", trial.delivery.pk), "") if trial.delivery is not None else ("", trial.in_words())
    if act == "pause":
        form = PauseForm(request.POST)
        if not form.is_valid():
            return "", _("The reason is too long.")
        done = holding.pause(row.subscription, by=request.user, reason=form.cleaned_data["reason"])
        return (back, "") if done else ("", _("It was on hold already."))
    done = holding.enable(row.subscription, by=request.user)
    return (back, "") if done else ("", _("It was in service already."))


def _replay(request: HttpRequest, row: Endpoint) -> HttpResponse:
    now = timezone.now()
    form = ReplayForm(request.POST or None, initial={"since": now - timedelta(days=1), "until": now})
    more: dict[str, Any] = {}
    problem = ""
    if request.method == "POST":
        if "stop" in request.POST:
            return _stop(request, row)
        if form.is_valid():
            more, problem = _preview_or_begin(request, row, form)
            if more.get("begun"):
                return HttpResponseRedirect(request.path)
    rows = Replay.objects.filter(subscription=row.pk).select_related("created_by").order_by("-created_at")[:FORMER]
    question = Question(
        title=_("Replay"),
        text=(_("Deliveries of a span of time are made once more, with the same ids."),),
        button=_("Preview"),
        about=str(row.subscription),
        back=address("endpoint", row.subscription.uid),
        problem=problem,
        form=form,
        more={**more, "replays": list(rows), "most": replaying.MOST},
    )
    return _ask(request, question, template="ask_replay.html")


def _preview_or_begin(request: HttpRequest, row: Endpoint, form: ReplayForm) -> tuple[dict[str, Any], str]:
    span, rate = form.span(row.pk), form.cleaned_data["per_second"]
    if "begin" not in request.POST:
        preview = replaying.preview(span)
        return {"preview": preview, "takes": preview.takes(rate)}, ""
    try:
        return {"begun": replaying.begin(span, per_second=rate, by=request.user)}, ""
    except replaying.ReplayRefusedError as error:
        return {}, str(error)


def _stop(request: HttpRequest, row: Endpoint) -> HttpResponse:
    # At most one of a subscription is running.
    running = Replay.objects.filter(subscription=row.pk, state=ReplayState.RUNNING).select_related("subscription")
    for replay in running:
        replaying.stop(replay, by=request.user)
    return HttpResponseRedirect(request.path)
