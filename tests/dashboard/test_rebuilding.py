"""Comparing the totals with the log, and making them anew from it."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from livereferrals.dashboard import rollups
from livereferrals.dashboard.models import DailyLinkTotal, DailyPartnerTotal, HourlyPartnerTotal, HourlyTotal
from livereferrals.events import log, retention
from livereferrals.events.models import Event
from tests.dashboard import makers
from tests.factories import make_link

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.django_db
TABLES = tuple(rollups.PLACES)


def rollup(*arguments: str) -> str:
    out = StringIO()
    call_command("livereferrals", "rollup", *arguments, stdout=out)
    return out.getvalue()


def totals() -> list[list[dict[str, Any]]]:
    found = []
    for model in TABLES:
        rows = model._default_manager.values()
        found.append(sorted(({k: v for k, v in row.items() if k != "id"} for row in rows), key=str))
    return found


def make_story(days_ago: int = 0) -> None:
    """Hits, a claim, a confirmation and a reversal, of some days ago, numbered then."""
    at = timezone.now() - timedelta(days=days_ago)
    link = make_link()
    makers.hit(link, at=at)
    makers.claim(link, at=at)
    confirmation = makers.confirmed(link, at=at, amount="12.50", currency="EUR")
    makers.reversed_(confirmation, at=at, amount="2.50", partial=True)
    makers.hit(make_link(owner="house"), at=at)
    Event.objects.filter(occurred_at=at).update(numbered_at=at)


def test_command_brings_totals_up_to_date_and_finds_them_right() -> None:
    """O-05"""
    make_story()
    assert rollup() == "5 events were added to the totals.\n"
    assert rollup("--check") == "The totals are what the event log says.\n"


WRONG: dict[str, Callable[[], object]] = {
    "too much": lambda: HourlyTotal.objects.filter(trigger="").update(hits=7),
    "gone": lambda: DailyLinkTotal.objects.all().delete(),
    "of nobody": lambda: DailyPartnerTotal.objects.create(partner="nobody00", day=timezone.localdate(), hits=3),
    "of the hour": lambda: HourlyPartnerTotal.objects.update(amount_micros=1),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_totals_are_found_and_made_anew(case: str) -> None:
    """O-05: afterwards they equal the live ones"""
    make_story()
    rollup()
    right = totals()
    WRONG[case]()
    assert totals() != right
    wrong = totals()
    with pytest.raises(CommandError, match="differ from the event log"):
        rollup("--check")
    assert totals() == wrong  # it only compares
    assert "totals were made anew" in rollup("--rebuild")
    assert totals() == right
    rollup("--check")


def test_what_the_log_has_forgotten_stays_as_it_is() -> None:
    """O-05: older ones stay as they are, and younger ones are still compared"""
    make_story(days_ago=20)
    make_story(days_ago=3)
    make_story()
    rollup()
    list(retention.prune(before=timezone.now() - timedelta(days=7), upto=10**6))
    assert log.bounds().oldest == 5
    right = totals()
    rollup("--check")
    HourlyTotal.objects.filter(starts_at__gte=timezone.now() - timedelta(days=1)).update(hits=9)
    with pytest.raises(CommandError):
        rollup("--check")
    rollup("--rebuild")
    assert totals() == right


def test_reversal_of_what_is_forgotten_changes_nothing_in_a_comparison() -> None:
    """O-05: it lowers a day that the log does not reach any more"""
    link = make_link()
    long_ago = timezone.now() - timedelta(days=20)
    confirmation = makers.confirmed(link, at=long_ago, amount="1", currency="EUR")
    Event.objects.update(numbered_at=long_ago)
    rollup()
    list(retention.prune(before=timezone.now() - timedelta(days=7), upto=10**6))
    makers.reversed_(confirmation, at=timezone.now())
    Event.objects.update(numbered_at=timezone.now() - timedelta(days=2))
    rollup()
    right = totals()
    rollup("--check")
    rollup("--rebuild")
    assert totals() == right


def test_empty_log_has_nothing_to_say() -> None:
    """O-05"""
    make_story(days_ago=20)
    rollup()
    right = totals()
    list(retention.prune(before=timezone.now(), upto=10**6))
    assert not Event.objects.exists()
    assert rollup("--check")
    rollup("--rebuild")
    assert totals() == right


def test_log_that_is_pruned_meanwhile_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """O-05: no total is made from half of the events"""
    make_story()
    rollup()
    right, read = totals(), log.read

    def read_late(after: int, **options: Any) -> list[Event]:
        if after < 2:
            list(retention.prune(before=timezone.now() + timedelta(days=1), upto=2))
        return read(after, **options)

    monkeypatch.setattr(log, "read", read_late)
    with pytest.raises(CommandError, match="pruned while it was read"):
        rollup("--rebuild")
    assert totals() == right
