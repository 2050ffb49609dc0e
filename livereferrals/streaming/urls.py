"""URLs of the feed over HTTP, relative to where `livereferrals.dashboard.urls` is mounted, which includes them."""

from __future__ import annotations

from django.urls import path

from livereferrals.streaming import views

urlpatterns = [
    path("feed/v1/sse", views.show_stream, name="feed-sse"),
    path("feed/v1/poll", views.show_poll, name="feed-poll"),
    path("feed/v1/ticket", views.make_ticket, name="feed-ticket"),
]
