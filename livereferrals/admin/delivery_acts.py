"""Retry now, resend, cancel: for one delivery from its page, for several from the list, always after a question (D-23)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from livereferrals.admin.listing import as_uuid
from livereferrals.admin.questions import Question, ask
from livereferrals.admin.tools import Tool
from livereferrals.callbacks import acting
from livereferrals.callbacks.acting import Done, Obstacle, Seen
from livereferrals.callbacks.models import Delivery, DeliveryState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from django.contrib.admin import ModelAdmin
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

NAME: Final = "livereferrals_delivery_act"
PERMISSION: Final = "livereferrals.retry_delivery"
SHOWN: Final = 20
"""Deliveries that a question lists by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One thing that staff do with deliveries."""

    name: str
    label: Any
    text: Any
    """What it does, for the question."""
    run: Callable[..., Done]
    obstacle: Callable[[Delivery], Obstacle | None]
    said: Callable[[int], str]
    """What it did, by number."""


ACTS: Final = {
    act.name: act
    for act in (
        Act(
            name="retry",
            label=gettext_lazy("Retry now"),
            text=gettext_lazy("The next attempt is made at once, and not when the schedule says."),
            run=acting.retry_now,
            obstacle=acting.obstacle_to_retry,
            said=lambda n: (
                ngettext("%(n)s delivery is retried now.", "%(n)s deliveries are retried now.", n) % {"n": n}
            ),
        ),
        Act(
            name="resend",
            label=gettext_lazy("Resend"),
            text=gettext_lazy(
                "The partner's server is called once more for what has ended already, with the same id, so that it can "
                "tell that it is a repeat. If that fails, it is tried again by a fresh schedule."
            ),
            run=acting.resend,
            obstacle=acting.obstacle_to_resend,
            said=lambda n: ngettext("%(n)s delivery is resent.", "%(n)s deliveries are resent.", n) % {"n": n},
        ),
        Act(
            name="cancel",
            label=gettext_lazy("Cancel"),
            text=gettext_lazy("The partner's server is not called for it any more. Resend brings it back."),
            run=acting.cancel,
            obstacle=acting.obstacle_to_cancel,
            said=lambda n: ngettext("%(n)s delivery was cancelled.", "%(n)s deliveries were cancelled.", n) % {"n": n},
        ),
    )
}


def may_act(request: HttpRequest) -> bool:
    """Return whether the user may retry, resend and cancel."""
    return request.user.has_perm(PERMISSION) and request.user.has_perm("livereferrals.view_delivery")


def tools(request: HttpRequest, delivery: Delivery) -> list[Tool]:
    """Return the buttons of a delivery's page that do something just now."""
    if not may_act(request):
        return []
    return [
        Tool(label=act.label, url=f"{reverse(f'admin:{NAME}', args=[act.name])}?delivery={delivery.pk}")
        for act in ACTS.values()
        if act.obstacle(delivery) is None
    ]


def url_pattern(model_admin: ModelAdmin) -> URLPattern:
    """Return the place of the question and its answer."""

    def view(request: HttpRequest, act: str) -> HttpResponse:
        if act not in ACTS:
            raise Http404
        if not may_act(request):
            raise PermissionDenied
        if request.method == "POST":
            return _do(request, ACTS[act])
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET", "POST"])
        return _question_for_one(model_admin, request, ACTS[act])

    return path("act/<slug:act>/", model_admin.admin_site.admin_view(view), name=NAME)


def ask_about(
    model_admin: ModelAdmin, request: HttpRequest, chosen: QuerySet[Delivery], name: str
) -> HttpResponse | None:
    """Ask about what was chosen in the list; say so and stay there where it is too much or nothing can be done."""
    if not may_act(request):
        raise PermissionDenied
    rows = list(
        chosen.select_related("subscription__partner", "confirmation").order_by("-pk")[: acting.MOST_AT_ONCE + 1]
    )
    if len(rows) > acting.MOST_AT_ONCE:
        said = _("At most %(most)s deliveries at once. For more, replay a span of time from the subscription's page.")
        model_admin.message_user(request, said % {"most": acting.MOST_AT_ONCE}, messages.ERROR)
        return None
    return _question(model_admin, request, ACTS[name], rows, back=request.get_full_path())


def _question_for_one(model_admin: ModelAdmin, request: HttpRequest, act: Act) -> HttpResponse:
    pk = as_uuid(request.GET.get("delivery", ""))
    row = None
    if pk is not None:
        row = Delivery.objects.select_related("subscription__partner", "confirmation").filter(pk=pk).first()
    if row is None:
        raise Http404
    return _question(model_admin, request, act, [row], back=_page_of(row))


def _question(
    model_admin: ModelAdmin, request: HttpRequest, act: Act, rows: list[Delivery], *, back: str
) -> HttpResponse:
    obstacles = [(row, act.obstacle(row)) for row in rows]
    wanted = [row for row, obstacle in obstacles if obstacle is None]
    refused = [(row, obstacle) for row, obstacle in obstacles if obstacle is not None]
    text = [str(act.text), *_repeats(act, wanted)]
    if not wanted:
        text = [_("There is nothing to do.")]
    question = Question(
        title=str(act.label),
        text=text,
        button=str(act.label) if wanted else "",
        back=back,
        action=reverse(f"admin:{NAME}", args=[act.name]),
        items=_named([told(row) for row in wanted]),
        left_out=_named([f"{told(row)}: {obstacle.in_words()}" for row, obstacle in refused]),
        hidden=[("seen", str(Seen(delivery=row.pk, attempts=row.attempts))) for row in wanted],
        row=rows[0] if len(rows) == 1 else None,
    )
    return ask(model_admin, request, question)


def _repeats(act: Act, rows: Iterable[Delivery]) -> list[str]:
    """Say how many of them have been delivered already."""
    delivered = sum(row.state == DeliveryState.DELIVERED for row in rows)
    if act.name != "resend" or not delivered:
        return []
    said = ngettext(
        "%(n)s of them was delivered already: the partner gets it a second time.",
        "%(n)s of them were delivered already: the partner gets them a second time.",
        delivered,
    )
    return [said % {"n": delivered}]


def _named(names: list[str]) -> list[str]:
    more = len(names) - SHOWN
    return names if more <= 0 else [*names[:SHOWN], _("and %(count)s more") % {"count": more}]


def told(row: Delivery) -> str:
    """Name a delivery for a person: whom it is for and what it is about."""
    reference = row.confirmation.reference if row.confirmation is not None else ""
    about = f"{row.get_kind_display()} {reference or row.pk}"
    return f"{row.subscription}, {about} ({row.get_state_display()})"


def _page_of(row: Delivery) -> str:
    return reverse("admin:livereferrals_delivery_change", args=[row.pk])


def _do(request: HttpRequest, act: Act) -> HttpResponse:
    parsed = [Seen.parse(text) for text in request.POST.getlist("seen")[: acting.MOST_AT_ONCE + 1]]
    seen = [item for item in parsed if item is not None]
    try:
        done = act.run(seen, by=request.user)
    except acting.TooManyError as error:
        messages.error(request, str(error))
        return HttpResponseRedirect(reverse("admin:livereferrals_delivery_changelist"))
    if done.deliveries:
        messages.success(request, act.said(len(done.deliveries)))
    if done.followers:
        said = ngettext(
            "%(n)s reversal behind it was cancelled too: the partner never heard of the confirmation.",
            "%(n)s reversals behind them were cancelled too: the partner never heard of the confirmations.",
            done.followers,
        )
        messages.info(request, said % {"n": done.followers})
    for obstacle in sorted(set(done.refused.values())):
        count = sum(found is obstacle for found in done.refused.values())
        messages.warning(request, _("Left out %(count)s: %(why)s") % {"count": count, "why": obstacle.in_words()})
    if len(seen) == 1:
        return HttpResponseRedirect(reverse("admin:livereferrals_delivery_change", args=[seen[0].delivery]))
    return HttpResponseRedirect(reverse("admin:livereferrals_delivery_changelist"))
