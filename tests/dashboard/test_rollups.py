from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.utils import timezone

from livereferrals.dashboard import rollups, summing
from livereferrals.dashboard.models import DailyLinkTotal, DailyPartnerTotal, HourlyTotal, RollupState
from livereferrals.events import log, sequencer
from livereferrals.events.models import EventLog
from tests.dashboard import makers
from tests.factories import make_entry, make_link, make_partner

if TYPE_CHECKING:
    from django.db.models import Model

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 21, 11, 20, tzinfo=UTC)  # 12:20 in Berlin
HOUR = datetime(2026, 11, 21, 11, tzinfo=UTC)


@pytest.fixture
def link():
    return make_link()


def totals(model: type[Model], *place: str) -> list[tuple[Any, ...]]:
    names = (*place, "trigger", "currency", "hits", "visitors", "claims", "confirmations", "reversals", "amount_micros")
    return sorted(model._default_manager.values_list(*names), key=str)


def test_events_become_totals_by_hour_partner_and_link(link):
    """dashboard.md 3: rollups by hour; by day and partner; by day and link"""
    makers.hit(link, at=NOON)
    makers.hit(link, at=NOON, repeat=True)
    makers.claim(link, at=NOON)
    makers.confirmed(link, at=NOON, amount="12.50", currency="EUR")
    makers.confirmed(link, at=NOON, amount="3", currency="JPY")

    assert rollups.advance() == 5

    rows = [("", "", 2, 1, 1, 0, 0, 0), ("Order paid", "EUR", 0, 0, 0, 1, 0, 12_500_000)]
    rows.append(("Order paid", "JPY", 0, 0, 0, 1, 0, 3_000_000))
    day = date(2026, 11, 21)
    assert totals(HourlyTotal, "starts_at") == [(HOUR, *row) for row in rows]
    assert totals(DailyPartnerTotal, "partner", "day") == [(link.partner.uid, day, *row) for row in rows]
    without_claims = [("", "", 2, 1, 0, 0, 0, 0), *rows[1:]]  # a claim has no link
    assert totals(DailyLinkTotal, "link", "day") == [(link.pk, day, *row) for row in without_claims]
    assert RollupState.objects.get().seq == log.bounds().head


def test_second_run_finds_nothing_and_a_third_only_what_is_new(link):
    """dashboard.md 3: complete up to a stored cursor"""
    makers.hit(link, at=NOON)
    assert [rollups.advance(), rollups.advance()] == [1, 0]
    makers.hit(link, at=NOON)
    assert rollups.advance() == 1
    assert HourlyTotal.objects.get().hits == 2


def test_event_without_a_number_waits(link):
    """dashboard.md 3: exactly the events up to the cursor"""
    log.append(make_entry(partner=link.partner))
    assert rollups.advance() == 0
    assert not HourlyTotal.objects.exists()


def test_reversal_lowers_the_confirmations_own_hour_and_day(link):
    """dashboard.md 6"""
    confirmation = makers.confirmed(link, at=NOON, amount="12.50", currency="EUR")
    rollups.advance()
    makers.reversed_(confirmation, at=NOON + timedelta(days=2))
    rollups.advance()
    assert totals(HourlyTotal, "starts_at") == [
        (HOUR, "Order paid", "EUR", 0, 0, 0, 0, 0, 0),
        (HOUR + timedelta(days=2), "Order paid", "EUR", 0, 0, 0, 0, 1, 0),
    ]


def test_partial_reversal_leaves_the_confirmation_standing(link):
    """N-10"""
    confirmation = makers.confirmed(link, at=NOON, amount="12.50", currency="EUR")
    makers.reversed_(confirmation, at=NOON, amount="2.50", partial=True)
    rollups.advance()
    assert totals(HourlyTotal, "starts_at") == [(HOUR, "Order paid", "EUR", 0, 0, 0, 1, 1, 10_000_000)]


def test_deliveries_add_nothing(link):
    """dashboard.md 6"""
    makers.delivered(link)
    assert rollups.advance() == 1
    assert not HourlyTotal.objects.exists()


def test_house_events_have_no_partner_row():
    """dashboard.md 3"""
    link = make_link(owner="house")
    makers.hit(link, at=NOON)
    rollups.advance()
    assert not DailyPartnerTotal.objects.exists()
    assert DailyLinkTotal.objects.get().hits == 1


def test_day_is_the_projects_day(link, settings):
    """dashboard-47"""
    settings.TIME_ZONE = "Asia/Kathmandu"
    makers.hit(link, at=datetime(2026, 11, 21, 18, 20, tzinfo=UTC))  # 00:05 on the 22nd there
    rollups.advance()
    assert DailyPartnerTotal.objects.get().day == date(2026, 11, 22)
    assert HourlyTotal.objects.get().starts_at == datetime(2026, 11, 21, 18, 15, tzinfo=UTC)


def test_other_time_zone_makes_the_rollups_anew(link, settings):
    """dashboard.md 3: hours and days of the project's TIME_ZONE"""
    makers.hit(link, at=NOON)
    rollups.advance()
    settings.TIME_ZONE = "Asia/Kathmandu"
    rollups.advance()
    assert HourlyTotal.objects.get().starts_at == datetime(2026, 11, 21, 11, 15, tzinfo=UTC)
    assert HourlyTotal.objects.get().hits == 1


def test_other_time_zone_keeps_totals_whose_events_are_pruned(link, settings, caplog):
    """dashboard.md 3"""
    makers.hit(link, at=NOON)
    rollups.advance()
    EventLog.objects.update(oldest=1)
    settings.TIME_ZONE = "Asia/Kathmandu"
    rollups.advance()
    assert HourlyTotal.objects.get().starts_at == HOUR
    assert "TIME_ZONE has changed" in caplog.text


def test_many_events_are_rolled_up_in_batches(link, django_assert_max_num_queries, monkeypatch):
    """dashboard.md 10: not a query for each event"""
    monkeypatch.setattr(rollups, "BATCH", 1000)
    entries = [
        make_entry(partner=make_partner() if number % 100 == 0 else link.partner, link=link.pk, occurred_at=NOON)
        for number in range(rollups.BATCH + 200)
    ]
    log.append_all(entries)
    while sequencer.number_events():
        pass
    with django_assert_max_num_queries(41):  # one of them in each batch asks PostgreSQL for the time
        assert rollups.advance() == rollups.BATCH + 200
    assert HourlyTotal.objects.get().hits == rollups.BATCH + 200
    assert sum(DailyPartnerTotal.objects.values_list("hits", flat=True)) == rollups.BATCH + 200


@pytest.mark.django_db(transaction=True)
def test_many_at_once_count_each_event_once(link):
    """dashboard.md 3: one at a time, by a lock row"""
    for _ in range(30):
        makers.hit(link, at=NOON)
    done: list[int] = []

    def advance() -> None:
        try:
            done.append(rollups.advance())
        finally:
            connection.close()

    threads = [threading.Thread(target=advance) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [0, 0, 0, 0, 0, 30]
    assert HourlyTotal.objects.get().hits == 30


def test_position_before_the_first_run_is_the_beginning():
    """dashboard.md 3"""
    RollupState.objects.all().delete()
    assert rollups.position().seq == 0


def test_reversal_without_its_confirmation_counts_at_its_own_time(link):
    """dashboard.md 6: the log outlives the rows"""
    confirmation = makers.confirmed(link, at=NOON, amount="1", currency="EUR")
    event = makers.reversed_(confirmation, at=NOON + timedelta(hours=1))
    confirmation.delete()
    assert summing.confirmation_times([event]) == {}
    rollups.advance()
    assert sum(HourlyTotal.objects.values_list("confirmations", flat=True)) == 0
    assert timezone.is_aware(event.occurred_at)
