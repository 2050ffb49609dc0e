"""When a reader that does not keep its part is ended, by a clock of the test's own."""

from __future__ import annotations

import pytest

from livereferrals.exceptions import FeedError
from livereferrals.streaming.duties import Duties

pytestmark = pytest.mark.once


@pytest.fixture
def duties() -> Duties:
    """What is owed to a reader that connected at 0."""
    return Duties(now=0, heartbeat_s=20, age_s=1000, silence_timeout_s=90, ack_timeout_s=60)


def said_at(duties: Duties, now: float) -> tuple[str, str] | None:
    """Return code and message of the end, if this is it."""
    try:
        duties.check(now, retry_after_s=5)
    except FeedError as problem:
        return problem.code, str(problem)
    return None


def test_reader_that_speaks_and_acknowledges_nothing_is_ended(duties: Duties) -> None:
    """feed-40: from when its window was full first, whatever it says besides"""
    for now in (10, 30):
        duties.note_full(now)
    duties.note_heard(65)
    assert said_at(duties, 69) is None
    assert said_at(duties, 70) == ("slow_consumer", "Nothing acknowledged for 60 s.")


def test_reader_that_acknowledges_late_goes_on(duties: Duties) -> None:
    """feed-40: and has as long again for the next window"""
    duties.note_full(10)
    duties.note_heard(69)
    assert duties.note_freed()
    assert not duties.note_freed()
    assert said_at(duties, 100) is None
    duties.note_full(110)
    duties.note_heard(120)
    assert (said_at(duties, 169), said_at(duties, 170)) == (None, ("slow_consumer", "Nothing acknowledged for 60 s."))


def test_reader_that_says_nothing_is_ended(duties: Duties) -> None:
    """feed-40: also with room in its window"""
    duties.note_heard(5)
    assert (said_at(duties, 94), said_at(duties, 95)) == (None, ("slow_consumer", "Nothing heard for 90 s."))


def test_old_connection_is_asked_to_come_again(duties: Duties) -> None:
    """feed-48: however well it keeps up"""
    duties.note_heard(999)
    assert (said_at(duties, 999), said_at(duties, 1000)) == (
        None,
        ("max_age", "This connection is old; connect again."),
    )


def test_it_is_looked_when_the_first_of_them_is_due(duties: Duties) -> None:
    """feed-43: so that none of them needs a timer of its own"""
    assert duties.next_at() == 20
    duties.note_sent(15)
    assert (duties.owes_heartbeat(34), duties.owes_heartbeat(35), duties.next_at()) == (False, True, 35)
    duties.note_sent(200)
    duties.note_heard(200)
    duties.note_full(150)
    assert duties.next_at() == 210
