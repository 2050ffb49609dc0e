"""The page that answers "which hit would get it?" for a visitor, for every trigger, without a write (A-14)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext as _

from livereferrals import api
from livereferrals.admin.listing import as_uuid
from livereferrals.tracking import sentences
from livereferrals.tracking.models import Partner, Visitor
from livereferrals.tracking.reasons import Reason
from livereferrals.triggers import catalogue

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.db.models import Model
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

    from livereferrals.tracking.models import ReferralHit
    from livereferrals.tracking.sentences import Story

NAME = "livereferrals_visitor_asking"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What would happen now for one trigger."""

    trigger: str
    sentence: str
    hit: ReferralHit | None
    story: Story


def may_ask(request: HttpRequest) -> bool:
    """Return whether the user may see people and what they did."""
    return request.user.has_perms(["livereferrals.view_visitor", "livereferrals.view_referralhit"])


def address(visitor: Model) -> str:
    """Return the page's URL."""
    return reverse(f"admin:{NAME}", args=[visitor.pk])


def url_pattern(model_admin: ModelAdmin) -> URLPattern:
    """Return the page's place below the visitor's."""

    def view(request: HttpRequest, object_id: str) -> HttpResponse:
        return page(model_admin, request, object_id)

    return path("<path:object_id>/which-hit/", model_admin.admin_site.admin_view(view), name=NAME)


def page(model_admin: ModelAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
    """Show the answers."""
    if not may_ask(request):
        raise PermissionDenied
    pk = as_uuid(object_id)
    visitor = None if pk is None else Visitor.objects.select_related("user").filter(pk=pk).first()
    if visitor is None:
        raise Http404
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "opts": Visitor._meta,
        "media": model_admin.media,
        "title": _("Which hit would get it?"),
        "subtitle": str(visitor),
        "visitor": visitor,
        "answers": answers(visitor),
    }
    return TemplateResponse(request, "admin/livereferrals/visitor/which_hit.html", context)


def answers(visitor: Visitor) -> list[Answer]:
    """Ask for every trigger of the settings; nothing is written. At most five queries for each, and one."""
    results = [
        (trigger, api.attribute(trigger.name, visitor=visitor, reference=catalogue.next_reference(trigger.name)))
        for trigger in catalogue.triggers()
    ]
    uids = set().union(*(sentences.partners_in(result.trace) for _trigger, result in results))
    names = dict(Partner.objects.filter(uid__in=uids).values_list("uid", "name"))
    return [
        Answer(
            trigger=str(trigger),
            sentence=_sentence(result.reason, result.hit),
            hit=result.hit,
            story=sentences.told(result.trace, names=names),
        )
        for trigger, result in results
    ]


def _sentence(reason: Reason, hit: ReferralHit | None) -> str:
    if reason is not Reason.CONFIRMED or hit is None:
        return _("Nobody would be credited: %(reason)s.") % {"reason": reason.label}
    if hit.partner is None:
        return _("The link %(link)s would be credited.") % {"link": hit.link}
    return _("%(partner)s would be credited, for its link %(link)s.") % {"partner": hit.partner, "link": hit.link}
