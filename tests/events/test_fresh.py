"""What has just been numbered is at hand for those in the process who follow the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.db import transaction

from livereferrals.events import log, sequencer
from livereferrals.events.fresh import KEPT, Batch, Fresh, fresh
from livereferrals.events.logged import Logged
from livereferrals.events.models import Event
from tests.factories import make_entry

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _wanted() -> Iterator[None]:
    fresh.want()
    yield
    fresh.unwant()


def test_fresh_events_are_the_very_ones_of_the_log() -> None:
    """feed-18 Whoever takes them at hand, or reads the log, gets equal values of equal types."""
    before = log.bounds()
    log.append_all([make_entry(data={"n": n, "text": "ä"}, partner="AAAAAAAA", user="7") for n in range(3)])
    sequencer.number_events()
    events = [event for batch in fresh.after(before, position=before.head) for event in batch.events]
    read = log.read(before.head, limit=10)
    assert len(read) == 3
    assert events == [Logged._make(getattr(row, name) for name in Logged._fields) for row in read]
    assert [list(map(type, event)) for event in events] == [
        [type(getattr(row, name)) for name in Logged._fields] for row in read
    ]


def test_numbering_that_is_rolled_back_leaves_nothing_at_hand() -> None:
    """feed-20 What is not committed is never seen."""
    before = log.bounds()
    Event.objects.bulk_create([Event(type="hit", occurred_at="2026-11-21T09:00:00Z")])
    with transaction.atomic():
        assert sequencer.number_events() == 1
        transaction.set_rollback(True)
    assert fresh.after(before, position=before.head) == []


def batch(before: int, count: int = 1, **values: Any) -> Batch:
    given: dict[str, Any] = {
        "epoch": "k3f9",
        "oldest": 0,
        "revision": 0,
        "house_key": "00",
        "events": [None] * count,
    } | values
    return Batch(before=before, **given)


BOUNDS = log.Bounds(epoch="k3f9", head=5, oldest=0)


def test_only_what_follows_without_a_gap_is_given() -> None:
    """feed-18 Numbers that another process gave in between are not passed over: the log is asked."""
    own = Fresh()
    own.want()
    for one in (batch(5, 2), batch(7), batch(9)):
        own.keep(one)
    assert [one.head for one in own.after(BOUNDS, position=5)] == [7, 8]
    assert own.after(BOUNDS, position=6) == []


@pytest.mark.parametrize(
    "change", [{"epoch": "other"}, {"oldest": -1}, {"revision": -1}], ids=lambda one: next(iter(one))
)
def test_log_that_was_another_then_is_not_followed(change: dict[str, Any]) -> None:
    """feed-31 Renumbered, pruned or changed since: the log is asked."""
    own = Fresh()
    own.want()
    own.keep(batch(5, **change))
    assert own.after(BOUNDS, position=5) == []


def test_few_batches_are_kept_and_none_that_nobody_wants() -> None:
    """feed-40 What is at hand has a bound."""
    own = Fresh()
    own.keep(batch(5))
    assert own.after(BOUNDS, position=5) == []
    own.want()
    for place in range(KEPT + 1):
        own.keep(batch(5 + place))
    assert own.after(BOUNDS, position=5) == []
    assert len(own.after(BOUNDS, position=6)) == KEPT
    own.unwant()
    own.want()
    assert own.after(BOUNDS, position=6) == []
