"""URLs of a host that mounts the dashboard elsewhere."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("partners/live/", include("livereferrals.dashboard.urls"))]
