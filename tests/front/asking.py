"""Requests as servers tell them, sent to the front or past it, and what has come of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from asgiref.sync import async_to_sync
from django.core.handlers.asgi import get_script_prefix
from django.db import transaction
from django.test.client import AsyncClientHandler
from django.urls import clear_script_prefix, set_script_prefix

from livereferrals.events.models import Event
from livereferrals.front import front
from livereferrals.tracking import visitors
from livereferrals.tracking.models import ReferralHit, Visitor
from tests.tracking.browsers import COOKIE, as_response

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

BROWSER = (
    b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)
PLAIN = ((b"host", b"shop.example"), (b"user-agent", BROWSER))


def scope_of(target: str, headers: Iterable[tuple[bytes, bytes]] = PLAIN, **overrides: Any) -> dict[str, Any]:
    """Return the scope of a GET; `target` is what stands in the request line."""
    path, _, query = target.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": unquote(path),
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "root_path": "",
        "headers": list(headers),
        "client": ("203.0.113.77", 50_000),
        "server": ("127.0.0.1", 443),
    } | overrides


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a request has led to, without what is random."""

    status: int
    headers: dict[str, str]
    cookie: dict[str, Any] | None
    """Attributes of the visitor's cookie, its value being who it says that the visitor is."""
    hits: list[dict[str, Any]]
    events: list[dict[str, Any]]
    visitors: int


def outcome(scope: dict[str, Any], *, fast: bool) -> tuple[Outcome, bool]:
    """Send the request, say what has come of it and whether the front answered; undo it."""
    known = {row.pk: str(number) for number, row in enumerate(Visitor.objects.order_by("pk"))}
    hits = set(ReferralHit.objects.values_list("pk", flat=True))
    with transaction.atomic():
        response, by_front = async_to_sync(_answer)(dict(scope), fast=fast)
        made = ReferralHit.objects.exclude(pk__in=hits).order_by("pk")
        found = Outcome(
            status=response.status_code,
            headers=dict(response.items()),
            cookie=_cookie(response, known),
            hits=[_hit(hit, known) for hit in made],
            events=[_event(event, known) for event in Event.objects.filter(type="hit").order_by("pk")],
            visitors=Visitor.objects.count(),
        )
        transaction.set_rollback(True)
    return found, by_front


async def _answer(scope: dict[str, Any], *, fast: bool) -> tuple[Any, bool]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    if fast and await front.answered(scope, send):
        return as_response(scope, sent[0], sent[1]["body"]), True
    assert not sent
    # As `ASGIHandler` does; that of the test client leaves it out.
    set_script_prefix(get_script_prefix(scope))
    try:
        return await AsyncClientHandler(enforce_csrf_checks=False)(scope), False
    finally:
        clear_script_prefix()


def _who(visitor: UUID | None, known: dict[Any, str]) -> str | None:
    return None if visitor is None else known.get(visitor, "new")


def _cookie(response: Any, known: dict[Any, str]) -> dict[str, Any] | None:
    morsel = response.cookies.get(COOKIE)
    if morsel is None:
        return None
    carried = visitors.read_cookie(morsel.value)
    said = {name: str(value) for name, value in morsel.items() if name != "expires"}
    return said | {"expires": bool(morsel["expires"]), "who": carried and (_who(carried.id, known), carried.claimed)}


def _hit(hit: ReferralHit, known: dict[Any, str]) -> dict[str, Any]:
    values = {field.attname: getattr(hit, field.attname) for field in ReferralHit._meta.concrete_fields}
    del values["id"], values["created_at"]
    return values | {"visitor_id": _who(hit.visitor_id, known)}


def _event(event: Event, known: dict[Any, str]) -> dict[str, Any]:
    data = {name: value for name, value in event.data.items() if name not in {"hit", "visitor"}}
    place = (event.partner, event.link, event.link_identifier, event.user)
    return {"data": data, "place": place, "visitor": _who(event.visitor, known)}
