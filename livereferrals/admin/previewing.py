"""What a callback would look like, with sample values, beside the field where its address is typed (D-16)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, HttpResponseNotAllowed
from django.template.loader import render_to_string
from django.urls import path, reverse
from django.utils.translation import gettext as _

from livereferrals.callbacks import checking, placeholders, samples
from livereferrals.callbacks.models import Method, Subscription
from livereferrals.exceptions import Unrenderable

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.http import HttpRequest
    from django.urls import URLPattern

NAME = "livereferrals_subscription_preview"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A request as it would go out, or why it cannot."""

    method: str = ""
    url: str = ""
    problem: str = ""
    notes: tuple[str, ...] = ()


def preview(*, url: str, method: str, trigger: str, partner_uid: str, plain_http: bool) -> Preview | None:
    """Return the request with sample values; `None` where no address is given. No look-up is made."""
    typed = url.strip()
    if not typed:
        return None
    mistakes = checking.mistakes_in(typed, plain_http=plain_http)
    if mistakes:
        return Preview(problem=" ".join(checking.advised(mistakes[0]).messages))
    template = placeholders.parse(checking.in_ascii(typed))
    try:
        rendered = template.render(samples.sample_values(trigger=trigger, partner_uid=partner_uid))
    except Unrenderable as error:
        return Preview(problem=str(error))
    shown_method = method if method in Method.values else Method.POST
    notes = template.warnings(method=shown_method)
    if shown_method == Method.POST:
        notes = [_("The event goes along as JSON, with a signature."), *notes]
    if template.authority not in typed:
        notes = [_("The host that is called is %(host)s.") % {"host": template.authority}, *notes]
    return Preview(method=shown_method, url=rendered, notes=tuple(notes))


def of_subscription(subscription: Subscription) -> Any:
    """Return the preview of a row as it stands, in the frame that the script keeps up to date."""
    partner = getattr(subscription, "partner", None) if subscription.partner_id else None
    found = preview(
        url=subscription.callback_url,
        method=subscription.method,
        trigger=subscription.trigger,
        partner_uid=partner.uid if partner is not None else "",
        plain_http=subscription.allow_plain_http,
    )
    return render_to_string(
        "admin/livereferrals/subscription/_preview_frame.html", {"preview": found, "url": reverse(f"admin:{NAME}")}
    )


def url_pattern(model_admin: ModelAdmin) -> URLPattern:
    """Return where the script asks."""

    def view(request: HttpRequest) -> HttpResponse:
        return answer(model_admin, request)

    return path("preview/", model_admin.admin_site.admin_view(view), name=NAME)


def answer(model_admin: ModelAdmin, request: HttpRequest) -> HttpResponse:
    """Answer with the preview of what is being typed; the address may hold a secret, so it comes in a POST's body."""
    if not (model_admin.has_add_permission(request) or model_admin.has_change_permission(request)):
        raise PermissionDenied
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    found = preview(
        url=request.POST.get("callback_url", "")[:4000],
        method=request.POST.get("method", ""),
        trigger=request.POST.get("trigger", ""),
        partner_uid="",
        plain_http=bool(request.POST.get("allow_plain_http")),
    )
    return HttpResponse(
        render_to_string("admin/livereferrals/subscription/_preview.html", {"preview": found}),
        headers={"Cache-Control": "no-store"},
    )
