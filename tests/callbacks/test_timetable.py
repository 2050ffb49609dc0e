"""When a worker looks around."""

from __future__ import annotations

import pytest

from livereferrals.callbacks.timetable import LOOKS_SHARE, MOST_DUES, POLL_S, SHORTEST_POLL_S, Timetable

pytestmark = pytest.mark.once

BEGAN = 100.0


def looked(*, took: float = 0.0) -> Timetable:
    """Return the timetable of a worker whose last look began at `BEGAN`."""
    timetable = Timetable()
    timetable.begin(now=BEGAN)
    timetable.end(began=BEGAN, now=BEGAN + took)
    return timetable


def test_worker_looks_at_once_and_then_once_in_a_poll() -> None:
    assert Timetable().next_at <= BEGAN
    assert looked().next_at == BEGAN + POLL_S


def test_worker_looks_when_the_first_retry_is_due() -> None:
    timetable = looked()
    timetable.remember([BEGAN + 0.7, BEGAN + 0.4])
    assert timetable.next_at == BEGAN + 0.4
    timetable.begin(now=BEGAN + 0.5)
    timetable.end(began=BEGAN + 0.5, now=BEGAN + 0.5)
    assert timetable.next_at == BEGAN + 0.7


def test_one_look_serves_the_hints_of_a_while() -> None:
    timetable = looked(took=0.1)
    timetable.hint(is_busy=False)
    assert timetable.next_at == BEGAN + SHORTEST_POLL_S


def test_hints_keep_a_busy_worker_from_its_calls_for_a_small_part_of_its_time() -> None:
    timetable = looked(took=0.1)
    timetable.hint(is_busy=True)
    assert timetable.next_at == pytest.approx(BEGAN + LOOKS_SHARE * 0.1)


def test_hint_puts_no_look_off() -> None:
    timetable = looked(took=1.0)
    timetable.hint(is_busy=True)
    assert timetable.next_at == BEGAN + POLL_S


def test_look_that_failed_is_made_again() -> None:
    timetable = looked()
    timetable.begin(now=BEGAN + POLL_S)
    assert timetable.next_at == BEGAN + POLL_S


def test_retries_that_are_remembered_are_bounded() -> None:
    timetable = looked()
    timetable.remember(BEGAN + 0.5 for _ in range(MOST_DUES))
    timetable.remember([BEGAN + 0.25])
    assert timetable.next_at == BEGAN + 0.5
