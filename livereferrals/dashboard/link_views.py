"""What is had of a link besides its page: its picture for print, and a way to try it that counts nothing."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from django.db import transaction
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import NoReverseMatch
from django.views.decorators.http import require_safe

from livereferrals.dashboard import access, sharing, views
from livereferrals.dashboard.pages import FOLDER, NoSuchSubjectError
from livereferrals.dashboard.policy import dashboard_headers
from livereferrals.tracking import destinations, picturing

if TYPE_CHECKING:
    from django.http import HttpRequest

    from livereferrals.tracking.models import ReferralLink


@transaction.non_atomic_requests
@require_safe
@dashboard_headers
def picture(request: HttpRequest, subject: object) -> HttpResponse:
    """Answer with the QR code of the link's address on this site, as SVG."""
    found = _found(request, str(subject))
    if isinstance(found, HttpResponse):
        return found
    try:
        url = found.build_url(request)
    except NoReverseMatch as error:
        raise Http404 from error
    return HttpResponse(
        picturing.qr_code(url, title=found.identifier),
        content_type="image/svg+xml",
        headers={"Content-Disposition": f'inline; filename="{found.pk}.svg"'},
    )


@transaction.non_atomic_requests
@require_safe
@dashboard_headers
def trial(request: HttpRequest, subject: object) -> HttpResponse:
    """Lead where the link leads, without a hit and without a visitor's cookie."""
    found = _found(request, str(subject))
    if isinstance(found, HttpResponse):
        return found
    return HttpResponseRedirect(destinations.settled(request, [found.target]))


def _found(request: HttpRequest, subject: str) -> ReferralLink | HttpResponse:
    """Return the link, or the answer to somebody who does not get it."""
    refusal = views.refuse_strangers(request)
    if refusal is not None:
        return refusal
    rights = access.rights_of(request.user)
    if rights is None:
        return views.forbid(request)
    try:
        return sharing.find(subject, rights)
    except NoSuchSubjectError:
        return render(request, f"{FOLDER}/missing.html", status=HTTPStatus.NOT_FOUND)
