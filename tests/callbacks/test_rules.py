"""The pure rules: schedule, outcomes, an endpoint's health, the steps of a delivery, headers, masking."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livereferrals import conf
from livereferrals.callbacks import headers, health, outcomes, schedule, transitions
from livereferrals.callbacks.health import Health
from livereferrals.callbacks.models import DeliveryState, EndReason
from livereferrals.callbacks.outcomes import Outcome

pytestmark = pytest.mark.once

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
WAITS = [timedelta(seconds=10), timedelta(seconds=30)]


def make_health(**overrides: Any) -> Health:
    values: dict[str, Any] = {
        "state": "active",
        "state_reason": "",
        "gate_until": None,
        "gate_reason": "",
        "consecutive_failures": 0,
        "failing_since": None,
        "failed_attempts_since": 0,
        "last_success_at": None,
        "last_failure_at": None,
    }
    return Health(**values | overrides)


# --- schedule ---------------------------------------------------------------------------------------------------------------


def test_default_schedule_has_twelve_attempts_in_about_three_days(settings: Any) -> None:
    """callback-F20: 12 attempts in about 72 hours."""
    settings.LIVEREFERRALS = {}
    waits = conf.callbacks.RETRY_SCHEDULE
    assert len(waits) + 1 == 12
    assert timedelta(hours=70) < sum(waits, timedelta()) < timedelta(hours=75)


@given(chance=st.floats(min_value=0, max_value=1), tries=st.integers(min_value=1, max_value=2))
def test_wait_is_the_scheduled_one_give_or_take_a_fifth(chance: float, tries: int) -> None:
    """callback-F20: each wait is multiplied by 0.8 to 1.2."""
    wait = schedule.wait_after(tries, waits=WAITS, chance=chance)
    assert wait is not None
    assert 0.8 * WAITS[tries - 1] - timedelta(milliseconds=1) <= wait <= 1.2 * WAITS[tries - 1]


def test_after_the_last_wait_there_is_none() -> None:
    """callback-F20: one more attempt than waits."""
    assert schedule.wait_after(3, waits=WAITS, chance=0.5) is None


def test_breaker_waits_double_up_to_five_minutes() -> None:
    """callback-F18: 5 s at the fifth failure in a row, doubling to 5 minutes."""
    waits = [schedule.breaker_wait(failures) for failures in (4, 5, 6, 7, 11, 4_000_000)]
    seconds = [wait and wait.total_seconds() for wait in waits]
    assert seconds == [None, 5, 10, 20, 300, 300]


# --- outcomes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statuses", "outcome"),
    [
        ((200, 201, 202, 204, 205, 206, 226, 299), Outcome.OK),
        ((300, 301, 302, 303, 304, 307, 308), Outcome.REDIRECT),
        ((400, 401, 403, 404, 405, 408, 409, 413, 422, 425, 499), Outcome.CLIENT_ERROR),
        ((410,), Outcome.GONE),
        ((429,), Outcome.THROTTLED),
        ((500, 502, 503, 504, 599, 600, 999), Outcome.SERVER_ERROR),
        ((101,), Outcome.PROTOCOL),
    ],
)
def test_class_of_the_status_decides(statuses: tuple[int, ...], outcome: Outcome) -> None:
    """callback-F11, callback-F12, callback-F18: what each status means."""
    assert {outcomes.of_status(status, retry_after=None) for status in statuses} == {outcome}


def test_503_with_retry_after_is_a_request_for_a_pause() -> None:
    """callback-F18: without the header it is a server error like any other."""
    assert outcomes.of_status(503, retry_after=timedelta(seconds=1)) is Outcome.THROTTLED


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3),
        (" 7 ", 7),
        ("0", 0),
        ("99999999999", 86400),
        ("9" * 5000, 86400),
        ("-5", None),
        ("1e9", None),
        ("1.5", None),
        ("٣", None),
        ("tomorrow", None),
        ("", None),
        ("Sat, 21 Nov 2026 12:00:05 GMT", 5),
        ("Sat, 21 Nov 2026 11:59:55 GMT", None),
        ("Sat, 21 Nov 2099 12:00:05 GMT", 86400),
    ],
)
def test_retry_after_is_clamped_or_ignored(value: str, seconds: int | None) -> None:
    """callback-S20: no value of the header raises, or closes the gate for more than a day."""
    found = outcomes.retry_after(value, date="", now=NOW)
    assert found == (None if seconds is None else timedelta(seconds=seconds))


def test_retry_after_date_is_measured_against_the_servers_own_clock() -> None:
    """callback-S20: a server whose clock is 2 h wrong and consistent means the same 5 seconds."""
    late, date = "Sat, 21 Nov 2026 14:00:05 GMT", "Sat, 21 Nov 2026 14:00:00 GMT"
    assert outcomes.retry_after(late, date=date, now=NOW) == timedelta(seconds=5)
    assert outcomes.retry_after(late, date="nonsense", now=NOW) == timedelta(hours=2, seconds=5)


# --- health ---------------------------------------------------------------------------------------------------------------


def test_fifth_failure_in_a_row_closes_the_gate() -> None:
    """callback-F18: for 5 s; what was under way then does not close it for longer."""
    current = make_health()
    for _ in range(4):
        current = health.after(current, Outcome.SERVER_ERROR, pause=None, now=NOW)
    assert not current.is_gated(NOW)
    current = health.after(current, Outcome.TIMEOUT, pause=None, now=NOW)
    assert current.gate_until == NOW + timedelta(seconds=5)
    for _ in range(3):
        current = health.after(current, Outcome.SERVER_ERROR, pause=None, now=NOW)
    assert (current.gate_until, current.consecutive_failures) == (NOW + timedelta(seconds=5), 5)


def test_failed_probe_doubles_the_pause_and_a_success_opens_the_gate() -> None:
    """callback-F18: half open lets one probe through, and its result decides."""
    closed = make_health(consecutive_failures=5, gate_until=NOW, gate_reason="breaker", failing_since=NOW)
    again = health.after(closed, Outcome.SERVER_ERROR, pause=None, now=NOW)
    assert again.gate_until == NOW + timedelta(seconds=10)
    opened = health.after(again, Outcome.OK, pause=None, now=NOW)
    assert (opened.gate_until, opened.consecutive_failures, opened.failing_since) == (None, 0, None)


@pytest.mark.parametrize("outcome", [Outcome.CLIENT_ERROR, Outcome.THROTTLED, Outcome.ERROR])
def test_refusals_do_not_count_for_the_breaker(outcome: Outcome) -> None:
    """callback-F18: a server that says no is up."""
    assert health.after(make_health(), outcome, pause=None, now=NOW).consecutive_failures == 0


@pytest.mark.parametrize("outcome", [Outcome.CANCELLED, Outcome.LOST, Outcome.UNRENDERABLE])
def test_our_own_failures_change_nothing(outcome: Outcome) -> None:
    """callback-F18: an endpoint is not blamed for us."""
    assert health.after(make_health(), outcome, pause=None, now=NOW) == make_health()


def test_retry_after_closes_the_gate_and_never_opens_it_earlier() -> None:
    """callback-S20: the later of two pauses holds."""
    paused = health.after(make_health(), Outcome.THROTTLED, pause=timedelta(seconds=30), now=NOW)
    assert (paused.gate_until, paused.gate_reason) == (NOW + timedelta(seconds=30), "retry_after")
    shorter = health.after(paused, Outcome.THROTTLED, pause=timedelta(seconds=3), now=NOW)
    assert shorter.gate_until == NOW + timedelta(seconds=30)


def test_success_that_left_before_does_not_open_a_gate_that_was_asked_for() -> None:
    """callback-F15: of four requests under way one is told to wait and another one succeeds: the pause holds."""
    paused = health.after(make_health(), Outcome.THROTTLED, pause=timedelta(seconds=30), now=NOW)
    succeeded = health.after(paused, Outcome.OK, pause=None, now=NOW + timedelta(seconds=29))
    assert (succeeded.gate_until, succeeded.gate_reason) == (NOW + timedelta(seconds=30), "retry_after")
    over = health.after(paused, Outcome.OK, pause=None, now=NOW + timedelta(seconds=30))
    assert (over.gate_until, over.gate_reason) == (None, "")


def test_endpoint_is_disabled_after_five_days_and_twelve_failures() -> None:
    """callback-F20: both must be true; a success in between starts anew."""
    old = make_health(failing_since=NOW - timedelta(days=5), failed_attempts_since=10)
    eleven = health.after(old, Outcome.CLIENT_ERROR, pause=None, now=NOW)
    assert eleven.state == "active"
    assert health.after(eleven, Outcome.CLIENT_ERROR, pause=None, now=NOW).state == "disabled"
    young = make_health(failing_since=NOW - timedelta(days=4), failed_attempts_since=100)
    assert health.after(young, Outcome.CLIENT_ERROR, pause=None, now=NOW).state == "active"


def test_410_disables_at_once_and_once() -> None:
    """callback-F20: the server says that the address is gone."""
    disabled = health.after(make_health(), Outcome.GONE, pause=None, now=NOW)
    assert (disabled.state, disabled.state_reason) == ("disabled", "The server answered 410 Gone.")
    assert health.after(disabled, Outcome.GONE, pause=None, now=NOW).state == "disabled"


# --- transitions ------------------------------------------------------------------------------------------------------------

GIVEN = transitions.Chances(now=NOW, waits=WAITS, chance=0.5)


def step(outcome: Outcome, *, tries: int = 1, pause: timedelta | None = None, once: bool = False) -> transitions.Step:
    return transitions.after_result(outcome, tries=tries, pause=pause, once=once, given=GIVEN)


def test_results_lead_to_their_states() -> None:
    """callback-F11, callback-F12, callback-F20: the table of section 3."""
    assert step(Outcome.OK).state == DeliveryState.DELIVERED
    assert step(Outcome.GONE).end_reason == EndReason.GONE
    assert step(Outcome.UNRENDERABLE).end_reason == EndReason.UNRENDERABLE
    retry = step(Outcome.REDIRECT)
    assert (retry.state, retry.due_at) == (DeliveryState.WAITING, NOW + WAITS[0])
    assert step(Outcome.TIMEOUT, tries=3).end_reason == EndReason.EXHAUSTED
    assert step(Outcome.TIMEOUT, once=True).end_reason == EndReason.EXHAUSTED


def test_retry_after_delays_and_never_hastens() -> None:
    """callback-S20: the longer of schedule and pause."""
    assert step(Outcome.THROTTLED, pause=timedelta(hours=1)).due_at == NOW + timedelta(hours=1)
    assert step(Outcome.THROTTLED, pause=timedelta(0)).due_at == NOW + WAITS[0]


def test_losses_are_retried_at_once_then_by_schedule_then_condemned() -> None:
    """callback-F30: due at once the first time; the third loss is poison."""
    first = transitions.after_loss(1, tries=1, given=GIVEN)
    second = transitions.after_loss(2, tries=2, given=GIVEN)
    third = transitions.after_loss(3, tries=3, given=GIVEN)
    assert (first.state, first.due_at) == (DeliveryState.WAITING, NOW)
    assert second.due_at == NOW + WAITS[1]
    assert transitions.after_loss(2, tries=40, given=GIVEN).due_at == NOW + WAITS[1]
    assert (third.state, third.end_reason) == (DeliveryState.DEAD, EndReason.POISON)


# --- headers ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "Host", "host", "HOST", "Content-Type", "content-length", "Transfer-Encoding", "Connection", "Keep-Alive", "TE",
        "Trailer", "Upgrade", "Expect", "Proxy-Authorization", "Cookie", "Accept-Encoding", "User-Agent",
        "X-Forwarded-For", "Forwarded", "webhook-id", "Webhook-Signature",
        "Host ", " Host", "X A", "", "X:A", "X\r\nY", "X\x00", "Ü",
    ],
)  # fmt: skip
def test_forbidden_header_cannot_be_set(name: str) -> None:
    """callback-S7, callback-S5: in any case, with trailing spaces, or hidden behind a line break."""
    with pytest.raises(ValueError, match="header"):
        headers.read([{"name": name, "value": "x"}])


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "\x00", "ü", "x" * 1025, 5, None])
def test_header_value_is_one_line_of_printable_ascii(value: object) -> None:
    """callback-S5: no second header from a value."""
    with pytest.raises(ValueError, match="printable ASCII"):
        headers.read([{"name": "X-A", "value": value}])


@pytest.mark.parametrize("stored", ["X: y", {"X": "y"}, 5, None, ["X: y"], [{"name": "X-A", "value": ""}] * 2])
def test_headers_of_a_wrong_shape_are_refused(stored: object) -> None:
    """callback-S6: a row changed by hand is trusted no more than a form."""
    with pytest.raises(ValueError, match=r"[Hh]eader"):
        headers.read(stored)


def test_headers_are_at_most_ten() -> None:
    """callback-S20: bounded."""
    every = [{"name": f"X-{number}", "value": "v", "secret": number == 0} for number in range(10)]
    assert [header.secret for header in headers.read(every)] == [True] + [False] * 9
    with pytest.raises(ValueError, match="At most 10"):
        headers.read([*every, {"name": "X-10", "value": "v"}])
