"""Who is subscribed, what is owed, and what becomes of what nobody will send."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.db.models import Subquery
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from livereferrals.callbacks import housekeeping, outbox, payload
from livereferrals.callbacks.models import Delivery, Endpoint, EndpointState
from livereferrals.callbacks.payload import Facts
from livereferrals.callbacks.placeholders import MACROS
from livereferrals.events import wire
from livereferrals.events.models import Event, EventType
from livereferrals.ids import new_uuid
from livereferrals.tracking.models import Reversal
from tests.callbacks.running import make_owed_confirmation, owe, reload, subscribe
from tests.factories import make_subscription

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

URL = "http://127.0.0.1/hook"


@pytest.mark.django_db
def test_a_subscription_counts_until_it_is_archived() -> None:
    """S-31 no. 13, S-30: the state of the endpoint does not matter."""
    paused, archived, other_trigger = make_subscription(), make_subscription(), make_subscription(trigger="Other")
    Endpoint.objects.filter(subscription=paused).update(state=EndpointState.PAUSED)
    type(archived).objects.filter(pk=archived.pk).update(archived_at=timezone.now())
    assert list(outbox.subscriptions_to("Order paid")) == [paused]
    assert list(outbox.subscriptions_to("Other")) == [other_trigger]


@pytest.mark.django_db
def test_confirmation_owes_its_partners_subscription(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    """S-39: one delivery, due now, with the frozen event; one insert."""
    subscription = subscribe(URL)
    confirmation, event = make_owed_confirmation(subscription)
    with django_assert_num_queries(1):
        delivery = outbox.owe(confirmation, event, subscription=subscription.pk)
    assert delivery is not None
    row = reload(delivery)
    assert (row.state, row.attempts, row.event, row.kind) == ("waiting", 0, event.pk, "confirmation")
    assert row.payload == wire.event_object(event, epoch="x") | {"cursor": None}
    assert abs(row.due_at - timezone.now()) < timedelta(seconds=5)


@pytest.mark.django_db
@pytest.mark.parametrize("case", ["called", "no url", "archived", "other trigger"])
def test_who_is_called_for_a_trigger(case: str) -> None:
    """S-39: not who reads the feed only, has been archived, or is subscribed to another trigger."""
    subscription = subscribe("" if case == "no url" else URL)
    confirmation, event = make_owed_confirmation(subscription)
    if case == "archived":
        type(subscription).objects.update(archived_at=timezone.now())
    trigger = "Something else" if case == "other trigger" else confirmation.trigger
    rows = type(confirmation).objects.annotate(called=Subquery(outbox.called_for(trigger)))
    assert rows.get().called == (subscription.pk if case == "called" else None)
    assert outbox.owe(confirmation, event, subscription=None) is None


@pytest.mark.django_db
@pytest.mark.parametrize("case", ["archived", "paused", "inactive"])
def test_what_nobody_will_send_is_ended(case: str) -> None:
    """callback-S20: archived subscriptions cancel; a hold of more than 14 days expires; each is told in the log."""
    subscription = subscribe(URL)
    held, young = owe(subscription), owe(subscription)
    long_ago = timezone.now() - timedelta(days=15)
    Delivery.objects.filter(pk=held.pk).update(created_at=long_ago, due_at=long_ago)
    assert housekeeping.end_unsendable() == 0
    if case == "archived":
        type(subscription).objects.update(archived_at=timezone.now())
    if case == "paused":
        Endpoint.objects.update(state=EndpointState.PAUSED, state_changed_at=long_ago)
    if case == "inactive":
        type(subscription.partner).objects.update(active=False)
    housekeeping.end_unsendable()
    ended = reload(held)
    if case == "archived":
        assert (ended.state, ended.end_reason, reload(young).state) == ("cancelled", "archived", "cancelled")
    else:
        assert (ended.state, ended.end_reason, reload(young).state) == ("dead", "expired", "waiting")
    told = [event.data["delivery"] for event in Event.objects.filter(type=EventType.DELIVERY)]
    assert str(held.pk) in told


@pytest.mark.django_db
def test_recent_pause_expires_nothing() -> None:
    """callback-S20: the hold counts, not the age of the delivery."""
    delivery = owe(subscribe(URL))
    long_ago = timezone.now() - timedelta(days=15)
    Delivery.objects.update(created_at=long_ago, due_at=long_ago)
    Endpoint.objects.update(state=EndpointState.PAUSED, state_changed_at=timezone.now())
    assert housekeeping.end_unsendable() == 0
    assert reload(delivery).state == "waiting"


# --- values -------------------------------------------------------------------------------------------------------------------


def make_payload(**data: Any) -> dict[str, Any]:
    return {
        "type": "confirmation",
        "time": "2026-11-21T09:00:00.123456Z",
        "partner": "Ab12Cd34",
        "link": {"id": str(new_uuid()), "identifier": "spring"},
        "data": data,
    }


def make_values(**data: Any) -> dict[str, str]:
    facts = Facts(delivery=new_uuid(), attempt=3, hit_at=datetime(2026, 11, 1, 12, tzinfo=UTC))
    return payload.values(make_payload(**data), facts)


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [("12.50", "EUR", "1250"), ("1250", "JPY", "1250"), ("1.250", "KWD", "1250"), ("0.00", "EUR", "0")],
)
def test_amount_is_given_whole_and_in_minor_units(amount: str, currency: str, minor: str) -> None:
    """N-05: the currency's digits, no exponent."""
    values = make_values(amount=amount, currency=currency)
    assert (values["amount"], values["amount_minor"], values["currency"]) == (amount, minor, currency)


def test_values_are_text_in_the_forms_of_the_contract() -> None:
    """D-11: times in UTC with milliseconds and in seconds; status; attempt; empty where there is none."""
    values = make_values(reference="A-1", subs=["a", "", "c"])
    assert values["timestamp"] == "2026-11-21T09:00:00.123Z"
    assert values["timestamp_unix"] == "1795251600"
    assert values["hit_timestamp"] == "2026-11-01T12:00:00.000Z"
    assert (values["status"], values["attempt"], values["test"], values["link"]) == ("confirmed", "3", "0", "spring")
    assert [values[f"sub{number}"] for number in range(1, 6)] == ["a", "", "c", "", ""]
    assert values["amount"] == values["reason"] == values["click_id"] == ""


def test_reversal_says_so_with_its_reason() -> None:
    """N-08: the code that partners see."""
    body = make_payload(reason="refund") | {"type": "reversal"}
    values = payload.values(body, Facts(delivery=new_uuid(), attempt=1))
    assert (values["status"], values["reason"]) == ("reversed", "refund")


@given(data=st.dictionaries(st.sampled_from(["reference", "click_id", "trigger", "visitor"]), st.text() | st.none()))
def test_every_macro_has_a_text(data: dict[str, Any]) -> None:
    """callback-S18: exactly the closed list, whatever the payload holds."""
    values = make_values(**data)
    assert set(values) == set(MACROS)
    assert all(isinstance(value, str) for value in values.values())


def test_body_holds_no_database_id_or_address() -> None:
    """callback-S18: what is frozen is the feed's object."""
    event = Event(type="confirmation", occurred_at=timezone.now(), data={"user": "u_x"}, user="4711", partner="p")
    assert not re.search(r"4711", str(payload.frozen(event)))


@pytest.mark.django_db
def test_database_time_is_the_servers_on_postgresql() -> None:
    """callback-F30: all workers agree on due times, whatever their own clocks say."""
    from livereferrals.callbacks import clock

    now = clock.now(connection.alias)
    assert abs(now - timezone.now()) < timedelta(seconds=10)


@pytest.mark.django_db
@pytest.mark.parametrize("case", ["told long ago", "subscribed later", "lately", "feed only"])
def test_reversal_of_a_confirmation_whose_delivery_is_forgotten(case: str) -> None:
    """N-12: whoever was called is told, although the row of it is gone; nobody else is."""
    subscription = subscribe("" if case == "feed only" else URL)
    confirmation, event = make_owed_confirmation(subscription)
    age = timedelta(days=1 if case == "lately" else 200)
    subscribed = timezone.now() - timedelta(days=100 if case == "subscribed later" else 300)
    type(subscription).objects.filter(pk=subscription.pk).update(created_at=subscribed)
    type(confirmation).objects.filter(pk=confirmation.pk).update(created_at=timezone.now() - age)
    confirmation.refresh_from_db()
    reversal = Reversal.objects.create(confirmation=confirmation, reason="refund", created_at=timezone.now())
    made = outbox.owe_reversal(reversal, event)
    assert [(row.subscription_id, row.after) for row in made] == (
        [(subscription.pk, None)] if case == "told long ago" else []
    )
