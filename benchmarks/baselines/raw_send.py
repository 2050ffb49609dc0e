"""Raw send: holds the `send` of each socket, and awaits one `websocket.send` for each event and socket.

`GET /burst?events=500&size=400` sends so many events of so many bytes, and answers with the time at which it began.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Send = Callable[[dict[str, Any]], Awaitable[None]]
    Receive = Callable[[], Awaitable[dict[str, Any]]]

sends: set[Send] = set()


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Hold a socket, or send a burst to all of them."""
    if scope["type"] == "websocket":
        await hold(receive, send)
    elif scope["type"] == "http":
        await burst(scope, send)


async def hold(receive: Receive, send: Send) -> None:
    """Let everybody in; `hello` tells the client that it has joined."""
    await receive()
    await send({"type": "websocket.accept", "subprotocol": "livereferrals.v1"})
    await send({"type": "websocket.send", "text": "hello"})
    sends.add(send)
    try:
        while (await receive())["type"] != "websocket.disconnect":
            pass
    finally:
        sends.discard(send)


async def burst(scope: dict[str, Any], send: Send) -> None:
    """Send a burst."""
    asked = parse_qs(scope["query_string"].decode())
    text = '{"v":1,'.ljust(int(asked["size"][0]), "x")
    began = time.monotonic()
    for _ in range(int(asked["events"][0])):
        for one in list(sends):
            await one({"type": "websocket.send", "text": text})
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(began).encode()})
