"""Naive Channels: a consumer in a group, one `group_send` an event, the layer in memory, no middleware.

`GET /burst?events=50&size=400` sends so many events of so many bytes, and answers with the time at which it began.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import django
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer
from channels.routing import ProtocolTypeRouter
from django.conf import settings  # noqa: TID251 - its own

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

GROUP = "everybody"

settings.configure(CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}})
django.setup()


class Everything(AsyncWebsocketConsumer):
    """Sends what the group is sent."""

    groups = [GROUP]

    async def connect(self) -> None:
        """Let everybody in; `hello` tells the client that it has joined."""
        await self.accept("livereferrals.v1")
        await self.send("hello")

    async def event(self, message: dict[str, Any]) -> None:
        """Pass an event on."""
        await self.send(message["text"])


async def burst(scope: dict[str, Any], receive: object, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    """Send a burst to the group."""
    asked = parse_qs(scope["query_string"].decode())
    text = '{"v":1,'.ljust(int(asked["size"][0]), "x")
    began = time.monotonic()
    for _ in range(int(asked["events"][0])):
        await get_channel_layer().group_send(GROUP, {"type": "event", "text": text})
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(began).encode()})


application = ProtocolTypeRouter({"websocket": Everything.as_asgi(), "http": burst})
