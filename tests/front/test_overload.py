"""Hits for which there is no room."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import sync_to_async

from livereferrals.front import front
from livereferrals.tracking import group_commit
from livereferrals.tracking.desks import Limits
from livereferrals.tracking.group_commit import HitGroup
from livereferrals.tracking.link_cache import get_links
from livereferrals.tracking.models import ReferralHit
from tests.factories import make_link
from tests.front.asking import scope_of

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.publisher_thread,
    pytest.mark.urls("tests.tracking.urls"),
]


@pytest.mark.parametrize(("wanted", "status"), [("redirect", 302), ("unavailable", 503)])
async def test_visitor_without_room_for_a_hit_is_led_on_or_asked_to_come_again(
    settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, wanted: str, status: int
) -> None:
    """L-27: as `HITS_OVERLOAD` says; without a cookie, logged and counted"""
    settings.LIVEREFERRALS = {"HITS_OVERLOAD": wanted}
    full = HitGroup(Limits(most=1, room=0, room_within_s=0.01))
    monkeypatch.setattr(group_commit, "_group", full)
    get_links().drop()
    await sync_to_async(make_link)(identifier="abc123")
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    assert await front.answered(scope_of("/ref/abc123?next=/x"), send)
    headers = {name.lower(): value for name, value in sent[0]["headers"]}
    assert sent[0]["status"] == status
    assert headers[b"cache-control"] == b"private, no-store"
    assert b"set-cookie" not in headers
    assert (headers.get(b"location"), headers.get(b"retry-after")) == ((b"/x", None) if status == 302 else (None, b"5"))
    assert full.losses.count == {"overload": 1}
    assert "'abc123' is lost" in caplog.text
    assert not await ReferralHit.objects.aexists()
    get_links().close()
