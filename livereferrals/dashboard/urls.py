"""URLs of the dashboard: `path("referrals/", include("livereferrals.dashboard.urls"))`."""

from __future__ import annotations

from django.urls import path

from livereferrals.dashboard import deliveries, links
from livereferrals.dashboard.acts import act_view
from livereferrals.dashboard.exporting import export_view
from livereferrals.dashboard.views import page_view
from livereferrals.streaming.urls import urlpatterns as feed

app_name = "livereferrals_dashboard"

urlpatterns = [
    path("", page_view("overview"), name="overview"),
    path("links/", page_view("links"), name="links"),
    path("links/export.csv", export_view(links.PAGE, links.LISTING), name="links_export"),
    path("deliveries/", page_view("deliveries"), name="deliveries"),
    path("deliveries/export.csv", export_view(deliveries.PAGE, deliveries.LISTING), name="deliveries_export"),
    path("deliveries/<uuid:subject>/", page_view("delivery"), name="delivery"),
    path("deliveries/<uuid:subject>/<slug:act>/", act_view("delivery"), name="delivery_act"),
    path("deliveries/endpoints/<int:subject>/", page_view("endpoint"), name="endpoint"),
    path("deliveries/endpoints/<int:subject>/<slug:act>/", act_view("endpoint"), name="endpoint_act"),
    *feed,
]
