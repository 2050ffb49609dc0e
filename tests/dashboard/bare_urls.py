"""URLs of a host without Django's admin."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("referrals/", include("livereferrals.dashboard.urls"))]
