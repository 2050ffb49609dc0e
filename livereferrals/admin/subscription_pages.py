"""Pages of a subscription's own beside its form: one permission, shown by GET and answered by POST."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponseNotAllowed
from django.urls import path

from livereferrals.callbacks.models import Subscription

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.admin import ModelAdmin
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

    Act = Callable[[ModelAdmin, HttpRequest, Subscription], HttpResponse]


def page_pattern(
    model_admin: ModelAdmin, *, suffix: str, name: str, permission: str, show: Act, answer: Act
) -> URLPattern:
    """Return the place of a page at the subscription's address and `suffix`, for those who have the permission."""

    def view(request: HttpRequest, object_id: str) -> HttpResponse:
        if not (request.user.has_perm(permission) and model_admin.has_view_permission(request)):
            raise PermissionDenied
        row = model_admin.get_object(request, object_id)
        if not isinstance(row, Subscription):
            raise Http404
        if request.method == "POST":
            return answer(model_admin, request, row)
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET", "POST"])
        return show(model_admin, request, row)

    return path(f"<path:object_id>/{suffix}/", model_admin.admin_site.admin_view(view), name=name)
