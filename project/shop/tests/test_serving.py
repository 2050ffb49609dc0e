"""Static files, asked for by a scope as servers make it."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest
from asgiref.testing import ApplicationCommunicator
from django.core.asgi import get_asgi_application

from project.serving import StaticFiles


async def status_of(path: str) -> int:
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
    }
    application = StaticFiles(get_asgi_application())
    server: Any = ApplicationCommunicator(application, scope)  # type: ignore[no-untyped-call] # asgiref has no types
    await server.send_input({"type": "http.request", "body": b"", "more_body": False})
    start = await server.receive_output(timeout=60)
    more = True
    while more:
        more = (await server.receive_output(timeout=60)).get("more_body", False)
    await server.wait(timeout=60)
    status: int = start["status"]
    return status


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/static/shop/shop.css", 200),
        ("/static/shop/none.css", 404),
        ("/static/shop", 404),
        ("/static/../..", 400),
        ("/static/%2e%2e/%2e%2e/etc/passwd", 400),
        ("/static/..%2f..%2fetc%2fpasswd", 400),
        ("/static//etc/passwd", 404),
        ("/static/%00", 404),
        ("/static/" + "a" * 5000, 404),
    ],
    ids=["file", "no-file", "folder", "outside", "escaped", "slashes", "absolute", "nul", "long"],
)
async def test_no_path_is_the_servers_error(path: str, status: int) -> None:
    assert await status_of(path) == status
