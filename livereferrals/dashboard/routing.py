"""WebSocket routes of the dashboard, relative to where its URLs are mounted; they bring origin check and session."""

from __future__ import annotations

from channels.sessions import SessionMiddlewareStack
from django.urls import path

from livereferrals.dashboard.consumers import live_socket
from livereferrals.streaming.draining import WithGoodbye

websocket_urlpatterns = [path("live/ws", WithGoodbye(SessionMiddlewareStack(live_socket)))]  # type: ignore[arg-type] # Channels routes ASGI applications by Django's `path`
