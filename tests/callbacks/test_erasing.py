"""Erasing a person: rows, log, deliveries and what a worker is just sending."""

from __future__ import annotations

import json
import logging
import uuid
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from livereferrals import api
from livereferrals.callbacks import erasing, losses
from livereferrals.callbacks.models import Delivery, DeliveryAttempt, Endpoint, EndReason
from livereferrals.dashboard import rollups
from livereferrals.dashboard.models import HourlyTotal
from livereferrals.events import log, wire
from livereferrals.events.models import Event, EventType
from livereferrals.tracking import claiming, recording
from livereferrals.tracking.models import Confirmation, ReferralHit, ReferralLink, Reversal, Visitor
from tests.factories import home_link, make_partner, make_subscription, make_user
from tests.shop.triggers import TRIGGERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

pytestmark = pytest.mark.django_db(transaction=True)

PERSONAL: dict[str, Any] = {
    "ip": "203.0.113.77",
    "user_agent": "Ann's own browser",
    "referer": "https://anns.example.org/about",
    "entry_url": "https://shop.example/ann?mail=ann@example.org",
}
LEADS_TO_ANN = ("203.0.113", "own browser", "anns.example", "ann@", "secret of ann")


@pytest.fixture(autouse=True)
def _shop(settings: Settings) -> None:
    settings.LIVEREFERRALS = {**django_settings.LIVEREFERRALS, "TRIGGERS": TRIGGERS}


def make_story(user: User | None = None) -> SimpleNamespace:
    """A user who followed a partner's link, logged in and ordered something, of which the partner is to be told."""
    partner, user = make_partner(), user or make_user()
    subscription = make_subscription(partner=partner)
    hit = recording.record_hit(home_link(partner), **PERSONAL)
    visitor = hit.visitor
    assert visitor is not None
    claiming.claim(visitor, user=user, now=timezone.now())
    result = api.confirm(
        "Order paid", user=user, reference=f"A-{hit.pk}", amount="12.50", currency="EUR", extra={"is": "secret of ann"}
    )
    assert result.created, result.reason
    return SimpleNamespace(
        partner=partner,
        subscription=subscription,
        user=user,
        visitor=visitor,
        hit=hit,
        confirmation=result.confirmation,
        delivery=Delivery.objects.get(confirmation=result.confirmation),
    )


def make_attempt(delivery: Delivery, **values: Any) -> DeliveryAttempt:
    assert delivery.confirmation is not None
    texts = {
        "request_url": f"https://partner.example/?v={delivery.confirmation.visitor_id}",
        "request_headers": {"X": "secret of ann"},
        "request_excerpt": "secret of ann",
        "response_headers": [["X", "secret of ann"]],
        "response_excerpt": "secret of ann",
    }
    return DeliveryAttempt.objects.create(
        **{"delivery": delivery, "number": 1, "started_at": timezone.now(), "outcome": "ok", **texts} | values
    )


def start(delivery: Delivery) -> None:
    """Put a delivery in the hands of a worker."""
    token = uuid.uuid4()
    until = timezone.now()
    Endpoint.objects.filter(subscription=delivery.subscription_id).update(lease_token=token, lease_until=until)
    Delivery.objects.filter(pk=delivery.pk).update(state="sending", lease_token=token, attempts=1)


def stored() -> str:
    """Everything that the app stores of people, as text."""
    models = (Event, ReferralHit, Visitor, Confirmation, Reversal, Delivery, DeliveryAttempt, ReferralLink)
    return "\n".join(json.dumps(row, default=str) for model in models for row in model._default_manager.values())


def test_nothing_leads_to_an_erased_user_and_amounts_and_counts_stay() -> None:
    """Y-03"""
    story = make_story()
    link = ReferralLink.objects.for_user(story.user)
    ReferralLink.objects.filter(pk=link.pk).update(name="secret of ann")
    api.reverse(story.confirmation, reason="refund", amount="2.50", note="secret of ann")
    Delivery.objects.update(state="delivered", finished_at=timezone.now())
    make_attempt(story.delivery)
    rollups.advance()
    totals = list(HourlyTotal.objects.order_by("pk").values())
    assert all(trace in stored() for trace in LEADS_TO_ANN)

    erased = api.erase_user(story.user)

    assert (erased.visitors, erased.hits, erased.confirmations) == (1, 1, 1)
    left = stored()
    assert not [trace for trace in (*LEADS_TO_ANN, str(story.visitor.pk)) if trace in left]
    assert wire.user_hash(str(story.user.pk), key=story.partner.user_key) not in left
    for row in (ReferralHit.objects.get(), Confirmation.objects.get()):
        assert (row.user, row.visitor, row.partner) == (None, None, story.partner)
    assert Confirmation.objects.get().trace["subject"]["user"] is None
    assert (Confirmation.objects.get().amount_micros, Confirmation.objects.get().reversed_micros) == (
        12_500_000,
        2_500_000,
    )
    assert not Event.objects.exclude(user="").exists()
    assert not Event.objects.filter(visitor__isnull=False).exists()
    assert ReferralLink.objects.get(pk=link.pk).user is None
    assert rollups.advance() == 0
    assert list(HourlyTotal.objects.order_by("pk").values()) == totals


def test_nobody_else_is_touched_and_a_second_erasure_finds_nothing() -> None:
    """Y-03: repeating it is harmless"""
    story, other = make_story(), make_story()
    api.erase_user(story.user)
    before = stored()
    assert str(other.visitor.pk) in before
    assert api.erase_user(story.user) == erasing.Erased(visitors=0, hits=0, confirmations=0, deliveries_cancelled=0)
    assert stored() == before
    other.confirmation.refresh_from_db()
    assert (other.confirmation.user, other.confirmation.visitor) == (other.user, other.visitor)
    assert other.confirmation.extra == {"is": "secret of ann"}


def test_log_says_who_erased_and_not_the_name(caplog: pytest.LogCaptureFixture) -> None:
    """Y-03: a log entry says who did it and when"""
    story, staff = make_story(make_user(username="ann-the-customer")), make_user()
    with caplog.at_level(logging.INFO, logger="livereferrals"):
        api.erase_user(story.user, by=staff)
    record = next(record for record in caplog.records if getattr(record, "action", "") == "user.erased")
    assert (record.by, record.confirmations) == (staff.pk, 1)  # type: ignore[attr-defined] # of `extra`
    assert "ann-the-customer" not in caplog.text


def test_events_keep_their_numbers_and_lose_who_it_was() -> None:
    """Y-04 feed-57: no gap; `visitor` and `user` are null; the host's own fields too"""
    story = make_story()
    Event.objects.filter(type=EventType.HIT).update(data={**Event.objects.get(type="hit").data, "extra": {"a": "b"}})
    before = {event.pk: (event.seq, event.type, event.occurred_at) for event in log.read(0, limit=100)}
    revision = log.bounds().revision
    api.erase_user(story.user)
    events = log.read(0, limit=100)
    assert {event.pk: (event.seq, event.type, event.occurred_at) for event in events}.items() >= before.items()
    assert [event.seq for event in events] == list(range(1, len(before) + 2))  # and the cancelled delivery's
    for event in events:
        assert [event.data.get(name) for name in ("visitor", "user", "extra")] == [None, None, None]
    told = next(event for event in events if event.type == EventType.CONFIRMATION).data
    assert (told["amount"], told["reference"]) == ("12.50", story.confirmation.reference)
    assert {"visitor", "user"} <= told.keys()
    assert log.bounds().revision > revision


def test_erasure_that_is_rolled_back_has_not_happened() -> None:
    """Y-03: with the host's transaction"""
    story = make_story()
    before = stored()
    with transaction.atomic():
        api.erase_user(story.user)
        transaction.set_rollback(True)
    assert stored() == before


def test_waiting_deliveries_are_cancelled_and_ended_ones_cleared() -> None:
    """Y-04 callback-F54 callback-S19"""
    waiting = make_story()
    ended = make_story(waiting.user)
    Delivery.objects.filter(pk=ended.delivery.pk).update(state="delivered", finished_at=timezone.now(), attempts=1)
    make_attempt(ended.delivery)

    erased = api.erase_user(waiting.user)

    assert erased.deliveries_cancelled == 1
    cancelled = Delivery.objects.get(pk=waiting.delivery.pk)
    assert (cancelled.state, cancelled.end_reason, cancelled.payload) == ("cancelled", EndReason.ERASURE, None)
    assert cancelled.finished_at is not None
    delivered = Delivery.objects.get(pk=ended.delivery.pk)
    assert (delivered.state, delivered.payload, delivered.attempts) == ("delivered", None, 1)
    attempt = delivered.attempt_log.get()
    assert (attempt.request_url, attempt.request_excerpt, attempt.response_excerpt) == ("", "", "")
    assert (attempt.request_headers, attempt.response_headers, attempt.outcome) == ({}, [], "ok")
    event = Event.objects.get(type=EventType.DELIVERY)
    assert (event.data["outcome"], event.data["reason"]) == ("cancelled", "erasure")
    assert (event.partner, event.visitor) == (waiting.partner.uid, None)


def test_delivery_of_a_dead_worker_is_not_repeated_after_an_erasure() -> None:
    """callback-F54: it was being sent"""
    story = make_story()
    start(story.delivery)
    api.erase_user(story.user)
    assert Delivery.objects.get(pk=story.delivery.pk).state == "sending"
    with transaction.atomic():
        notices = losses.take_back("default", endpoints=[story.subscription.pk], now=timezone.now())
    delivery = Delivery.objects.get(pk=story.delivery.pk)
    assert (delivery.state, delivery.end_reason) == ("cancelled", EndReason.ERASURE)
    assert [notice.final for notice in notices] == [True]
    assert Event.objects.get(type=EventType.DELIVERY).data["outcome"] == "cancelled"


DELETIONS: dict[str, Callable[[User], object]] = {
    "by itself": lambda user: user.delete(),
    "in bulk": lambda user: User.objects.filter(pk=user.pk).delete(),
}


@pytest.mark.parametrize("manner", DELETIONS)
def test_deleting_a_user_leaves_nothing_that_names_it(manner: str) -> None:
    """Y-05 L-63: hits, confirmations and visitors stay, and the partner gets its call"""
    story = make_story()
    user_pk = str(story.user.pk)
    api.reverse(story.confirmation, reason="refund", amount="1", note="secret of ann")
    DELETIONS[manner](story.user)
    left = stored()
    # The name of a site that somebody came from is in the log for a week, and names nobody.
    assert [trace for trace in LEADS_TO_ANN if trace in left] == ["anns.example"]
    assert not Event.objects.filter(user=user_pk).exists()
    assert not [event for event in Event.objects.all() if event.data.get("user") is not None]
    hit, confirmation = ReferralHit.objects.get(), Confirmation.objects.get()
    assert (hit.user, hit.visitor, confirmation.user, confirmation.visitor) == (
        None,
        story.visitor,
        None,
        story.visitor,
    )
    assert (confirmation.trace["subject"]["user"], confirmation.extra) == (None, None)
    assert Delivery.objects.get(pk=story.delivery.pk).state == "waiting"
