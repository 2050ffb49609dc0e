"""Alerts: once for each endpoint and cause in six hours, by signal, mail and banner, and in nobody's way."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connections
from django.utils import timezone

from livereferrals import signals
from livereferrals.callbacks import alerting, attention, holding, mailing
from livereferrals.callbacks.models import AlertCause, Delivery, DeliveryState, Endpoint, EndpointAlert, Subscription
from tests.callbacks.running import LOOPBACK, owe, running_worker, subscribe, wait_for_state
from tests.factories import make_delivery, make_partner, make_subscription
from tests.partner import Answer
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.core.mail import EmailMessage

    from tests.servers import PartnerSink

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


class BrokenMail(BaseEmailBackend):
    """A mail server that is away."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        raise ConnectionRefusedError("no mail today")


class HangingMail(BaseEmailBackend):
    """A mail server that never answers."""

    released = threading.Event()

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        self.released.wait(60)
        return 0


@pytest.fixture(autouse=True)
def _mailed(settings: Any) -> None:
    callbacks = {"WORKER": "off", "ALLOW": LOOPBACK, "RETRY_SCHEDULE": [0.1] * 11, "ALERT_EMAILS": ["ops@shop.example"]}
    settings.LIVEREFERRALS = {"CALLBACKS": callbacks, "BASE_URL": "https://shop.example"}


@pytest.fixture
def heard() -> Iterator[list[dict[str, Any]]]:
    """What receivers of the signal get."""
    found: list[dict[str, Any]] = []

    def receive(**facts: Any) -> None:
        found.append(facts)

    def fail(**facts: Any) -> None:
        raise RuntimeError("a receiver of the host's")

    signals.callback_alert.connect(fail)
    signals.callback_alert.connect(receive)
    yield found
    signals.callback_alert.disconnect(receive)
    signals.callback_alert.disconnect(fail)


def ill(**values: Any) -> Endpoint:
    row = make_subscription().endpoint
    Endpoint.objects.filter(pk=row.pk).update(**values)
    row.refresh_from_db()
    return row


def causes() -> list[str]:
    return sorted(EndpointAlert.objects.values_list("cause", flat=True))


def test_alert_is_told_by_signal_and_mail_once(heard: list[dict[str, Any]]) -> None:
    """callback-F14, callback-F20: a second one of the same cause waits for six hours; another cause does not."""
    row = make_subscription(partner=make_partner(name="Acme\nReviews"))
    now = timezone.now()
    assert alerting.raise_alert(row.pk, AlertCause.GONE, now=now, text="410")
    assert alerting.tell_pending() == 1
    assert not alerting.raise_alert(row.pk, AlertCause.GONE, now=now + 5 * HOUR)
    assert alerting.tell_pending() == 0
    assert alerting.raise_alert(row.pk, AlertCause.POISON, now=now + HOUR)
    assert alerting.raise_alert(row.pk, AlertCause.GONE, now=now + 7 * HOUR)
    assert alerting.tell_pending() == 2
    assert [facts["cause"] for facts in heard] == ["gone", "poison", "gone"]
    assert heard[0]["subscription"] == row
    first = mail.outbox[0]
    assert (len(mail.outbox), first.to) == (3, ["ops@shop.example"])
    assert first.subject.startswith("Acme Reviews: Order paid: switched off")
    assert f"https://shop.example/admin/livereferrals/subscription/{row.pk}/change/" in first.body


class Nameless:
    """A receiver that Django can give no account of, since it has no `__qualname__`."""

    def __call__(self, **_facts: Any) -> None:
        raise RuntimeError("no alert today")


def test_receiver_that_fails_is_logged_and_costs_no_mail(caplog: pytest.LogCaptureFixture) -> None:
    """callback-F48: an error in a host's receiver is the host's to read of, and nobody else's."""
    receiver = Nameless()
    signals.callback_alert.connect(receiver)
    try:
        alerting.raise_alert(make_subscription().pk, AlertCause.GONE, now=timezone.now())
        assert alerting.tell_pending() == 1
    finally:
        signals.callback_alert.disconnect(receiver)
    assert len(mail.outbox) == 1
    assert "no alert today" in caplog.text


def test_alert_is_raised_again_after_a_clock_has_jumped_back() -> None:
    """callback-F44: what is dated in the future silences nothing."""
    row = make_subscription()
    now = timezone.now()
    alerting.raise_alert(row.pk, AlertCause.GONE, now=now + 100 * HOUR)
    assert alerting.raise_alert(row.pk, AlertCause.GONE, now=now)


def test_alert_of_one_who_has_read_the_clock_later_is_no_jump() -> None:
    """callback-F20: two processes find it in one moment."""
    row = make_subscription()
    now = timezone.now()
    assert alerting.raise_alert(row.pk, AlertCause.GONE, now=now + timedelta(milliseconds=5))
    assert not alerting.raise_alert(row.pk, AlertCause.GONE, now=now)


def test_changes_are_all_told(heard: list[dict[str, Any]]) -> None:
    """callback-S24: several together as long as they wait, each anew once they were told."""
    row = make_subscription()
    now = timezone.now()
    alerting.raise_alert(row.pk, AlertCause.CHANGED, now=now, text="first")
    alerting.raise_alert(row.pk, AlertCause.CHANGED, now=now + timedelta(seconds=1), text="second")
    alerting.tell_pending()
    alerting.raise_alert(row.pk, AlertCause.CHANGED, now=now + timedelta(seconds=2), text="third")
    alerting.tell_pending()
    assert [facts["text"] for facts in heard] == ["first\nsecond", "third"]


@pytest.mark.django_db(transaction=True)
def test_alert_found_by_several_processes_is_told_once(heard: list[dict[str, Any]]) -> None:
    """callback-F20: one alert, whoever finds it first."""
    row = ill(state="disabled", state_reason="The server answered 410 Gone.", state_changed_at=timezone.now())
    failures: list[BaseException] = []

    def look() -> None:
        try:
            alerting.sweep()
            alerting.tell_pending()
        except BaseException as error:  # noqa: BLE001 - shown in the test
            failures.append(error)
        connections.close_all()

    looking = [threading.Thread(target=look) for _ in range(5)]
    for thread in looking:
        thread.start()
    for thread in looking:
        thread.join(60)
    assert failures == []
    assert [(facts["subscription"].pk, facts["cause"]) for facts in heard] == [(row.pk, "gone")]
    assert len(mail.outbox) == 1


def test_sweep_finds_what_nobody_was_told_of() -> None:
    """callback-F14, callback-F20, callback-F37: disabled, failing for a day, overdue for an hour, poison."""
    now = timezone.now()
    ill(state="disabled", state_reason="Every call has failed for 5 days.", state_changed_at=now)
    ill(failing_since=now - 25 * HOUR)
    make_delivery(due_at=now - 2 * HOUR)
    make_delivery(state="dead", end_reason="poison", finished_at=now, attempts=3, lost=3)
    assert alerting.sweep() == 4
    assert causes() == ["backlog", "disabled", "failing", "poison"]
    assert alerting.sweep() == 0


def test_what_is_well_or_held_on_purpose_raises_nothing() -> None:
    """callback-F52: a pause is no alert, nor is an inactive partner, an archived subscription, or a retry to come."""
    now = timezone.now()
    ill(failing_since=now - 23 * HOUR)
    ill(state="paused", failing_since=now - 30 * HOUR)
    late = {"due_at": now - 2 * HOUR}
    paused = make_delivery(**late)
    Endpoint.objects.filter(pk=paused.subscription_id).update(state="paused")
    make_delivery(subscription=make_subscription(partner=make_partner(active=False)), **late)
    make_delivery(subscription=make_subscription(archived_at=now), **late)
    make_delivery(due_at=now + HOUR, created_at=now - 5 * HOUR)
    make_delivery(kind="test", state="dead", end_reason="unrenderable", finished_at=now)
    assert alerting.sweep() == 0
    assert [need.cause for need in attention.needs(now=now)] == []


def test_mail_server_that_is_away_is_logged_and_harms_nothing(
    settings: Any, heard: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    """callback-S24: the signal and the banner are there all the same."""
    settings.EMAIL_BACKEND = f"{__name__}.{BrokenMail.__name__}"
    row = make_subscription()
    alerting.raise_alert(row.pk, AlertCause.BLOCKED, now=timezone.now())
    assert alerting.tell_pending() == 1
    assert "no mail today" in caplog.text
    assert [facts["cause"] for facts in heard] == ["blocked"]
    assert [need.cause for need in attention.needs(now=timezone.now())] == [AlertCause.BLOCKED]


def test_nobody_to_write_to_is_no_error(settings: Any) -> None:
    """callback-S24"""
    settings.LIVEREFERRALS = {"CALLBACKS": {"WORKER": "off"}}
    row = EndpointAlert(subscription=make_subscription(), cause="gone", raised_at=timezone.now())
    assert mailing.send_alert(row) is False
    assert mail.outbox == []


def test_banner_tells_what_goes_on_and_what_has_happened() -> None:
    """callback-S15: one line for each endpoint and cause; a partner's own only, where it is narrowed."""
    now = timezone.now()
    off = ill(state="disabled", state_reason="The server answered 410 Gone.", state_changed_at=now - HOUR)
    late = make_delivery(due_at=now - 2 * HOUR).subscription
    blocked = make_subscription()
    alerting.raise_alert(blocked.pk, AlertCause.BLOCKED, now=now - 2 * HOUR)
    alerting.raise_alert(blocked.pk, AlertCause.POISON, now=now - 30 * HOUR)
    found = {(need.subscription.pk, need.cause) for need in attention.needs(now=now)}
    assert found == {(off.pk, AlertCause.GONE), (late.pk, AlertCause.BACKLOG), (blocked.pk, AlertCause.BLOCKED)}
    assert all(need.text for need in attention.needs(now=now))
    own = attention.needs(now=now, partners=[late.partner.uid])
    assert [need.subscription for need in own] == [late]


@pytest.mark.django_db(transaction=True)
def test_gone_endpoint_alerts_once_and_the_others_go_out_after_enabling(
    sink: PartnerSink, heard: list[dict[str, Any]]
) -> None:
    """callback-F14: dead, disabled, told once; what waits is on hold."""
    sink.answer_with(Answer(status=410))
    subscription = subscribe(sink.url(), max_in_flight=1)
    rows = [owe(subscription) for _ in range(6)]
    with running_worker():
        wait_for_state(rows[0], DeliveryState.DEAD)
        wait_until(lambda: mail.outbox, what="the mail")
        assert Delivery.objects.filter(state=DeliveryState.WAITING, attempts=0).count() == 5
        assert Endpoint.objects.get().state == "disabled"
        holding.enable(subscription, by=None)
        wait_until(lambda: Delivery.objects.filter(state="delivered").count() == 5)
    assert [facts["cause"] for facts in heard] == ["gone"]
    assert len(mail.outbox) == 1
    assert heard[0]["delivery"] == rows[0].pk


@pytest.mark.django_db(transaction=True)
def test_blocked_attempts_alert_on_the_first(heard: list[dict[str, Any]], settings: Any) -> None:
    """callback-S22: logged with the subscription; one alert for all its attempts."""
    settings.LIVEREFERRALS = {"CALLBACKS": {"WORKER": "off", "RETRY_SCHEDULE": [0.05] * 4}}
    subscription = make_subscription()
    Subscription.objects.update(callback_url="https://10.0.0.1/cb?c={confirmation_id}")
    delivery = owe(subscription)
    with running_worker():
        done = wait_for_state(delivery, DeliveryState.DEAD)
        wait_until(lambda: heard, what="the signal")
    assert {attempt.outcome for attempt in done.attempt_log.all()} == {"blocked"}
    assert [facts["cause"] for facts in heard] == ["blocked"]


@pytest.mark.django_db(transaction=True)
def test_mail_server_that_hangs_delays_no_delivery(sink: PartnerSink, settings: Any) -> None:
    """callback-F14: neither before nor after the alert; and the worker ends all the same."""
    settings.EMAIL_BACKEND = f"{__name__}.{HangingMail.__name__}"
    HangingMail.released.clear()
    sink.answer_with(Answer(status=410))
    gone, well = subscribe(sink.url(), max_in_flight=1), subscribe(sink.url())
    first = owe(gone)
    try:
        with running_worker():
            wait_for_state(first, DeliveryState.DEAD)
            wait_until(lambda: EndpointAlert.objects.exclude(told_at=None).exists())
            later = [owe(well) for _ in range(5)]
            for row in later:
                wait_for_state(row, DeliveryState.DELIVERED)
            HangingMail.released.set()
    finally:
        HangingMail.released.set()
