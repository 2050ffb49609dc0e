"""The dashboard's pages over HTTP: whole, as the regions of a filter, or as a poll."""

from __future__ import annotations

from functools import partial, update_wrapper
from http import HTTPStatus
from typing import TYPE_CHECKING

from django.db import transaction
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone, translation
from django.views.decorators.http import require_safe

from livereferrals.dashboard import access, accounts, catalogue, customising, pages, shell
from livereferrals.dashboard.filters import Filters
from livereferrals.dashboard.pages import FOLDER, NoSuchSubjectError
from livereferrals.dashboard.policy import dashboard_headers
from livereferrals.dashboard.viewpoints import Viewpoint
from livereferrals.events import log

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

    from livereferrals.dashboard.pages import Page


def page_view(name: str) -> Callable[..., HttpResponse]:
    """Return the view of a page by its name in the catalogue; its URL may have a `subject`."""
    view = partial(show_page, page=catalogue.BY_NAME[name])
    return update_wrapper(view, show_page)


@transaction.non_atomic_requests
@require_safe
@dashboard_headers
def show_page(request: HttpRequest, subject: object = "", *, page: Page) -> HttpResponse:
    """Answer with the page at one cursor.

    A request of htmx gets the regions that its address means; one that also brings a cursor is a poll and gets 204 while
    nothing has changed.
    """
    refusal = refuse_strangers(request)
    if refusal is not None:
        return refusal
    rights = access.rights_of(request.user)
    if rights is None or not page.may_see(rights):
        return forbid(request)
    filters, unknown = Filters.parse(request.META.get("QUERY_STRING", ""), page.fields)
    viewpoint = Viewpoint(
        view=page.name,
        subject=str(subject),
        filters=filters,
        rights=rights,
        language=translation.get_language() or "en",
        zone=timezone.get_current_timezone_name(),
    )
    if _is_poll(request) and _is_current(request, viewpoint):
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    try:
        state = pages.read_page(page, viewpoint)
    except NoSuchSubjectError:
        return render(request, f"{FOLDER}/missing.html", status=HTTPStatus.NOT_FOUND)
    of_htmx = wants_regions(request)
    state, regions = pages.render_regions(page, state, oob=of_htmx)
    around = shell.build(
        page,
        viewpoint,
        state,
        account=accounts.of(request.user),
        entries=customising.entries_for(request.user),
        unknown=unknown,
    )
    if of_htmx:
        filters_too = [] if _is_poll(request) else [shell.render_filters(around)]
        return HttpResponse("".join([*filters_too, *regions.values()]))
    return render(request, f"{FOLDER}/{page.template}", {"page": state, "shell": around, "regions": regions})


def forbid(request: HttpRequest) -> HttpResponse:
    """Return the answer to somebody who is signed in and may not see or do this; another account may."""
    context = {
        "account": accounts.of(request.user),
        "awaits_activation": access.awaits_activation(request.user),
        "sees_other_pages": access.rights_of(request.user) is not None,
        "back_to": request.get_full_path() if request.method == "GET" else "",
    }
    return render(request, f"{FOLDER}/forbidden.html", context, status=HTTPStatus.FORBIDDEN)


def refuse_strangers(request: HttpRequest) -> HttpResponse | None:
    """Return the answer to somebody who is not signed in; htmx would put a login page into the regions."""
    if request.user.is_authenticated:
        return None
    login_url = access.login_url(request.get_full_path())
    if not wants_regions(request):
        return HttpResponseRedirect(login_url)
    response = HttpResponse(status=HTTPStatus.UNAUTHORIZED)
    if not _is_poll(request):
        response["HX-Redirect"] = login_url
    return response


def wants_regions(request: HttpRequest) -> bool:
    """Whether htmx asks, and for no whole page."""
    if request.headers.get("HX-History-Restore-Request") == "true":
        return False
    return request.headers.get("HX-Request") == "true" or request.GET.get("fragment") == "1"


def _is_poll(request: HttpRequest) -> bool:
    return wants_regions(request) and "cursor" in request.GET


def _is_current(request: HttpRequest, viewpoint: Viewpoint) -> bool:
    """Whether a page at the request's cursor and period has nothing to learn. One query."""
    period = viewpoint.period(now=timezone.now()).name
    if request.GET.get("period", period) != period:
        return False
    return request.GET["cursor"] == str(log.bounds().newest_cursor)
