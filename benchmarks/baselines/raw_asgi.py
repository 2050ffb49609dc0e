"""Raw ASGI: a 302 with what the answer to a hit carries, and nothing else. No database."""

from __future__ import annotations

from typing import Any

HEADERS = [
    (b"location", b"/"),
    (
        b"set-cookie",
        b"livereferrals=0198c0de-0000-7000-8000-000000000000; HttpOnly; Max-Age=34560000; Path=/; SameSite=Lax",
    ),
    (b"cache-control", b"private, no-store"),
]


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer every request alike."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    await send({"type": "http.response.start", "status": 302, "headers": HEADERS})
    await send({"type": "http.response.body", "body": b""})
