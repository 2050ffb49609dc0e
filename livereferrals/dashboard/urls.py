"""URLs of the dashboard: `path("referrals/", include("livereferrals.dashboard.urls"))`."""

from __future__ import annotations

from django.urls import path

from livereferrals.dashboard import confirmations, deliveries, dry_run, hits, link_views, links, partners, status
from livereferrals.dashboard.acts import act_view
from livereferrals.dashboard.exporting import export_view
from livereferrals.dashboard.reversing import reverse_view
from livereferrals.dashboard.token_acts import token_view
from livereferrals.dashboard.views import page_view
from livereferrals.streaming.urls import urlpatterns as feed

app_name = "livereferrals_dashboard"

urlpatterns = [
    path("", page_view("overview"), name="overview"),
    path("live/", page_view("live_feed"), name="live_feed"),
    path("partners/", page_view("partners"), name="partners"),
    path("partners/export.csv", export_view(partners.PAGE, partners.LISTING), name="partners_export"),
    path("partners/<slug:subject>/", page_view("partner"), name="partner"),
    path("links/", page_view("links"), name="links"),
    path("links/export.csv", export_view(links.PAGE, links.LISTING), name="links_export"),
    path("links/<uuid:subject>/", page_view("link"), name="link"),
    path("links/<uuid:subject>/qr.svg", link_views.picture, name="link_picture"),
    path("links/<uuid:subject>/try/", link_views.trial, name="link_trial"),
    path("hits/", page_view("hits"), name="hits"),
    path("hits/export.csv", export_view(hits.PAGE, hits.LISTING), name="hits_export"),
    path("visitors/<uuid:subject>/", page_view("visitor"), name="visitor"),
    path("confirmations/", page_view("confirmations"), name="confirmations"),
    path(
        "confirmations/export.csv",
        export_view(confirmations.PAGE, confirmations.LISTING),
        name="confirmations_export",
    ),
    path("confirmations/<uuid:subject>/", page_view("confirmation"), name="confirmation"),
    path("confirmations/<uuid:subject>/reverse/", reverse_view, name="confirmation_reverse"),
    path("deliveries/", page_view("deliveries"), name="deliveries"),
    path("deliveries/export.csv", export_view(deliveries.PAGE, deliveries.LISTING), name="deliveries_export"),
    path("deliveries/<uuid:subject>/", page_view("delivery"), name="delivery"),
    path("deliveries/<uuid:subject>/<slug:act>/", act_view("delivery"), name="delivery_act"),
    path("deliveries/endpoints/<uuid:subject>/", page_view("endpoint"), name="endpoint"),
    path("deliveries/endpoints/<uuid:subject>/<slug:act>/", act_view("endpoint"), name="endpoint_act"),
    path("tokens/", page_view("tokens"), name="tokens"),
    path("tokens/new/", token_view("new"), name="token_new"),
    path("tokens/<slug:subject>/rotate/", token_view("rotate"), name="token_rotate"),
    path("tokens/<slug:subject>/revoke/", token_view("revoke"), name="token_revoke"),
    path("triggers/", page_view("triggers"), name="triggers"),
    path("triggers/try/", dry_run.dry_run, name="dry_run"),
    path("status/", page_view("status"), name="status"),
    path("status.json", status.status_json, name="status_json"),
    *feed,
]
