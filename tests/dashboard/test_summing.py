from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from livereferrals.dashboard import deltas, summing
from livereferrals.events import log, sequencer
from livereferrals.events.models import Event, EventType
from livereferrals.events.voiding import void
from tests.factories import make_entry, make_link, make_partner

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 21, 11, 20, tzinfo=UTC)


def written(entries: list[log.Entry]) -> list[Event]:
    """Write these, have them numbered, and return them as they are in the log."""
    log.append_all(entries)
    while sequencer.number_events():
        pass
    return list(Event.objects.order_by("seq"))


def whole(found: list[deltas.Delta]) -> dict[tuple[object, ...], deltas.Sums]:
    """Return what there is for each hour and owner, as it can be compared."""
    return {(each.moment, each.partner, each.link, each.trigger, each.currency): each.sums for each in found}


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe"])
def test_database_sums_up_as_the_rule_for_single_events_does(zone):
    """dashboard.md 10: one rule for what an event adds, whoever adds it up"""
    chance = random.Random(7)  # noqa: S311 - the same choices in each run
    links = [make_link(), make_link(), make_link(partner=make_partner())]
    entries = [
        make_entry(
            partner=link.partner,
            link=link.pk,
            occurred_at=NOON + timedelta(seconds=chance.choice([0, 59.999999, 60, 2399, 2400, 86_400, 13_000_000])),
            type=kind,
            **({"data": {"repeat": chance.choice([True, False])}} if kind == EventType.HIT else {}),
        )
        for kind in [EventType.HIT] * 80 + [EventType.CLAIM] * 5
        for link in [chance.choice(links)]
    ]
    with timezone.override(zone), pytest.MonkeyPatch.context() as patch:
        patch.setattr(timezone, "get_default_timezone", lambda: ZoneInfo(zone))
        events = written(entries)
        void(events[3:9], using=DEFAULT_DB_ALIAS)
        events = list(Event.objects.order_by("seq"))
        one_by_one = whole(summing.of(events[10:70], using=DEFAULT_DB_ALIAS))
        at_once = whole(summing.between(10, 70, using=DEFAULT_DB_ALIAS))
        assert at_once == one_by_one
        everything = whole(summing.between(0, len(events), using=DEFAULT_DB_ALIAS))
        assert everything == whole(summing.of(events, using=DEFAULT_DB_ALIAS))
    assert sum(sums.hits for sums in everything.values()) == 80 - sum(
        event.type == EventType.HIT for event in events[3:9]
    )


def test_hits_are_not_read_one_by_one(django_assert_num_queries):
    """dashboard.md 10: two questions for any number of hits"""
    link = make_link()
    written([make_entry(partner=link.partner, link=link.pk, occurred_at=NOON) for _ in range(50)])
    with django_assert_num_queries(2) as asked:
        (found,) = summing.between(0, 50, using=DEFAULT_DB_ALIAS)
    assert found.sums == deltas.Sums(hits=50, visitors=50)
    assert any("GROUP BY" in query["sql"] for query in asked.captured_queries)
