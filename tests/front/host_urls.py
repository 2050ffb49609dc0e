"""URLs of hosts that put something before a link's, or beside it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.decorators.cache import never_cache

from livereferrals.tracking import views


def own(request: HttpRequest, **_kwargs: object) -> HttpResponse:
    """A page of the host's."""
    return HttpResponse("the host's")


urlpatterns = [
    path("ref/about", own),
    path("ref/wrapped", never_cache(views.link), {"identifier": "wrapped"}),
    path("ref/deep/<str:identifier>", own),
    path("ref/", include("livereferrals.urls")),
    path("second/", include("livereferrals.urls", namespace="second")),
]
