"""The page that asks before the personal data of a visitor's user are erased (Y-03)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from livereferrals import api
from livereferrals.admin.listing import as_uuid
from livereferrals.admin.questions import Question, ask
from livereferrals.admin.tools import Tool
from livereferrals.tracking.models import ReferralHit, Visitor

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.db.models import Model
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

NAME: Final = "livereferrals_visitor_erase"
NEEDED: Final = ("livereferrals.erase_personal_data", "livereferrals.view_visitor")


def tools(request: HttpRequest, visitor: Model) -> list[Tool]:
    """Return the button, for those who may erase; a visitor of nobody leads to nobody."""
    if not isinstance(visitor, Visitor) or visitor.user_id is None or not request.user.has_perms(NEEDED):
        return []
    return [Tool(label=_("Erase personal data"), url=reverse(f"admin:{NAME}", args=[visitor.pk]))]


def url_pattern(model_admin: ModelAdmin) -> URLPattern:
    """Return the place of the question and its answer."""

    def view(request: HttpRequest, object_id: str) -> HttpResponse:
        if not request.user.has_perms(NEEDED):
            raise PermissionDenied
        pk = as_uuid(object_id)
        visitor = None if pk is None else Visitor.objects.select_related("user").filter(pk=pk).first()
        if visitor is None or visitor.user is None:
            raise Http404
        if request.method == "POST":
            return _erase(request, visitor.user)
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET", "POST"])
        return ask(model_admin, request, _question(visitor))

    return path("<path:object_id>/erase/", model_admin.admin_site.admin_view(view), name=NAME)


def _question(visitor: Visitor) -> Question:
    visitors = Visitor.objects.filter(user=visitor.user_id).count()
    hits = ReferralHit.objects.filter(user=visitor.user_id).count()
    return Question(
        title=_("Erase personal data"),
        text=[
            _("Nothing here will lead to %(user)s any more. This cannot be undone.") % {"user": visitor.user},
            _("Visitors go; hits, confirmations, amounts and counts stay, without the person."),
            _("Callbacks that wait are cancelled, and what was sent and answered is cleared."),
            _("What a partner was told before, only the partner can erase. The user's account stays."),
        ],
        items=[
            ngettext("%(count)s visitor", "%(count)s visitors", visitors) % {"count": visitors},
            ngettext("%(count)s hit", "%(count)s hits", hits) % {"count": hits},
        ],
        button=_("Erase"),
        back=reverse("admin:livereferrals_visitor_change", args=[visitor.pk]),
        row=visitor,
    )


def _erase(request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:
    # Who has permissions is somebody.
    erased = api.erase_user(user, by=cast("AbstractBaseUser", request.user))
    said = ngettext(
        "Erased: %(count)s visitor is gone, and nothing leads to the user.",
        "Erased: %(count)s visitors are gone, and nothing leads to the user.",
        erased.visitors,
    )
    messages.success(request, said % {"count": erased.visitors})
    return HttpResponseRedirect(reverse("admin:livereferrals_visitor_changelist"))
