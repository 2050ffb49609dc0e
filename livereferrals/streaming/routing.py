"""WebSocket routes of the feed, relative to where `livereferrals.dashboard.urls` is mounted.

A host that composes its ASGI application by hand puts them into Channels' `URLRouter`:

    path("referrals/", URLRouter(livereferrals.streaming.routing.websocket_urlpatterns))
"""

from __future__ import annotations

from django.urls import path

from livereferrals.streaming.consumers import FeedConsumer

websocket_urlpatterns = [path("feed/v1/ws", FeedConsumer())]  # type: ignore[arg-type] # an ASGI application, no view
