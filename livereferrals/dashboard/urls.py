"""URLs of the dashboard: `path("referrals/", include("livereferrals.dashboard.urls"))`."""

from __future__ import annotations

from django.urls import path

from livereferrals.dashboard import views

app_name = "livereferrals_dashboard"

urlpatterns = [path("", views.show_overview, name="overview")]
