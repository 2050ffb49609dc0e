"""What is forgotten when, whose turn it is, and the thread that does it."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone

from livereferrals import housekeeping
from livereferrals.callbacks.models import Delivery, DeliveryAttempt
from livereferrals.dashboard.models import HourlyTotal
from livereferrals.events import log
from livereferrals.events.models import Chore, Event, EventLog
from livereferrals.housekeeping import forgetting, keeper, turns
from livereferrals.tracking.models import ReferralHit, Visitor
from tests.factories import make_confirmation, make_delivery, make_event, make_hit, make_link, make_user, make_visitor
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

pytestmark = pytest.mark.django_db
PERSONAL = {"ip": "203.0.113.0", "user_agent": "Browser", "referer": "https://a.example/", "entry_url": "/sale?x=1#y"}
LONG_AGO = timedelta(days=401)


def prune(*kinds: str, dry_run: bool = False) -> str:
    out = StringIO()
    call_command("livereferrals", "prune", *kinds, "--pause", "0", *(["--dry-run"] if dry_run else []), stdout=out)
    return out.getvalue()


def make_old_visitor(**overrides: object) -> Visitor:
    visitor = make_visitor(**overrides)
    Visitor.objects.filter(pk=visitor.pk).update(created_at=timezone.now() - LONG_AGO)
    return visitor


def make_everything_old() -> None:
    now = timezone.now()
    make_event()
    Event.objects.update(numbered_at=now - timedelta(days=8))
    make_hit(visitor=make_old_visitor(), created_at=now - LONG_AGO, **PERSONAL)
    attempt = {"started_at": now - timedelta(days=31), "outcome": "ok", "number": 1}
    DeliveryAttempt.objects.create(delivery=make_delivery(), **attempt)
    make_delivery(state="dead", finished_at=now - timedelta(days=181))


def test_dry_run_says_how_much_it_would_be_and_changes_nothing() -> None:
    """O-04"""
    make_everything_old()
    HourlyTotal.objects.all().delete()
    before = (Event.objects.count(), Visitor.objects.count(), Delivery.objects.count(), log.bounds())
    out = prune(dry_run=True)
    assert [line.split()[:2] for line in out.splitlines()] == [
        ["events", "0"],  # they are not in the totals yet
        ["hits", "1"],
        ["visitors", "1"],
        ["attempts", "1"],
        ["deliveries", "1"],
    ]
    assert (Event.objects.count(), Visitor.objects.count(), Delivery.objects.count(), log.bounds()) == before


def test_prune_forgets_each_kind_and_says_how_much() -> None:
    """O-04 Y-02 callbacks.md 2: attempts 30 days, deliveries 180"""
    make_everything_old()
    out = prune()
    assert [line.split()[:2] for line in out.splitlines()] == [[kind.name, "1"] for kind in forgetting.KINDS]
    assert not Event.objects.exists()
    assert log.bounds().oldest == 1
    assert sum(HourlyTotal.objects.values_list("hits", flat=True)) == 1  # what the dashboard shows stays
    assert not DeliveryAttempt.objects.exists()
    assert Delivery.objects.count() == 1
    assert [line.split()[1] for line in prune().splitlines()] == ["0"] * 5


UNDELIVERED = {"waiting": {}, "on hold": {"due_at": timezone.now() - timedelta(days=300)}}


@pytest.mark.parametrize("case", UNDELIVERED)
def test_what_is_somebodys_money_stays_however_old(case: str) -> None:
    """O-04: confirmations, their hit, and deliveries that have not been made"""
    long_ago = timezone.now() - timedelta(days=2000)
    delivery = make_delivery(created_at=long_ago, **UNDELIVERED[case])
    confirmation = delivery.confirmation
    assert confirmation is not None
    type(confirmation).objects.update(occurred_at=long_ago, created_at=long_ago)
    ReferralHit.objects.update(created_at=long_ago)
    Visitor.objects.update(created_at=long_ago)
    prune()
    confirmation.refresh_from_db()
    assert confirmation.visitor is not None
    assert confirmation.hit.visitor == confirmation.visitor
    assert Delivery.objects.get().state == "waiting"


def test_only_the_named_kinds() -> None:
    """O-04"""
    make_everything_old()
    assert prune("attempts").split()[:2] == ["attempts", "1"]
    assert Event.objects.exists()
    with pytest.raises(CommandError, match="no kind 'people'; known are events, hits"):
        prune("people")


def test_hits_lose_what_is_personal_and_stay() -> None:
    """Y-02"""
    hit = make_hit(created_at=timezone.now() - LONG_AGO, click_id="c1", **PERSONAL)
    young = make_hit(created_at=timezone.now() - timedelta(days=399), **PERSONAL)
    prune("hits")
    hit.refresh_from_db()
    assert (hit.ip, hit.user_agent, hit.referer, hit.entry_url) == (None, "", "", "/sale")
    assert hit.click_id == "c1"
    young.refresh_from_db()
    assert young.user_agent == "Browser"


def test_many_hits_are_emptied_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Y-02: bounded memory, also where many are of one moment"""
    monkeypatch.setattr("livereferrals.tracking.forgetting.CHUNK", 3)
    link, moment = make_link(), timezone.now() - LONG_AGO
    for _ in range(8):
        make_hit(link=link, created_at=moment, **PERSONAL)
    assert prune("hits").split()[1] == "8"
    assert not ReferralHit.objects.exclude(user_agent="").exists()


STAYS: dict[str, Callable[[], object]] = {
    "claimed": lambda: make_old_visitor(user=make_user()),
    "confirmed": lambda: make_confirmation(hit=make_hit(visitor=make_old_visitor())).visitor,
    "was here since": lambda: make_hit(visitor=make_old_visitor()).visitor,
    "young": make_visitor,
}


@pytest.mark.parametrize("case", STAYS)
def test_visitor_who_is_somebody_stays(case: str) -> None:
    """Y-02 O-04: unclaimed visitors without confirmation go"""
    STAYS[case]()
    assert prune("visitors").split()[1] == "0"
    assert Visitor.objects.count() == 1


def test_removed_visitors_leave_their_hits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Y-02: counts on screens stay"""
    monkeypatch.setattr("livereferrals.tracking.forgetting.CHUNK", 2)
    for _ in range(5):
        make_hit(visitor=make_old_visitor(), created_at=timezone.now() - LONG_AGO)
    assert prune("visitors").split()[1] == "5"
    assert (Visitor.objects.count(), ReferralHit.objects.filter(visitor=None).count()) == (0, 5)


def test_retention_of_none_keeps_people_for_ever(settings: Settings) -> None:
    """Y-02"""
    settings.LIVEREFERRALS = {"RETENTION": None}
    make_everything_old()
    assert prune("hits", "visitors", dry_run=True).split()[1] == "0"
    prune("hits", "visitors")
    assert (Visitor.objects.count() > 0, ReferralHit.objects.filter(user_agent="Browser").count()) == (True, 1)


def test_chore_is_one_processs_at_a_time() -> None:
    """design.md 6: one at a time, by a lock"""
    now, hour = timezone.now(), timedelta(hours=1)
    assert turns.take("events", every=hour, holder="one", now=now)
    assert not turns.take("events", every=hour, holder="two", now=now)
    assert turns.take("hits", every=hour, holder="two", now=now)
    assert turns.keep("events", holder="one", now=now)
    assert not turns.keep("events", holder="two", now=now)
    turns.end("events", holder="one", now=now)
    assert not turns.take("events", every=hour, holder="two", now=now + timedelta(minutes=59))
    assert turns.take("events", every=hour, holder="two", now=now + hour)


def test_chore_of_a_dead_process_is_taken_over() -> None:
    """design.md 6: housekeeping"""
    now, hour = timezone.now(), timedelta(hours=1)
    assert turns.take("events", every=hour, holder="dead", now=now)
    later = now + turns.HOLD
    assert turns.take("events", every=hour, holder="two", now=later)
    assert not turns.keep("events", holder="dead", now=later)
    turns.end("events", holder="dead", now=later)
    assert Chore.objects.get(pk="events").holder == "two"


def test_clock_that_jumped_back_does_not_stop_the_house() -> None:
    """design.md 6: housekeeping"""
    now, hour = timezone.now(), timedelta(hours=1)
    Chore.objects.create(name="events", done_at=now + timedelta(days=300))
    assert turns.take("events", every=hour, holder="one", now=now)
    Chore.objects.create(name="hits", holder="dead", held_until=now + timedelta(days=300))
    assert turns.take("hits", every=hour, holder="one", now=now)


@pytest.mark.django_db(transaction=True)
def test_thread_keeps_house_and_ends_when_told() -> None:
    """design.md 6: totals follow the log, and what is old goes, by themselves"""
    make_everything_old()
    thread = housekeeping.Housekeeper(first_look_s=0)
    thread.start()
    try:
        wait_until(lambda: Chore.objects.filter(done_at__isnull=False).count() == len(forgetting.KINDS))
    finally:
        thread.stop()
    assert not thread.is_alive
    assert not Event.objects.exists()
    assert EventLog.objects.get().oldest == 1
    assert sum(HourlyTotal.objects.values_list("hits", flat=True)) == 1
    assert not Chore.objects.exclude(holder="").exists()


@pytest.mark.django_db(transaction=True)
def test_thread_outlives_an_error_and_says_it_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """design.md 6: housekeeping"""
    monkeypatch.setattr(keeper, "BACK_OFF_S", 0.05)
    broken = forgetting.Kind(name="broken", does="", count=lambda _: 0, prune=lambda _: 1 / 0)  # type: ignore[arg-type, return-value]
    monkeypatch.setattr(keeper, "KINDS", (broken,))
    monkeypatch.setattr(keeper, "LOOK_S", 0.05)
    thread = housekeeping.Housekeeper(first_look_s=0)
    thread.start()
    try:
        wait_until(lambda: "Housekeeping failed" in caplog.text)
        make_event()
        wait_until(HourlyTotal.objects.exists, what="Totals")
    finally:
        thread.stop()
        connections.close_all()
    assert caplog.text.count("ZeroDivisionError: division by zero") >= 1
    assert Chore.objects.get(pk="broken").holder == ""


def test_no_housekeeper_where_deliveries_are_made_elsewhere(settings: Settings) -> None:
    """design.md 6: housekeeping"""
    settings.LIVEREFERRALS = {"CALLBACKS": {"WORKER": "external"}}
    housekeeping.start_embedded()
    assert keeper._embedded.current is None


@pytest.mark.django_db(transaction=True)
def test_embedded_housekeeper_is_one_for_a_process(settings: Settings) -> None:
    """design.md 6: housekeeping"""
    settings.LIVEREFERRALS = {"CALLBACKS": {"WORKER": "embedded"}}
    housekeeping.start_embedded()
    try:
        first = keeper._embedded.current
        housekeeping.start_embedded()
        assert first is not None
        assert keeper._embedded.current is first
        assert first.is_alive
    finally:
        housekeeping.stop_embedded()
    assert not first.is_alive
