"""URLs of the dashboard: `path("referrals/", include("livereferrals.dashboard.urls"))`."""

from __future__ import annotations

from django.urls import path

from livereferrals.dashboard import links
from livereferrals.dashboard.exporting import export_view
from livereferrals.dashboard.views import page_view
from livereferrals.streaming.urls import urlpatterns as feed

app_name = "livereferrals_dashboard"

urlpatterns = [
    path("", page_view("overview"), name="overview"),
    path("links/", page_view("links"), name="links"),
    path("links/export.csv", export_view(links.PAGE, links.LISTING), name="links_export"),
    *feed,
]
