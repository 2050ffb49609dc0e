"""The account finds what is lost, doubled or out of order, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.accounting import Answered, Reading, find_faults
from tests.faults.books import Books, ConfirmationRow, DeliveryRow, EventRow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.once


def event(seq: int | None, kind: str, subject: str, partner: str = "acme") -> EventRow:
    return EventRow(id=f"e-{subject}", seq=seq, type=kind, partner=partner, subject=subject)


BOOKS = Books(
    hits={"h1": "v1", "h2": "v2"},
    events=[event(1, "hit", "h1"), event(2, "hit", "h2", partner="other"), event(3, "confirmation", "c1")],
    oldest=0,
    head=3,
    confirmations=[ConfirmationRow(id="c1", trigger="Order paid", reference="A-1", user="ann")],
    owed=[("c1", 7)],
    deliveries=[DeliveryRow(id="d1", confirmation="c1", subscription=7, state="delivered", attempts=2)],
    rows={"hits": 2},
    totals={"hits": 2},
    differences=[],
)


def told(**different: Any) -> Answered:
    """What clients were told where all is well; `v2` was not answered, and one callback came twice."""
    values: dict[str, Any] = {
        "visitors": ["v1"],
        "orders": ["A-1"],
        "readings": [
            Reading(events=[(1, "e-h1"), (2, "e-h2"), (3, "e-c1")]),
            Reading(topic="acme", after=1, events=[(3, "e-c1")]),
        ],
        "calls": [("d1", "{}"), ("d1", "{}")],
    }
    return Answered(**values | different)


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    """L-10: what was done and not answered is no fault, nor is a callback that came twice"""
    assert find_faults(told(), BOOKS) == []


@pytest.mark.parametrize(
    ("answered", "fault"),
    [
        pytest.param(told(visitors=["v1", "v3"]), "of visitor v3 is there 0 times", id="hit-lost"),
        pytest.param(told(visitors=["v1", "v1"]), "v1 was given to 2 browsers", id="visitor-shared"),
        pytest.param(told(orders=["A-1", "A-2"]), "A-2 is confirmed 0 times", id="order-lost"),
        pytest.param(told(registered=["bob"]), "account of bob is confirmed 0 times", id="account-lost"),
        pytest.param(told(calls=[]), "d1 never came", id="callback-lost"),
        pytest.param(told(calls=[("d1", "{}")] * 3), "came 3 times, of which 2", id="callback-too-often"),
        pytest.param(told(calls=[("d1", "{}"), ("d1", "[]")]), "2 different bodies", id="callback-changed"),
        pytest.param(told(calls=[("d1", "{}"), ("d2", "{}")]), "d2 came that nobody owes", id="callback-invented"),
        pytest.param(
            told(readings=[Reading(events=[(1, "e-h1"), (3, "e-c1")])]), "not given 1 events, the first", id="hole"
        ),
        pytest.param(told(readings=[Reading(topic="acme", events=[(1, "e-h1")])]), "not given 1 events", id="behind"),
        pytest.param(
            told(readings=[Reading(topic="acme", events=[(3, "e-c1"), (1, "e-h1")])]), "out of order", id="order"
        ),
        pytest.param(
            told(readings=[Reading(topic="acme", events=[(1, "e-h1"), (3, "e-c1"), (3, "e-c1")])]), "twice", id="twice"
        ),
        pytest.param(
            told(readings=[Reading(topic="acme", events=[(1, "e-h1"), (2, "e-h2"), (3, "e-c1")])]),
            "given 1 events that are not there",
            id="foreign",
        ),
    ],
)
def test_what_clients_were_told_and_is_not_so_is_found(answered: Answered, fault: str) -> None:
    """L-10, feed-18, callback-F32"""
    (found,) = find_faults(answered, BOOKS)
    assert fault in found


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        pytest.param(
            lambda books: replace(books, hits=books.hits | {"h3": "v1"}, events=[*books.events, event(4, "hit", "h3")]),
            "of visitor v1 is there 2 times",
            id="hit-doubled",
        ),
        pytest.param(lambda books: replace(books, hits={"h1": "v1"}), "h2 is not there and has 1 events", id="no-hit"),
        pytest.param(
            lambda books: replace(books, events=[*books.events, event(4, "hit", "h1")]),
            "h1 has 2 events",
            id="told-twice",
        ),
        pytest.param(lambda books: replace(books, events=books.events[:2]), "c1 has 0 events", id="untold"),
        pytest.param(
            lambda books: replace(books, events=[*books.events[:2], replace(books.events[2], seq=2)]),
            "not numbered from 1 to 3",
            id="number-twice",
        ),
        pytest.param(lambda books: replace(books, head=4), "not numbered from 1 to 4", id="number-missing"),
        pytest.param(
            lambda books: replace(books, events=[*books.events, event(None, "claim", "")]),
            "have no number",
            id="waiting",
        ),
        pytest.param(
            lambda books: replace(
                books, confirmations=[*books.confirmations, replace(books.confirmations[0], id="c2")]
            ),
            "A-1 is confirmed 2 times",
            id="order-twice",
        ),
        pytest.param(lambda books: replace(books, deliveries=[]), "owed 1 and has 0 deliveries", id="debt-lost"),
        pytest.param(
            lambda books: replace(books, deliveries=[*books.deliveries, replace(books.deliveries[0], id="d2")]),
            "owed 1 and has 2 deliveries",
            id="debt-doubled",
        ),
        pytest.param(
            lambda books: replace(books, deliveries=[replace(books.deliveries[0], state="dead")]),
            "d1 is dead",
            id="dead",
        ),
        pytest.param(lambda books: replace(books, totals={"hits": 1}), "totals say 1 hits", id="totals"),
        pytest.param(lambda books: replace(books, differences=["hour 9: wrong"]), "hour 9: wrong", id="hours"),
    ],
)
def test_what_is_wrong_in_the_database_is_found(spoil: Callable[[Books], Books], fault: str) -> None:
    """L-10, O-05"""
    assert any(fault in found for found in find_faults(told(), spoil(BOOKS)))


def test_answers_are_kept_for_another_judgement(tmp_path: Path) -> None:
    """L-10"""
    told().write(tmp_path / "answers.json")
    again = Answered.read(tmp_path / "answers.json")
    assert [each.topic for each in again.readings] == [None, "acme"]
    assert find_faults(again, BOOKS) == []
