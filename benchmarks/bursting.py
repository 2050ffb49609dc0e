"""The host project that is measured, with one more path: `GET /burst?events=500&partner=<uid>` writes that many hits' events.

They become visible in one commit. The answer is the time just before it. `python -m benchmarks.bursting` issues a feed
token of the partner and prints both.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from asgiref.sync import sync_to_async

from benchmarks.host.asgi import application as host

# After the application, which sets Django up.
from django.db import transaction  # isort: skip
from django.utils import timezone  # isort: skip
from livereferrals import ids  # isort: skip
from livereferrals.events import log  # isort: skip
from livereferrals.events.models import EventType  # isort: skip
from livereferrals.models import Partner  # isort: skip
from livereferrals.streaming import tokens  # isort: skip

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SUBS = ["newsletter", "spring", None, None, None]


async def application(
    scope: dict[str, Any], receive: object, send: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    """Write a burst, or pass the connection on to the host project."""
    if scope["type"] != "http" or scope["path"] != "/burst":
        await host(scope, receive, send)
        return
    asked = parse_qs(scope["query_string"].decode())
    began = await sync_to_async(write)(int(asked["events"][0]), partner=asked["partner"][0])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(began).encode()})


def write(events: int, *, partner: str) -> float:
    """Write the events; return when they were about to be committed."""
    with transaction.atomic():
        log.append_all([entry(partner) for _ in range(events)])
        return time.monotonic()


def entry(partner: str) -> log.Entry:
    """Return a hit as the link's own view writes it."""
    visitor = ids.new_uuid()
    return log.Entry(
        type=EventType.HIT,
        occurred_at=timezone.now(),
        partner=partner,
        link=ids.new_uuid(),
        link_identifier="spring-sale",
        visitor=visitor,
        data={
            "hit": str(ids.new_uuid()),
            "visitor": str(visitor),
            "repeat": False,
            "click_id": "c-20261121-000042",
            "subs": SUBS,
            "landing": "/shop/spring",
            "referrer_host": "blog.example",
            "device": "desktop",
        },
    )


def main() -> None:
    """Issue a token for the partner that the host project has."""
    partner = Partner.objects.get()
    _, token = tokens.issue(name="benchmark", partner=partner)
    print(partner.uid, token)  # noqa: T201 - for whoever asked


if __name__ == "__main__":
    main()
