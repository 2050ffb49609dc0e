"""The dashboard's totals count what was imported, and stay what the log and the import say."""

from __future__ import annotations

from datetime import date, timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from livereferrals import api
from livereferrals.dashboard import rebuilding, rollups
from livereferrals.dashboard.models import DailyLinkTotal, DailyTotal, HourlyTotal, MonthlyLinkTotal, RollupState
from livereferrals.events import sequencer
from livereferrals.tracking.models import Confirmation, ReferralLink
from tests.factories import make_link, make_user
from tests.importing.commands import import_hype
from tests.importing.old_tables import BEGAN, HYPE, create, hype_hit, hype_link

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.django_db
SUMS = ("hits", "visitors", "confirmations")


@pytest.fixture
def hype(db: None) -> None:
    create(HYPE)


def daily(model: Any = DailyTotal, **where: Any) -> list[tuple[Any, ...]]:
    return list(model.objects.filter(**where).order_by("day", "trigger").values_list("day", "trigger", *SUMS))


def test_days_of_the_past_show_what_was_imported(hype: None) -> None:
    """I-12: totals of hours, days and months, by link too, in the zone of the project"""
    bob = make_user()
    link = hype_link()
    hype_hit(link, hit_user_id=bob.pk, confirmed=BEGAN + timedelta(days=2))
    hype_hit(link, hit_user_id=bob.pk, created=BEGAN + timedelta(hours=2))
    hype_hit(link, created=BEGAN + timedelta(hours=13, minutes=30))  # half past midnight in Berlin
    import_hype()
    days = [
        (date(2024, 3, 5), "", 2, 1, 0),
        (date(2024, 3, 6), "", 1, 1, 0),
        (date(2024, 3, 7), "Imported", 0, 0, 1),
    ]
    assert daily() == days
    imported = ReferralLink.objects.get()
    assert daily(DailyLinkTotal, link=imported.pk) == days
    assert sorted(MonthlyLinkTotal.objects.values_list("month", *SUMS)) == [
        (date(2024, 3, 1), 0, 0, 1),
        (date(2024, 3, 1), 3, 2, 0),
    ]
    assert HourlyTotal.objects.count() == 4


def test_second_run_counts_nothing_twice(hype: None) -> None:
    """I-02"""
    hype_hit(hype_link(), confirmed=BEGAN + timedelta(days=2))
    import_hype()
    before = daily()
    import_hype()
    assert daily() == before


def test_dry_run_counts_nothing(hype: None) -> None:
    """I-03"""
    hype_hit(hype_link())
    import_hype("--dry-run")
    assert daily() == []
    assert not RollupState.objects.exists()


def test_totals_are_neither_called_wrong_nor_made_anew_without_the_import(hype: None) -> None:
    """I-12, O-05: the log knows nothing of the time before the newest imported row"""
    hype_hit(hype_link(), confirmed=BEGAN + timedelta(days=2))
    api.record_hit(make_link())
    sequencer.number_events()
    import_hype()
    before = daily()
    call_command("livereferrals", "rollup", "--check", stdout=StringIO())
    assert rebuilding.rebuild()
    assert daily() == before
    today = daily(day=timezone.localdate())
    DailyTotal.objects.filter(day=timezone.localdate()).update(hits=99)
    assert [found.key[0] for found in rebuilding.check()] == [timezone.localdate()]
    rebuilding.rebuild()
    assert daily(day=timezone.localdate()) == today


def test_confirmation_that_was_imported_can_be_taken_back(hype: None) -> None:
    """I-08, N-08: the reversal is an event of its own, and lowers the total of the confirmation's day"""
    hype_hit(hype_link(), confirmed=BEGAN + timedelta(days=2))
    import_hype()
    assert api.reverse(Confirmation.objects.get(), reason="fraud").created
    sequencer.number_events()
    rollups.advance()
    assert daily(day=date(2024, 3, 7)) == [(date(2024, 3, 7), "Imported", 0, 0, 0)]
    assert rebuilding.check() == []


def test_imported_totals_outlive_a_change_of_the_time_zone(hype: None, settings: Settings) -> None:
    """I-12: hours of another zone are better than none"""
    hype_hit(hype_link())
    import_hype()
    before = daily()
    settings.TIME_ZONE = "Asia/Tokyo"
    rollups.advance()
    assert daily() == before
    assert RollupState.objects.get().time_zone == "Asia/Tokyo"
