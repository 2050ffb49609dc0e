"""The dashboard's pages over HTTP: whole, as the regions of a filter, or as a poll."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from django.db import transaction
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone, translation
from django.views.decorators.http import require_safe

from livereferrals.dashboard import access, overview, rows
from livereferrals.dashboard.filters import Filters
from livereferrals.dashboard.policy import dashboard_headers
from livereferrals.dashboard.viewpoints import Viewpoint
from livereferrals.events import log

if TYPE_CHECKING:
    from django.http import HttpRequest


@transaction.non_atomic_requests
@require_safe
@dashboard_headers
def show_overview(request: HttpRequest) -> HttpResponse:
    """Answer with the overview at one cursor.

    A request of htmx gets the regions that its address means; one that also brings a cursor is a poll and gets 204 while
    nothing has changed.
    """
    refusal = _refusal(request)
    if refusal is not None:
        return refusal
    rights = access.rights_of(request.user)
    if rights is None:
        user = request.user.get_username()
        return render(request, f"{rows.FOLDER}/forbidden.html", {"user": user}, status=HTTPStatus.FORBIDDEN)
    filters, unknown = Filters.parse(request.META.get("QUERY_STRING", ""))
    if _is_poll(request) and _is_current(request, filters):
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    viewpoint = Viewpoint(
        filters=filters,
        rights=rights,
        language=translation.get_language() or "en",
        zone=timezone.get_current_timezone_name(),
    )
    page = overview.page(viewpoint, user=request.user.get_username(), unknown=unknown)
    if _wants_regions(request):
        names = rows.REGIONS if _is_poll(request) else ("filters", *rows.REGIONS)
        return HttpResponse("".join(rows.render_region(name, page, oob=True) for name in names))
    return render(request, f"{rows.FOLDER}/overview.html", {"page": page})


def _refusal(request: HttpRequest) -> HttpResponse | None:
    """Return the answer to somebody who is not signed in; htmx would put a login page into the regions."""
    if request.user.is_authenticated:
        return None
    login_url = access.login_url(request.get_full_path())
    if not _wants_regions(request):
        return HttpResponseRedirect(login_url)
    response = HttpResponse(status=HTTPStatus.UNAUTHORIZED)
    if not _is_poll(request):
        response["HX-Redirect"] = login_url
    return response


def _wants_regions(request: HttpRequest) -> bool:
    if request.headers.get("HX-History-Restore-Request") == "true":
        return False
    return request.headers.get("HX-Request") == "true" or request.GET.get("fragment") == "1"


def _is_poll(request: HttpRequest) -> bool:
    return _wants_regions(request) and "cursor" in request.GET


def _is_current(request: HttpRequest, filters: Filters) -> bool:
    """Whether a page at the request's cursor and period has nothing to learn. One query."""
    period = overview.current_span(filters, now=timezone.now()).name
    if request.GET.get("period", period) != period:
        return False
    return request.GET["cursor"] == str(log.bounds().newest_cursor)
