"""A delivery's page: where it stands, a countdown, and each attempt; it renews itself while something happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.template.loader import render_to_string
from django.urls import path, reverse
from django.utils import timezone

from livereferrals.admin.listing import as_uuid
from livereferrals.callbacks import stories
from livereferrals.callbacks.models import Delivery

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.http import HttpRequest
    from django.urls import URLPattern

NAME: Final = "livereferrals_delivery_story"
ATTEMPTS: Final = "livereferrals.view_deliveryattempt"
TEMPLATE: Final = "admin/livereferrals/delivery/_story.html"
RELATED: Final = ("subscription__partner", "subscription__endpoint__state_changed_by", "confirmation", "after")


def context_of(request: HttpRequest, delivery: Delivery) -> dict[str, Any]:
    """Return what the moving part of the page shows; a partner's answers only to those who may see them."""
    with_attempts = request.user.has_perm(ATTEMPTS)
    return {
        "story": stories.story_of(delivery, now=timezone.now(), with_attempts=with_attempts),
        "with_attempts": with_attempts,
        "url": reverse(f"admin:{NAME}", args=[delivery.pk]),
    }


def load(object_id: str) -> Delivery | None:
    """Return a delivery with everything that its page shows. One query."""
    pk = as_uuid(object_id)
    return None if pk is None else Delivery.objects.select_related(*RELATED).filter(pk=pk).first()


def url_pattern(model_admin: ModelAdmin) -> URLPattern:
    """Return where the page asks for its moving part."""

    def view(request: HttpRequest, object_id: str) -> HttpResponse:
        if not model_admin.has_view_permission(request):
            raise PermissionDenied
        delivery = load(object_id)
        if delivery is None:
            raise Http404
        text = render_to_string(TEMPLATE, context_of(request, delivery))
        return HttpResponse(text, headers={"Cache-Control": "no-store"})

    return path("<path:object_id>/story/", model_admin.admin_site.admin_view(view), name=NAME)
