"""Pausing, enabling and testing an endpoint, its secrets and its replays, from a subscription's page."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import timezone

from livereferrals.callbacks.models import Delivery, Endpoint, EndpointAlert, Replay, SigningSecret
from tests.admin.people import act_url, browser_of, change_url, colleague
from tests.factories import make_delivery, make_staff, make_subscription

if TYPE_CHECKING:
    from django.test import Client
    from pytest_django import Settings

    from livereferrals.callbacks.models import Subscription

pytestmark = pytest.mark.django_db
PAYLOAD = {"type": "confirmation", "cursor": "e.1", "time": "2026-05-01T12:30:00.000Z", "data": {}}
READS = ("view_subscription", "view_delivery")


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(make_staff(username="ann"))
    return client


def endpoint_url(row: Subscription, act: str) -> str:
    return reverse("admin:livereferrals_subscription_endpoint", args=[row.pk, act])


def replayable(count: int = 3) -> Subscription:
    subscription = make_subscription()
    for number in range(count):
        made = timezone.now() - timedelta(hours=2, minutes=number)
        make_delivery(
            subscription=subscription, state="dead", end_reason="exhausted", finished_at=made, created_at=made,
            payload=PAYLOAD, attempts=12,
        )  # fmt: skip
    return subscription


def test_pause_asks_says_why_and_by_whom(staff: Client) -> None:
    """callback-F52, D-27: the endpoint's row and the admin log know who it was."""
    row = make_subscription()
    page = staff.get(change_url(row)).content.decode()
    assert endpoint_url(row, "pause") in page
    assert endpoint_url(row, "enable") not in page
    staff.get(endpoint_url(row, "pause"))
    assert Endpoint.objects.get().state == "active"
    page = staff.post(endpoint_url(row, "pause"), {"reason": "moving <house>"}, follow=True).content.decode()
    assert "paused by ann: moving &lt;house&gt;" in page
    endpoint = Endpoint.objects.get()
    assert (endpoint.state, str(endpoint.state_changed_by)) == ("paused", "ann")
    assert LogEntry.objects.get().change_message == "Paused."
    again = staff.post(endpoint_url(row, "pause"), follow=True).content.decode()
    assert "It was on hold already." in again


def test_enable_clears_what_the_failures_left(staff: Client) -> None:
    """callback-F14: counters and gate; also for an endpoint that only waits for its gate."""
    row = make_subscription()
    ill = {"gate_until": timezone.now() + timedelta(hours=1), "gate_reason": "breaker", "consecutive_failures": 7}
    Endpoint.objects.update(failing_since=timezone.now(), failed_attempts_since=7, **ill)
    page = staff.get(change_url(row)).content.decode()
    assert "Try again now" in page
    assert "a pause after several failures" in page
    staff.post(endpoint_url(row, "enable"))
    endpoint = Endpoint.objects.get()
    assert (endpoint.state, endpoint.gate_until, endpoint.consecutive_failures) == ("active", None, 0)
    assert (endpoint.failing_since, endpoint.failed_attempts_since) == (None, 0)
    assert "It was in service already." in staff.post(endpoint_url(row, "enable"), follow=True).content.decode()


def test_test_button_leads_to_the_page_on_which_the_answer_appears(staff: Client) -> None:
    """D-15, callback-S17: queued, not sent by the request; a second one within 5 s is refused."""
    row = make_subscription()
    answer = staff.post(endpoint_url(row, "test"))
    delivery = Delivery.objects.get()
    assert (delivery.kind, delivery.state) == ("test", "waiting")
    assert answer["Location"] == change_url(delivery)
    page = staff.get(answer["Location"]).content.decode()
    assert "The test is on its way; the answer appears here." in page
    assert act_url(delivery, "story") in page
    again = staff.post(endpoint_url(row, "test"), follow=True).content.decode()
    assert "A test was sent just now" in again
    assert Delivery.objects.count() == 1


@pytest.mark.parametrize(
    ("permission", "acts"),
    [("hold_endpoint", {"pause"}), ("send_test_callback", {"test"}), ("change_subscription", set())],
)
def test_each_act_on_an_endpoint_needs_its_own_permission(permission: str, acts: set[str]) -> None:
    """D-15, D-25, callback-S16: no button that does not work, 403 by hand."""
    row = make_subscription()
    user = browser_of(colleague(*READS, permission))
    page = user.get(change_url(row)).content.decode()
    assert {act for act in ("pause", "enable", "test") if endpoint_url(row, act) in page} == acts
    for act in {"pause", "enable", "test"} - acts - ({"enable"} if "pause" in acts else set()):
        assert user.get(endpoint_url(row, act)).status_code == 403
        assert user.post(endpoint_url(row, act)).status_code == 403
    assert Endpoint.objects.get().state == "active"
    assert not Delivery.objects.exists()
    assert user.get(act_url(row, "secrets")).status_code == 403
    assert user.get(act_url(row, "replay")).status_code == 403


def test_endpoint_acts_that_are_none_are_not_found(staff: Client) -> None:
    """D-25: and archived subscriptions have none."""
    row = make_subscription()
    assert staff.get(endpoint_url(row, "explode")).status_code == 404
    assert staff.put(endpoint_url(row, "pause")).status_code == 405
    row.archived_at = timezone.now()
    row.save(update_fields=["archived_at"])
    assert staff.post(endpoint_url(row, "test")).status_code == 404
    assert endpoint_url(row, "test") not in staff.get(change_url(row)).content.decode()


def test_page_tells_how_the_calls_go(staff: Client) -> None:
    """D-15: rate, times, backlog and its age, failing since."""
    row = make_subscription()
    late = timezone.now() - timedelta(hours=3)
    for outcome, ms in (("ok", 100), ("ok", 200), ("ok", 300), ("server_error", 900)):
        delivery = make_delivery(subscription=row, due_at=late)
        delivery.attempt_log.create(number=1, started_at=timezone.now(), outcome=outcome, duration_ms=ms)
    Endpoint.objects.update(failing_since=late, failed_attempts_since=4)
    page = " ".join(staff.get(change_url(row)).content.decode().split())
    assert "75.0 %" in page
    assert "200 ms, 900 ms" in page
    assert "due for 3 hours" in page
    assert "4 attempts failed, none succeeded" in page


def test_secrets_are_shown_on_request_and_it_is_written_down(staff: Client) -> None:
    """callback-S12: not on the page itself, not by GET, not without the permission."""
    row = make_subscription()
    value = SigningSecret.objects.get().value
    url = act_url(row, "secrets")
    page = staff.get(url)
    assert value not in page.content.decode()
    assert "Until then both secrets sign" in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    shown = staff.post(url, {"act": "reveal"})
    assert value in shown.content.decode()
    assert LogEntry.objects.get().change_message == "Signing secrets shown."
    assert value not in staff.get(change_url(row)).content.decode()
    blind = browser_of(colleague("view_subscription", "change_subscription"))
    assert blind.post(url, {"act": "reveal"}).status_code == 403
    reader = browser_of(colleague("view_subscription", "reveal_secret"))
    assert reader.post(url, {"act": "rotate", "overlap_h": "1"}).status_code == 403
    assert "Make a new secret" not in reader.get(url).content.decode()


def test_secret_is_rotated_with_an_overlap_and_the_older_one_ended(staff: Client) -> None:
    """callback-F55, callback-S24: written down, and told by an alert."""
    row = make_subscription()
    url = act_url(row, "secrets")
    assert "Please correct" in staff.post(url, {"act": "rotate", "overlap_h": "-1"}).content.decode()
    staff.post(url, {"act": "rotate", "overlap_h": "2"})
    old, new = SigningSecret.objects.order_by("pk")
    assert new.expires_at is None
    assert old.expires_at is not None
    assert timedelta(hours=1) < old.expires_at - timezone.now() <= timedelta(hours=2)
    assert EndpointAlert.objects.get().cause == "changed"
    assert "Only the newest secret signs now." in staff.post(url, {"act": "end"}, follow=True).content.decode()
    old.refresh_from_db()
    assert old.expires_at is not None
    assert old.expires_at <= timezone.now()
    assert "There was no older secret" in staff.post(url, {"act": "end"}, follow=True).content.decode()
    assert staff.post(url, {"act": "x"}).status_code == 404


def test_new_address_is_written_down_masked_and_told(staff: Client) -> None:
    """callback-S24, callback-S11: old and new, without what looks like a secret."""
    row = make_subscription(callback_url="https://old.example/cb?c={confirmation_id}&token=abcdefgh")
    data: dict[str, Any] = {"trigger": row.trigger, "callback_url": "https://new.example/cb?c={confirmation_id}"}
    data |= {"method": "POST", "send_reversals": "on", "reversal_url": "", "timeout_s": 15, "max_in_flight": 4}
    assert staff.post(change_url(row), data).status_code == 302
    alert = EndpointAlert.objects.get()
    assert "https://old.example/cb?c={confirmation_id}&token=*** became https://new.example" in alert.text
    assert "by ann" in alert.text
    assert any(alert.text in entry.change_message for entry in LogEntry.objects.all())


def test_replay_is_previewed_begun_and_stopped(staff: Client, settings: Settings) -> None:
    """callback-F57: with the number of calls, before anything is sent."""
    settings.TIME_ZONE = "UTC"  # elsewhere an hour of the year is there twice, and what a form says of it is refused
    row = replayable()
    url = act_url(row, "replay")
    now = timezone.localtime()
    fields = {
        "since": f"{now - timedelta(days=1):%Y-%m-%dT%H:%M}",
        "until": f"{now:%Y-%m-%dT%H:%M}",
        "per_second": "2",
    }
    assert 'type="datetime-local"' in staff.get(url).content.decode()
    preview = staff.post(url, {**fields, "preview": "1"}).content.decode()
    assert "3 calls would be made." in preview
    assert not Replay.objects.exists()
    page = staff.post(url, {**fields, "begin": "1"}, follow=True).content.decode()
    replay = Replay.objects.get()
    assert (replay.counted, replay.per_second, str(replay.created_by)) == (3, 2, "ann")
    assert "3 deliveries are replayed." in page
    assert "is running already" in staff.post(url, {**fields, "begin": "1"}).content.decode()
    assert "Stopped." in staff.post(url, {"stop": str(replay.pk)}, follow=True).content.decode()
    assert "It had ended already." in staff.post(url, {"stop": str(replay.pk)}, follow=True).content.decode()
    assert staff.post(url, {"stop": "x"}).status_code == 404
    backwards = fields | {"since": fields["until"], "until": fields["since"], "begin": "1"}
    assert "The end has to be after the beginning." in staff.post(url, backwards).content.decode()
    assert "Please correct" in staff.post(url, {**fields, "per_second": "0"}).content.decode()


def test_what_needs_somebody_stands_above_the_lists() -> None:
    """callback-F14, callback-S15: for those who may see subscriptions; text of outside stays text."""
    row = make_subscription()
    row.partner.name = "<b>Evil</b>"
    row.partner.save()
    Endpoint.objects.update(
        state="disabled", state_reason="The server answered 410 Gone.", state_changed_at=timezone.now()
    )
    make_delivery(subscription=row)
    url = reverse("admin:livereferrals_delivery_changelist")
    page = browser_of(colleague(*READS)).get(url).content.decode()
    assert "Needs attention" in page
    assert "&lt;b&gt;Evil&lt;/b&gt;" in page
    assert "<b>Evil" not in page
    assert "Needs attention" not in browser_of(colleague("view_delivery")).get(url).content.decode()
    index = reverse("admin:app_list", args=["livereferrals"])
    assert "Needs attention" in browser_of(colleague(*READS)).get(index).content.decode()
