"""The tables: every rule that the database holds is broken once, and the migrations are complete."""

from __future__ import annotations

import uuid
from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import IntegrityError, connection, models, transaction
from django.utils import timezone

from livereferrals import ids
from livereferrals.callbacks.models import DeliveryAttempt, Endpoint, EndpointAlert, SigningSecret
from livereferrals.dashboard.models import (
    DailyLinkTotal,
    DailyPartnerTotal,
    DailyTotal,
    HourlyLinkTotal,
    HourlyPartnerTotal,
    HourlyTotal,
    MonthlyLinkTotal,
    MonthlyPartnerTotal,
    RollupState,
)
from livereferrals.events.models import Event, EventLog
from livereferrals.tracking.models import LinkOwner, Partner, ReferralLink, Reversal, Visitor
from livereferrals.triggers.models import TriggerCount
from tests import factories

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.django_db


def again(row: models.Model, **values: object) -> None:
    """Insert a copy of the row under a new key, with these values."""
    row.pk = None if isinstance(row._meta.pk, models.AutoField) else ids.new_uuid()
    for name, value in values.items():
        setattr(row, name, value)
    row._state.adding = True
    row.save(force_insert=True)


def change(row: models.Model, **values: object) -> None:
    """Update the row behind the model's back."""
    type(row)._base_manager.filter(pk=row.pk).update(**values)


def twice(model: type[models.Model], **values: object) -> None:
    model._base_manager.create(**values)
    model._base_manager.create(**values)


def event(**values: object) -> None:
    Event.objects.create(**{"type": "hit", "occurred_at": timezone.now()} | values)


def once_for_the_user() -> None:
    user = factories.make_user()
    factories.make_confirmation(once=True, user=user)
    factories.make_confirmation(once=True, user=user)


def once_for_the_visitor() -> None:
    visitor = factories.make_visitor()
    for _ in range(2):
        factories.make_confirmation(once=True, hit=factories.make_hit(visitor=visitor))


def second_home_link() -> None:
    factories.make_link(partner=factories.make_partner(), home=True)


def two_attempts_of_one_number() -> None:
    twice(DeliveryAttempt, delivery=factories.make_delivery(), number=1, started_at=timezone.now(), outcome="ok")


def one_event_owed_twice() -> None:
    delivery = factories.make_delivery(event=ids.new_uuid())
    factories.make_delivery(
        event=delivery.event, subscription=delivery.subscription, confirmation=delivery.confirmation
    )


def one_alert_twice() -> None:
    twice(EndpointAlert, subscription=factories.make_subscription(), cause="gone", raised_at=timezone.now())


def two_replays_at_once() -> None:
    factories.make_replay(subscription=factories.make_replay().subscription)


def one_number_twice() -> None:
    for _ in range(2):
        event(seq=1, numbered_at=timezone.now())


BREACHES: dict[str, Callable[[], object]] = {
    "lr_event_numbered_whole": lambda: event(seq=1),
    "lr_event_seq": one_number_twice,
    "lr_eventlog_singleton": lambda: EventLog.objects.create(id=2),
    "lr_eventlog_bounds": lambda: EventLog.objects.update_or_create(id=1, defaults={"head": 3, "oldest": 4}),
    "lr_link_one_owner": lambda: change(factories.make_link(), owner=LinkOwner.HOUSE),
    "lr_link_identifier_not_empty": lambda: factories.make_link(identifier=""),
    "lr_link_one_home": second_home_link,
    "lr_visitor_user_claimed": lambda: change(factories.make_visitor(), user=factories.make_user()),
    "lr_visitor_legacy_id": lambda: twice(Visitor, legacy_id=1),
    "lr_confirmation_reference": lambda: again(factories.make_confirmation(reference="A-1")),
    "lr_confirmation_once_user": once_for_the_user,
    "lr_confirmation_once_visitor": once_for_the_visitor,
    "lr_confirmation_reference_not_empty": lambda: factories.make_confirmation(reference=""),
    "lr_confirmation_amount_whole": lambda: factories.make_confirmation(amount="1", currency=""),
    "lr_reversal_amount": lambda: Reversal.objects.create(
        confirmation=factories.make_confirmation(), reason="refund", amount_micros=-1, created_at=timezone.now()
    ),
    "lr_subscription_one": lambda: again(factories.make_subscription(), uid=ids.new_uuid()),
    "lr_subscription_timeout": lambda: factories.make_subscription(timeout_s=31),
    "lr_subscription_flight": lambda: factories.make_subscription(max_in_flight=0),
    "lr_endpoint_lease_whole": lambda: change(factories.make_subscription().endpoint, lease_token=uuid.uuid4()),
    "lr_delivery_one": one_event_owed_twice,
    "lr_delivery_sending_leased": lambda: factories.make_delivery(state="sending"),
    "lr_delivery_ended_dated": lambda: factories.make_delivery(state="delivered"),
    "lr_delivery_lost": lambda: factories.make_delivery(lost=1),
    "lr_attempt_one": two_attempts_of_one_number,
    "lr_secret_one_active": lambda: SigningSecret.objects.create(subscription=factories.make_subscription()),
    "lr_alert_one": one_alert_twice,
    "lr_replay_span": lambda: factories.make_replay(until=timezone.now() - timedelta(days=1)),
    "lr_replay_rate": lambda: factories.make_replay(per_second=0),
    "lr_replay_ended_dated": lambda: factories.make_replay(state="finished"),
    "lr_replay_one_running": two_replays_at_once,
    "lr_rollup_singleton": lambda: RollupState.objects.create(id=2),
    "lr_hourly_one": lambda: twice(HourlyTotal, starts_at=timezone.now()),
    "lr_daily_one": lambda: twice(DailyTotal, day="2026-11-21"),
    "lr_monthly_partner_one": lambda: twice(MonthlyPartnerTotal, month="2026-11-01", partner="AAAAAAAA"),
    "lr_monthly_link_one": lambda: twice(MonthlyLinkTotal, month="2026-11-01", link=ids.new_uuid()),
    "lr_daily_partner_one": lambda: twice(DailyPartnerTotal, day="2026-11-21", partner="AAAAAAAA"),
    "lr_daily_link_one": lambda: twice(DailyLinkTotal, day="2026-11-21", link=ids.new_uuid()),
    "lr_hourly_partner_one": lambda: twice(HourlyPartnerTotal, starts_at=timezone.now(), partner="AAAAAAAA"),
    "lr_hourly_link_one": lambda: twice(HourlyLinkTotal, starts_at=timezone.now(), link=ids.new_uuid()),
    "lr_triggercount_one": lambda: twice(TriggerCount, trigger="x", hour=timezone.now(), reason="confirmed"),
}


def declared() -> dict[str, models.BaseConstraint]:
    found = [
        constraint
        for model in apps.get_app_config("livereferrals").get_models()
        for constraint in model._meta.constraints
    ]
    return {constraint.name: constraint for constraint in found}


def test_every_constraint_has_a_breach_here() -> None:
    """L-08 A new constraint comes with the row that it refuses."""
    assert set(BREACHES) == set(declared())


@pytest.mark.parametrize("name", sorted(BREACHES))
def test_the_database_refuses_a_row_that_breaks_a_rule(name: str) -> None:
    """L-08 Whatever writes to the table, a breach is an `IntegrityError` of the constraint of this name."""
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        BREACHES[name]()
    if connection.vendor == "postgresql" or isinstance(declared()[name], models.CheckConstraint):
        assert name in str(refused.value)
    else:
        assert "UNIQUE" in str(refused.value)


def test_a_claimed_visitor_may_lose_its_user() -> None:
    """L-63 Deleting a user leaves visitors, hits and confirmations, without it."""
    user = factories.make_user()
    confirmation = factories.make_confirmation(hit=factories.make_hit(user=user), once=True)
    user.delete()
    confirmation.refresh_from_db()
    assert (confirmation.user, Visitor.objects.get().user) == (None, None)
    assert not User.objects.exists()


def test_once_counts_neither_others_nor_reversed_confirmations() -> None:
    """S-23 A reversed confirmation makes room for the next; one without the mark never stands in the way."""
    visitor = factories.make_visitor(user=factories.make_user())
    for values in ({"reversed_at": timezone.now()}, {}):
        factories.make_confirmation(hit=factories.make_hit(visitor=visitor), once=True, **values)
    for reference in ("A-1", "A-2", None, None):
        factories.make_confirmation(hit=factories.make_hit(visitor=visitor), reference=reference)


def test_one_reference_may_stand_under_two_triggers() -> None:
    """S-30 "Order paid" and "Order shipped" of order A-1 are two confirmations."""
    factories.make_confirmation(reference="A-1", trigger="Order paid")
    factories.make_confirmation(reference="A-1", trigger="Order shipped")


def test_an_archived_subscription_makes_room_for_a_new_one() -> None:
    """D-13 A partner has one live subscription to a trigger and any number of archived ones."""
    first = factories.make_subscription(archived_at=timezone.now())
    factories.make_subscription(partner=first.partner, archived_at=timezone.now())
    factories.make_subscription(partner=first.partner)
    assert Endpoint.objects.count() == 3


def test_a_new_partner_has_a_uid_and_a_home_link_of_that_name() -> None:
    """L-08 8 letters and digits, and a link that it names; saving again makes no second one."""
    partner = factories.make_partner()
    partner.save()
    link = ReferralLink.objects.get()
    assert (link.identifier, link.partner, link.owner, link.home) == (partner.uid, partner, LinkOwner.PARTNER, True)
    assert len(partner.uid) == 8
    assert partner.uid.isalnum()


@pytest.mark.parametrize(
    ("values", "owner"),
    [({"partner": True}, "partner"), ({"user": True}, "user"), ({"owner": "house"}, "house")],
    ids=["partner", "user", "house"],
)
def test_a_link_knows_whom_it_belongs_to(values: dict[str, object], owner: str) -> None:
    """L-63 The owner follows from the foreign keys, and a user's link stays one when the user is gone."""
    rows = {"partner": factories.make_partner, "user": factories.make_user}
    link = factories.make_link(**{key: rows[key]() if key in rows else value for key, value in values.items()})
    assert link.owner == owner
    User.objects.all().delete()
    link.refresh_from_db()
    link.save()
    assert link.owner == owner


def test_followable_gives_the_links_that_make_hits() -> None:
    """L-21 Not disabled, started, not ended, of an active owner."""
    now = timezone.now()
    hour = timedelta(hours=1)
    good = [
        factories.make_link(),
        factories.make_link(owner="house"),
        factories.make_link(user=factories.make_user()),
        factories.make_link(owner="house", starts_at=now, expires_at=now + hour),
    ]
    factories.make_link(disabled=True)
    factories.make_link(starts_at=now + hour)
    factories.make_link(expires_at=now)
    factories.make_link(partner=factories.make_partner(active=False))
    factories.make_link(user=factories.make_user(is_active=False))
    followable = ReferralLink.objects.filter(home=False).followable(now)
    assert {link.pk for link in followable} == {link.pk for link in good}


def test_migrations_say_all_that_the_models_say() -> None:
    """O-13 `makemigrations --check` finds nothing to do."""
    output = StringIO()
    call_command("makemigrations", "livereferrals", check=True, dry_run=True, stdout=output)
    assert "No changes" in output.getvalue()


def test_every_index_and_constraint_has_a_name_of_ours() -> None:
    """O-13 Names that we chose stay the same in every host's database, so that a later migration finds them."""
    for model in apps.get_app_config("livereferrals").get_models():
        for named in [*model._meta.indexes, *model._meta.constraints]:
            assert named.name.startswith("lr_"), (model, named)


@pytest.mark.parametrize(
    "row",
    [
        factories.make_user,
        factories.make_partner,
        factories.make_link,
        factories.make_visitor,
        factories.make_hit,
        factories.make_confirmation,
        factories.make_subscription,
        factories.make_delivery,
        factories.make_event,
    ],
)
def test_every_row_has_a_name_to_show(row: Callable[[], models.Model]) -> None:
    """D-20 Lists and drop-downs of the admin show text, also for the rows of the log."""
    assert str(row()).strip()


def test_a_partner_is_ordered_by_name() -> None:
    """D-01 Lists of partners are alphabetical."""
    for name in ("B", "C", "A"):
        factories.make_partner(name=name)
    assert [partner.name for partner in Partner.objects.all()] == ["A", "B", "C"]
