"""The fourth edit of the README."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("ref/", include("livereferrals.urls")),
    path("referrals/", include("livereferrals.dashboard.urls")),
]
