"""The delivery console: endpoints, log and attempts, and what staff do there; a partner sees only its own."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from livereferrals import ids
from livereferrals.callbacks.models import Delivery, DeliveryAttempt, Endpoint, Replay
from tests.dashboard.makers import make_viewer
from tests.factories import (
    make_confirmation,
    make_delivery,
    make_hit,
    make_partner,
    make_staff,
    make_subscription,
    make_user,
)

if TYPE_CHECKING:
    from pytest_django import Settings

    from livereferrals.callbacks.models import Subscription

pytestmark = pytest.mark.django_db
PAYLOAD = {"type": "confirmation", "cursor": "e.1", "time": "2026-05-01T12:30:00.000Z", "data": {}}
NASTY = "<script>alert(1)</script>"
CONSOLE = "livereferrals_dashboard:deliveries"


def browser(*codenames: str) -> Client:
    client = Client()
    client.force_login(make_viewer("view_dashboard", *codenames) if codenames else make_staff(username="ann"))
    return client


def delivery_url(row: Delivery, act: str = "") -> str:
    return reverse("livereferrals_dashboard:delivery", args=[row.pk]) + (f"{act}/" if act else "")


def endpoint_url(row: Subscription, act: str = "") -> str:
    return reverse("livereferrals_dashboard:endpoint", args=[row.uid]) + (f"{act}/" if act else "")


def dead(**values: Any) -> Delivery:
    defaults = {"state": "dead", "end_reason": "exhausted", "finished_at": timezone.now(), "attempts": 12}
    return make_delivery(**defaults | {"payload": PAYLOAD} | values)


def test_console_tells_endpoints_and_deliveries_with_a_countdown() -> None:
    """dashboard-1, dashboard-2: waiting, dead, success; why on hold; each row's next attempt."""
    later = timezone.now() + timedelta(minutes=9)
    waiting = make_delivery(due_at=later, attempts=2, last_outcome="server_error", last_status=503)
    off = dead().subscription
    Endpoint.objects.filter(pk=off.pk).update(
        state="disabled", state_reason="The server answered 410 Gone.", state_changed_at=timezone.now()
    )
    page = browser().get(reverse(CONSOLE)).content.decode()
    assert "switched off by the system: The server answered 410 Gone." in page
    assert "the server has an error (503)" in page
    assert "data-countdown" in page
    assert f'href="{delivery_url(waiting)}"' in page
    assert f'href="{endpoint_url(off)}"' in page
    assert "Needs attention" in page
    assert 'data-cursor="' in page


@pytest.mark.parametrize("name", ["delivery_needs", "delivery_endpoints", "list"])
def test_regions_are_the_same_on_the_page_and_by_themselves(name: str) -> None:
    """dashboard-7: one markup, whichever way it comes."""
    dead()
    staff = browser()
    page = staff.get(reverse(CONSOLE)).content.decode()
    alone = staff.get(reverse(CONSOLE), headers={"HX-Request": "true"}).content.decode()
    start = f'<div id="{name}"'
    region = alone[alone.index(start) :].split("</div>", 1)[0].replace(' hx-swap-oob="morph"', "")
    assert region in page
    assert "csrf" not in alone


def test_log_is_filtered_searched_and_paged_by_key() -> None:
    """dashboard-25: by partner, state, outcome, day, reference and ids; a bad value is no error."""
    partner = make_partner(name="Acme")
    first = dead(subscription=make_subscription(partner=partner), last_outcome="timeout",
                 confirmation=make_confirmation(hit=make_hit(), reference="A-9"))  # fmt: skip
    second = make_delivery(last_outcome="ok")
    staff = browser()

    def listed(**query: str) -> set[object]:
        page = staff.get(reverse(CONSOLE), query)
        assert page.status_code == 200
        return {row.pk for row in (first, second) if f'id="deliveries-{row.pk}"' in page.content.decode()}

    assert listed(partner="Acme") == listed(partner=partner.uid) == listed(state="dead") == {first.pk}
    assert listed(outcome="timeout") == listed(q="A-9") == listed(q=str(first.pk)) == {first.pk}
    assert listed(q=str(second.confirmation_id)) == listed(outcome="ok") == {second.pk}
    assert listed(subscription=str(second.subscription.uid)) == {second.pk}
    today = timezone.localdate().isoformat()
    assert listed(day=today) == listed(state="nonsense") == {first.pk, second.pk}
    assert listed(day="2020-01-01") == listed(day="2020-13-99") == set()


def test_thousandth_page_begins_after_a_key(django_assert_max_num_queries: Any) -> None:
    """dashboard-25: no row twice, none left out."""
    subscription = make_subscription()
    confirmation = make_confirmation(hit=make_hit())
    now = timezone.now()
    Delivery.objects.bulk_create(
        Delivery(subscription=subscription, confirmation=confirmation, due_at=now, created_at=now) for _ in range(120)
    )
    staff = browser()
    url, found = reverse(CONSOLE), []
    for _ in range(3):
        page = staff.get(url).content.decode()
        found += [part.split('"', 1)[0] for part in page.split('<tr id="deliveries-')[1:]]
        more = [part for part in page.split('href="') if "Next rows" in part.split("</a>", 1)[0]]
        url = more[0].split('"', 1)[0].replace("&amp;", "&") if more else ""
    assert url == ""
    assert len(found) == len(set(found)) == 120


def test_delivery_page_shows_answers_as_text_cut_at_two_kibibytes() -> None:
    """dashboard-34, callback-S9: a `<script>` stays text."""
    row = make_delivery(attempts=1)
    DeliveryAttempt.objects.create(
        delivery=row, number=1, started_at=timezone.now(), outcome="throttled", status=429, duration_ms=81,
        address="203.0.113.9:443", response_headers=[["Retry-After", "120"], ["X-Evil", NASTY]],
        response_excerpt=NASTY + "x" * 4000, request_url=f"https://partner.example/?a={NASTY}", error=NASTY,
    )  # fmt: skip
    page = browser().get(delivery_url(row)).content.decode()
    assert NASTY not in page
    assert page.count("&lt;script&gt;") == 4
    assert "x" * 2000 in page
    assert "x" * 2048 not in page
    for text in ("203.0.113.9:443", "81 ms", "Retry-After: 120"):
        assert text in page
    assert "203.0.113.9" not in browser("view_delivery").get(delivery_url(row)).content.decode()


@pytest.mark.parametrize(
    ("act", "before", "after"),
    [("retry", "waiting", "waiting"), ("resend", "dead", "waiting"), ("cancel", "waiting", "cancelled")],
    ids=["retry", "resend", "cancel"],
)
def test_delivery_acts_ask_act_and_are_recorded(act: str, before: str, after: str) -> None:
    """dashboard-32, dashboard-33, callback-S16: a second press of the same page does nothing, and says so."""
    later = timezone.now() + timedelta(hours=5)
    row = dead() if before == "dead" else make_delivery(due_at=later, payload=PAYLOAD)
    staff = browser()
    assert f'href="{delivery_url(row, act)}"' in staff.get(delivery_url(row)).content.decode()
    question = staff.get(delivery_url(row, act)).content.decode()
    row.refresh_from_db()
    assert row.state == before
    seen = {"seen": f"{row.pk}:{row.attempts}"}
    assert seen["seen"] in question
    assert staff.post(delivery_url(row, act), seen)["Location"] == delivery_url(row)
    row.refresh_from_db()
    assert (row.state, row.due_at < later or after == "cancelled") == (after, True)
    assert LogEntry.objects.get().user.username == "ann"
    Delivery.objects.filter(pk=row.pk).update(attempts=row.attempts + 1)
    again = staff.post(delivery_url(row, act), seen)
    assert again.status_code == 409
    assert "look again" in again.content.decode()
    assert staff.post(delivery_url(row, act), {"seen": str(ids.new_uuid())}).status_code == 404


def test_endpoint_is_paused_enabled_and_tested() -> None:
    """dashboard-32: the test leads to the page on which its answer appears."""
    row = make_subscription()
    staff = browser()
    assert "Pause" in staff.get(endpoint_url(row)).content.decode()
    assert staff.get(endpoint_url(row, "pause")).status_code == 200
    assert staff.post(endpoint_url(row, "pause"), {"reason": "moving"})["Location"] == endpoint_url(row)
    assert "paused by ann: moving" in staff.get(endpoint_url(row)).content.decode()
    assert staff.post(endpoint_url(row, "pause")).status_code == 409
    assert staff.post(endpoint_url(row, "pause"), {"reason": "x" * 300}).status_code == 409
    assert staff.post(endpoint_url(row, "enable")).status_code == 302
    assert staff.post(endpoint_url(row, "enable")).status_code == 409
    answer = staff.post(endpoint_url(row, "test"))
    test = Delivery.objects.get()
    assert (test.kind, answer["Location"]) == ("test", delivery_url(test))
    assert "the answer appears here" in staff.get(delivery_url(test)).content.decode()
    assert staff.post(endpoint_url(row, "test")).status_code == 409
    assert Endpoint.objects.get().state == "active"


def test_replay_is_previewed_begun_and_stopped(settings: Settings) -> None:
    """dashboard-32, callback-F57"""
    settings.TIME_ZONE = "UTC"  # elsewhere an hour of the year is there twice, and what a form says of it is refused
    made = timezone.now() - timedelta(hours=1)
    row = dead(created_at=made).subscription
    staff, now = browser(), timezone.localtime()
    span = {"since": f"{now - timedelta(days=1):%Y-%m-%dT%H:%M}", "until": f"{now:%Y-%m-%dT%H:%M}", "per_second": "2"}
    url = endpoint_url(row, "replay")
    assert staff.get(url).status_code == 200
    assert "1 call would be made." in staff.post(url, span | {"preview": "1"}).content.decode()
    assert not Replay.objects.exists()
    assert staff.post(url, span | {"begin": "1"}).status_code == 302
    assert "running already" in staff.post(url, span | {"begin": "1"}).content.decode()
    assert "0 of 1" in staff.get(url).content.decode()
    staff.post(url, {"stop": "1"})
    assert Replay.objects.get().state == "stopped"


@pytest.mark.parametrize(
    ("codename", "acts"),
    [
        ("retry_delivery", {"replay"}),
        ("hold_endpoint", {"pause"}),
        ("send_test_callback", {"test"}),
        ("view_amounts", set()),
    ],
    ids=["retry", "hold", "test", "none"],
)
def test_acts_are_absent_and_refused_without_their_permission(codename: str, acts: set[str]) -> None:
    """dashboard-32, callback-S16: no link that does not work, 403 by hand, and CSRF for everybody."""
    row = dead()
    subscription = row.subscription
    viewer = browser("view_delivery", codename)
    page = viewer.get(endpoint_url(subscription)).content.decode()
    every = {"pause", "test", "replay"}
    assert {act for act in every if endpoint_url(subscription, act) in page} == acts
    for act in every - acts:
        assert viewer.get(endpoint_url(subscription, act)).status_code == 403
        assert viewer.post(endpoint_url(subscription, act)).status_code == 403
    may_resend = codename == "retry_delivery"
    assert (delivery_url(row, "resend") in viewer.get(delivery_url(row)).content.decode()) is may_resend
    assert viewer.get(delivery_url(row, "resend")).status_code == (200 if may_resend else 403)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(make_staff())
    assert strict.post(endpoint_url(subscription, "pause")).status_code == 403
    assert viewer.put(endpoint_url(subscription, "pause")).status_code == 405
    assert Endpoint.objects.get().state == "active"


def test_partner_sees_its_own_and_nothing_else() -> None:
    """callback-S15, dashboard-38: whatever id is guessed; and can do nothing."""
    own, other = dead(), dead()
    user = make_user()
    own.subscription.partner.user = user
    own.subscription.partner.save()
    client = Client()
    client.force_login(user)
    page = client.get(reverse(CONSOLE)).content.decode()
    assert f"deliveries-{own.pk}" in page
    assert str(other.pk) not in page
    assert other.subscription.partner.name not in page
    assert client.get(delivery_url(own)).status_code == 200
    assert client.get(endpoint_url(own.subscription)).status_code == 200
    assert client.get(delivery_url(other)).status_code == 404
    assert client.get(endpoint_url(other.subscription)).status_code == 404
    for url in (delivery_url(own, "resend"), endpoint_url(own.subscription, "pause")):
        assert client.post(url).status_code == 403
        assert url not in client.get(delivery_url(own)).content.decode()


def test_strangers_and_made_up_acts_get_nothing(client: Client) -> None:
    """dashboard-32: signed out, without the page, with an act of the other kind."""
    row = dead()
    assert client.post(delivery_url(row, "resend")).status_code == 302
    assert browser("view_amounts").get(reverse(CONSOLE)).status_code == 403
    staff = browser()
    assert staff.get(delivery_url(row, "pause")).status_code == 404
    assert staff.get(endpoint_url(row.subscription, "resend")).status_code == 404
    assert staff.get(reverse("livereferrals_dashboard:delivery", args=[ids.new_uuid()])).status_code == 404
    assert staff.get(reverse("livereferrals_dashboard:endpoint", args=[ids.new_uuid()])).status_code == 404
    assert (
        staff.post(reverse("livereferrals_dashboard:endpoint_act", args=[ids.new_uuid(), "pause"])).status_code == 404
    )
