"""The link URL, for the host's `path("ref/", include("livereferrals.urls"))`."""

from __future__ import annotations

from django.urls import path

from livereferrals.tracking import views

app_name = "livereferrals"

# Any one segment: what can be no identifier is an unknown link, which leads on, and no 404 (L-20). Both forms answer
# directly, whatever APPEND_SLASH says (L-05); the last pattern of a name is the one that `reverse` gives.
urlpatterns = [
    path("<str:identifier>/", views.link, name="link"),
    path("<str:identifier>", views.link, name="link"),
]
