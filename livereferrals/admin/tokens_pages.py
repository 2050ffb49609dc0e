"""The pages on which feed tokens are made, shown once, rotated and revoked.

A new token's secret stands in the answer to the form that made it and nowhere else: in no message, session, history or
log. Sending the form again makes no second one, because the form names the token's id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from django.contrib import messages
from django.contrib.admin.helpers import AdminForm
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from livereferrals import routes
from livereferrals.admin.copying import copy_text_button
from livereferrals.admin.tokens_forms import NewTokenForm
from livereferrals.exceptions import TokenExists
from livereferrals.streaming import token_commands, tokens
from livereferrals.streaming.forms import RotationForm
from livereferrals.streaming.models import FeedToken
from livereferrals.tracking.models import Partner

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern
    from django.utils.safestring import SafeString

PERMISSION = "livereferrals.manage_tokens"
TEMPLATES = "admin/livereferrals/feedtoken"
LIST = "admin:livereferrals_feedtoken_changelist"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command line that reads the feed with the new token."""

    label: str
    button: SafeString


def url_patterns(model_admin: ModelAdmin) -> list[URLPattern]:
    """Return the places of the pages below a token's."""

    def rotating(request: HttpRequest, object_id: str) -> HttpResponse:
        return rotate_page(model_admin, request, _usable(request, object_id))

    def revoking(request: HttpRequest, object_id: str) -> HttpResponse:
        return revoke_page(model_admin, request, _usable(request, object_id))

    wrap = model_admin.admin_site.admin_view
    return [
        path("<path:object_id>/rotate/", wrap(rotating), name="livereferrals_feedtoken_rotate"),
        path("<path:object_id>/revoke/", wrap(revoking), name="livereferrals_feedtoken_revoke"),
    ]


def _usable(request: HttpRequest, object_id: str) -> FeedToken:
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    row = FeedToken.objects.select_related("partner").filter(pk=object_id.replace("\x00", "")).first()
    if row is None:
        raise Http404
    return row


@sensitive_variables("text")
def add_page(model_admin: ModelAdmin, request: HttpRequest) -> HttpResponse:
    """Ask what the token is for; make it and show it."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    form = NewTokenForm(request.POST or None, initial={"partner": _partner_of_list(request)})
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            row, text = tokens.issue(
                name=values["name"],
                partner=values["partner"],
                scopes=values["reads"],
                links=values["link_ids"],
                expires_at=values["last_day"],
                created_by=request.user,
                token_id=values["token_id"],
            )
        except TokenExists:
            return _made_before(request, values["token_id"])
        model_admin.log_addition(request, row, [{"added": {}}])
        return _shown(model_admin, request, row, text)
    context = {"title": _("Make a feed token"), **_fields(model_admin, form)}
    return _page(model_admin, request, "add", context)


@sensitive_variables("text")
def rotate_page(model_admin: ModelAdmin, request: HttpRequest, old: FeedToken) -> HttpResponse:
    """Ask when the old token ends; make the new one and show it."""
    form = RotationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            row, text = tokens.rotate(
                old, ends_at=values["last_day"], created_by=request.user, token_id=values["token_id"]
            )
        except TokenExists:
            return _made_before(request, values["token_id"])
        except ValueError:
            if FeedToken.objects.filter(pk=values["token_id"]).exists():
                return _made_before(request, values["token_id"])
            messages.warning(request, _("This token was revoked or rotated before. Make a new one."))
            return HttpResponseRedirect(_address(old))
        model_admin.log_change(request, old, _("Rotated; the new token is %(id)s.") % {"id": row.pk})
        model_admin.log_addition(request, row, _("Made in place of %(id)s.") % {"id": old.pk})
        return _shown(model_admin, request, row, text)
    context: dict[str, Any] = {
        "title": _("Rotate the feed token"),
        "object": old,
        "form": form,
        "media": model_admin.media,
    }
    return _page(model_admin, request, "rotate", context)


def revoke_page(model_admin: ModelAdmin, request: HttpRequest, token: FeedToken) -> HttpResponse:
    """Ask, and end the token."""
    if request.method == "POST":
        tokens.revoke(token)
        model_admin.log_change(request, token, _("Revoked."))
        messages.success(request, _("The token was revoked. What it had open is closed within ten seconds."))
        return HttpResponseRedirect(_address(token))
    context = {"title": _("Revoke the feed token"), "object": token, "media": model_admin.media}
    return _page(model_admin, request, "revoke", context)


@sensitive_variables("text")
def _shown(model_admin: ModelAdmin, request: HttpRequest, row: FeedToken, text: str) -> HttpResponse:
    context = {
        "title": _("The new feed token"),
        "object": row,
        "media": model_admin.media,
        "token": copy_text_button(text),
        "commands": commands(request, text),
    }
    return _page(model_admin, request, "shown", context)


@sensitive_variables("text")
def commands(request: HttpRequest, text: str) -> list[Command]:
    """Return two command lines that read the feed with this token, as this site is reached now."""
    mounted_at = routes.path_of("livereferrals_dashboard:overview")
    if mounted_at is None:
        return []
    found = token_commands.commands(request.build_absolute_uri(f"{mounted_at}feed/v1/"), text)
    return [Command(label=label, button=copy_text_button(command)) for label, command in found]


def _made_before(request: HttpRequest, token_id: str) -> HttpResponse:
    messages.warning(request, _("This token had been made already; it is shown only once. If it was lost, rotate it."))
    return HttpResponseRedirect(reverse("admin:livereferrals_feedtoken_change", args=[token_id]))


def _fields(model_admin: ModelAdmin, form: Any) -> dict[str, Any]:
    """Return a form that looks as the admin's own do."""
    names = [field.name for field in form.visible_fields()]
    laid_out = AdminForm(form, [(None, {"fields": names})], {}, model_admin=model_admin)
    return {"form": form, "adminform": laid_out, "media": model_admin.media + form.media}


def _page(model_admin: ModelAdmin, request: HttpRequest, name: str, context: dict[str, Any]) -> HttpResponse:
    shared = {**model_admin.admin_site.each_context(request), "opts": FeedToken._meta, "back": reverse(LIST)}
    return TemplateResponse(request, f"{TEMPLATES}/{name}.html", shared | context)


def _address(token: FeedToken) -> str:
    return reverse("admin:livereferrals_feedtoken_change", args=[token.pk])


def _partner_of_list(request: HttpRequest) -> Partner | None:
    """Return the partner whose tokens were listed when somebody chose to add one."""
    uid = parse_qs(request.GET.get("_changelist_filters", "")).get("partner", [""])[-1]
    return Partner.objects.filter(uid=uid.replace("\x00", "")).first()
