"""Buckets and windows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livereferrals.exceptions import FeedError
from livereferrals.streaming.pacing import UNPROVED_BYTES, Bucket, Intake, Paced, Window


def test_bucket_gives_its_burst_and_then_its_rate() -> None:
    """feed-41"""
    bucket = Bucket(rate=10, burst=40, now=0)
    for _ in range(4):
        assert bucket.wait(10, now=0) == 0
        bucket.take(10, now=0)
    assert bucket.wait(10, now=0) == 1
    assert bucket.wait(10, now=0.5) == 0.5
    assert bucket.wait(10, now=1) == 0


def test_what_is_larger_than_the_burst_goes_when_the_bucket_is_full() -> None:
    """feed-41"""
    bucket = Bucket(rate=10, burst=40, now=0)
    assert bucket.wait(100, now=0) == 0
    bucket.take(100, now=0)
    assert bucket.wait(1, now=0) == 6.1
    assert bucket.wait(100, now=10) == 0


def test_acknowledgement_of_what_was_sent_is_no_message_too_many() -> None:
    """feed-45: one for each event and each cursor; then they count like all that a client says"""
    intake = Intake(rate=1, burst=2, most_acks=50, now=0)
    for _ in range(30):
        intake.take(is_ack=True, acks_earned=30, now=0)
    for _ in range(2):
        intake.take(is_ack=True, acks_earned=30, now=0)
    with pytest.raises(FeedError, match="Too many"):
        intake.take(is_ack=True, acks_earned=30, now=0)
    intake.take(is_ack=True, acks_earned=31, now=0)
    with pytest.raises(FeedError, match="Too many"):
        intake.take(is_ack=False, acks_earned=40, now=0)


def test_acknowledgements_are_not_saved_up_for_a_flood() -> None:
    """feed-45"""
    intake = Intake(rate=1, burst=2, most_acks=50, now=0)
    for _ in range(52):
        intake.take(is_ack=True, acks_earned=1_000_000, now=0)
    with pytest.raises(FeedError, match="Too many"):
        intake.take(is_ack=True, acks_earned=1_000_000, now=0)


def test_window_is_full_by_events_or_by_bytes() -> None:
    """feed-39"""
    window = Window(max_events=10, max_bytes=100)
    assert window.fits(events=50, size=500), "an empty window takes any frame"
    window.add(cursor=5, events=5, size=50)
    assert window.fits(events=5, size=50)
    assert not window.fits(events=6, size=1)
    assert not window.fits(events=1, size=51)


def test_acks_are_cumulative() -> None:
    """feed-42"""
    window = Window(max_events=10, max_bytes=100)
    for cursor in (3, 6, 9):
        window.add(cursor=cursor, events=3, size=30)
    assert not window.acknowledge(2)
    assert window.acknowledge(7)
    assert (window.events, window.bytes) == (3, 30)
    assert not window.acknowledge(6)


@given(st.lists(st.integers(min_value=1, max_value=12), max_size=50), st.data())
def test_window_never_holds_more_than_its_size(frames: list[int], data: st.DataObject) -> None:
    """feed-39"""
    window = Window(max_events=12, max_bytes=10**6)
    cursor = 0
    for count in frames:
        while not window.fits(events=count, size=1):
            window.acknowledge(data.draw(st.integers(min_value=0, max_value=cursor)))
            if data.draw(st.booleans()):
                window.acknowledge(cursor)
        cursor += count
        window.add(cursor=cursor, events=count, size=1)
        assert window.events <= 12


def test_reader_that_speaks_must_prove_that_it_reads() -> None:
    """feed-41: daphne pings only whoever is silent, so that talk must not keep a connection that is not read"""
    silent, talking = (Paced(rate=10 * UNPROVED_BYTES, now=0) for _ in range(2))
    for second in range(10):
        talking.hear(second)
        silent.add(cursor=second, events=1, size=UNPROVED_BYTES // 5, now=second)
        if second < 5:
            talking.add(cursor=second, events=1, size=UNPROVED_BYTES // 5, now=second)
    with pytest.raises(FeedError) as ended:
        talking.add(cursor=5, events=1, size=UNPROVED_BYTES // 5, now=5)
    assert ended.value.code == "max_age"
