"""URLs of the dashboard: `path("referrals/", include("livereferrals.dashboard.urls"))`."""

from __future__ import annotations

from django.urls import path

from livereferrals.dashboard.views import page_view

app_name = "livereferrals_dashboard"

urlpatterns = [path("", page_view("overview"), name="overview")]
