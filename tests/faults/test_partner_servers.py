"""Partners' servers that misbehave, each called once by one worker, and what their answers are taken for."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final

import pytest

from livereferrals.callbacks.outcomes import Outcome
from tests.faults import misdeeds
from tests.faults.misdeeds import EARLY_HINTS, MIB, NO_HTTP, OK_HEAD, goes_silent_after, repeats, resets_after, sends
from tests.faults.world import Case, Story, Told, committed_rows, tell
from tests.partner import Answer, partner_sink
from tests.ports import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import DjangoDbBlocker

    from tests.partner import PartnerSink

# The mark has the database made; the rows are those of the world.
pytestmark = pytest.mark.django_db

TIMEOUT_S: Final = 3
DELIVERED: Final = (200, 201, 202, 204, 205, 206, 226)
REDIRECTS: Final = (300, 301, 302, 303, 304, 307, 308)
REFUSALS: Final = (400, 401, 403, 404, 405, 408, 409, 413, 422, 425)
ERRORS: Final = (500, 502, 503, 504, 599, 999)
RETRY_AFTER: Final = {
    "3": 3,
    "99999999999": 86400,
    "-5": None,
    "1e9": None,
    "tomorrow": None,
    "": None,
    "Wed, 99 Foo 2026 12:00:00 GMT": None,
}
SILENCES: Final = {
    "silent": goes_silent_after(b""),
    "half-a-head": goes_silent_after(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "dripped-head": repeats(b"X", after=b"HTTP/1.1 200 OK\r\nX-", pause_s=0.1),
    "hints-for-ever": repeats(EARLY_HINTS, pause_s=0.05),
}
BODIES: Final = {
    "silent-body": goes_silent_after(OK_HEAD),
    "dripped-body": repeats(b"x", after=OK_HEAD, pause_s=0.1),
    "endless-body": repeats(b"x" * 4096, after=b"HTTP/1.1 200 OK\r\n\r\n"),
    "closed-body": sends(OK_HEAD, b"half of it", pause_s=0.1),
    "reset-body": resets_after(OK_HEAD + b"half of it"),
    "huge-body": misdeeds.HugeBody(200 * MIB).answer,
    "gzip-bomb": Answer(headers={"content-encoding": "gzip"}, body=misdeeds.gzip_bomb(300 * MIB)),
    "gzip-in-gzip": Answer(headers={"content-encoding": "gzip, gzip"}, body=misdeeds.gzip_bomb(MIB)),
    "no-gzip": Answer(headers={"content-encoding": "gzip"}, body=b"hello"),
    "json-of-an-error": Answer(headers={"content-type": "application/json"}, body=b'{"error": "nope"}'),
    "three-hints": sends(EARLY_HINTS * 3 + misdeeds.response(b"HTTP/1.1 200 OK", b"Content-Length: 0")),
}
NOTED: Final = {"silent-body", "dripped-body", "closed-body", "reset-body"}
HEADS: Final = {
    "20,000 headers": sends(misdeeds.many_headers(20_000)),
    "129 headers": sends(misdeeds.many_headers(129)),
    "100 KB header": sends(misdeeds.response(b"HTTP/1.1 200 OK", b"X-A: " + b"a" * 100_000)),
}
HANG_UPS: Final = {"closes": sends(), "resets": Answer(manner="reset")}


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The servers, and what came of calling them."""

    story: Story
    sink: PartnerSink
    elsewhere: PartnerSink
    """Where redirects point."""

    def told(self, name: str) -> Told:
        return self.story.told[name]

    def requests(self, name: str) -> int:
        return sum(call.path == path(name) for call in self.sink.calls)


def path(name: str) -> str:
    return "/" + name.replace(" ", "-").replace(",", "")


def answers(sink: PartnerSink, elsewhere: PartnerSink) -> dict[str, Answer]:
    now = datetime.now(UTC).replace(microsecond=0)
    in_5_s, late = timedelta(seconds=5), timedelta(hours=2)
    places = [sink.url("/elsewhere"), elsewhere.url("/elsewhere"), "http://10.255.255.1/", "//x", "javascript:0", ""]
    return {
        **SILENCES,
        **BODIES,
        **HEADS,
        **HANG_UPS,
        **{name: sends(data) for name, data in NO_HTTP.items()},
        **{f"{status}": Answer(status=status) for status in (*DELIVERED, *REDIRECTS, *REFUSALS, *ERRORS)},
        **{f"place {number}": Answer(status=302, headers={"location": at}) for number, at in enumerate(places)},
        **{f"after {value}": Answer(status=429, headers={"retry-after": value}) for value in RETRY_AFTER},
        "twice": Answer(status=429, headers={"retry-after": "3", "Retry-After": "4"}),
        "date": Answer(status=503, headers={"retry-after": http_date(now + in_5_s), "date": http_date(now)}),
        "wrong clock": Answer(
            status=503, headers={"retry-after": http_date(now - late + in_5_s), "date": http_date(now - late)}
        ),
        "pause with a 500": Answer(status=500, headers={"retry-after": "3"}),
        "script": Answer(status=400, headers={"x-a": "<script>"}, body=b"<script>alert(1)</script>\x00\xff"),
    }


def http_date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


@contextlib.contextmanager
def full_accept_queue() -> Iterator[str]:
    """Listen and never accept, with a queue that is full: the next caller's first packet is dropped."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((HOST, 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"http://{HOST}:{listener.getsockname()[1]}/full"


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    with partner_sink() as sink, partner_sink() as elsewhere, full_accept_queue() as full:
        cases = {"full queue": Case(url=full, timeout_s=30, is_slow=True)}
        for name, answer in answers(sink, elsewhere).items():
            sink.answer_at(path(name), answer)
            is_slow = name in SILENCES
            cases[name] = Case(url=sink.url(path(name)), timeout_s=TIMEOUT_S if is_slow else 20, is_slow=is_slow)
        with committed_rows(django_db_blocker):
            yield World(story=tell(cases), sink=sink, elsewhere=elsewhere)


def test_others_go_on_while_servers_hang(world: World) -> None:
    """callback-F1, callback-F2, callback-F3, callback-S20: 20 healthy endpoints get theirs, once, within 2 s."""
    assert world.story.healthy_got == [2] * 20
    assert world.story.healthy_s < 2 + world.story.slack_s


def test_full_accept_queue_is_given_up_after_five_seconds(world: World) -> None:
    """callback-F1: long before the time limit of the attempt, which is 30 s here."""
    attempt = world.told("full queue").attempt
    assert attempt.outcome == Outcome.TIMEOUT_CONNECT
    assert 4900 <= (attempt.duration_ms or 0) <= 20_000


@pytest.mark.parametrize("name", SILENCES)
def test_silence_is_a_timeout_at_the_limit(world: World, name: str) -> None:
    """callback-F2, callback-F10: nothing, half a head, a head byte by byte, early hints for ever."""
    attempt = world.told(name).attempt
    assert (attempt.outcome, attempt.status) == (Outcome.TIMEOUT, None)
    assert TIMEOUT_S * 1000 - 50 <= (attempt.duration_ms or 0) <= (TIMEOUT_S + 0.5 + world.story.slack_s) * 1000
    assert world.requests(name) == 1


@pytest.mark.parametrize("name", BODIES)
def test_status_decides_whatever_the_body_does(world: World, name: str) -> None:
    """callback-F3, callback-F5, callback-F6, callback-F7, callback-F10, callback-F11: and it does not take long."""
    told = world.told(name)
    assert (told.delivery.state, told.attempt.outcome, told.attempt.status) == ("delivered", Outcome.OK, 200)
    assert (told.attempt.duration_ms or 0) <= 2500 + world.story.slack_s * 1000
    assert ("incomplete" in told.attempt.error) == (name in NOTED)
    assert len(told.attempt.response_excerpt) <= 4096
    assert world.requests(name) == 1


@pytest.mark.parametrize("name", ["gzip-bomb", "gzip-in-gzip", "no-gzip"])
def test_nothing_compressed_is_inflated(world: World, name: str) -> None:
    """callback-F7, callback-S8: the excerpt says that it is compressed."""
    assert world.told(name).attempt.response_excerpt == "(compressed)"


@pytest.mark.parametrize("name", HANG_UPS)
def test_hang_up_without_a_byte_is_one_request_and_a_failure(world: World, name: str) -> None:
    """callback-F4: the client repeats nothing by itself."""
    told = world.told(name)
    assert (told.delivery.state, told.attempt.outcome) == ("waiting", Outcome.DISCONNECTED)
    assert world.requests(name) == 1


@pytest.mark.parametrize("name", NO_HTTP)
def test_what_is_no_http_has_no_status(world: World, name: str) -> None:
    """callback-F8, callback-F10: never shown as "400", which no server has sent."""
    attempt = world.told(name).attempt
    assert (attempt.outcome, attempt.status) == (Outcome.PROTOCOL, 101 if name == "another-protocol" else None)
    assert "400" not in attempt.error


@pytest.mark.parametrize("name", HEADS)
def test_head_without_bounds_is_no_http(world: World, name: str) -> None:
    """callback-F9, callback-S20: more than 128 lines, or one over 8,190 bytes."""
    attempt = world.told(name).attempt
    assert attempt.outcome in {Outcome.PROTOCOL, Outcome.DISCONNECTED}
    assert attempt.status is None


@pytest.mark.parametrize("status", DELIVERED)
def test_every_2xx_is_a_delivery(world: World, status: int) -> None:
    """callback-F11: all of them alike."""
    told = world.told(f"{status}")
    assert (told.delivery.state, told.attempt.outcome, told.attempt.status) == ("delivered", Outcome.OK, status)


@pytest.mark.parametrize("name", [*map(str, REDIRECTS), *(f"place {number}" for number in range(6))])
def test_redirect_is_a_failure_and_nobody_goes_there(world: World, name: str) -> None:
    """callback-F12, callback-S2: the same host, another one, a private one, and what is no address."""
    told = world.told(name)
    assert (told.delivery.state, told.attempt.outcome) == ("waiting", Outcome.REDIRECT)
    assert world.requests(name) == 1
    assert world.requests("elsewhere") == world.elsewhere.connections == 0


@pytest.mark.parametrize("status", REFUSALS)
def test_refusal_is_tried_again_by_the_schedule(world: World, status: int) -> None:
    """callback-F13: and never blamed on the server's health."""
    told = world.told(f"{status}")
    assert (told.delivery.state, told.attempt.outcome) == ("waiting", Outcome.CLIENT_ERROR)
    wait_s = (told.delivery.due_at - told.attempt.started_at).total_seconds()
    assert 0.8 * 3600 <= wait_s <= 1.2 * 3600 + 60
    assert (told.endpoint.consecutive_failures, told.endpoint.failed_attempts_since) == (0, 1)


@pytest.mark.parametrize("status", ERRORS)
def test_server_error_counts_for_the_breaker(world: World, status: int) -> None:
    """callback-F18: 600 and above too."""
    told = world.told(f"{status}")
    assert (told.delivery.state, told.attempt.outcome) == ("waiting", Outcome.SERVER_ERROR)
    assert told.endpoint.consecutive_failures == 1


@pytest.mark.parametrize(("value", "seconds"), RETRY_AFTER.items(), ids=map(repr, RETRY_AFTER))
def test_pause_is_clamped_or_ignored(world: World, value: str, seconds: int | None) -> None:
    """callback-F17, callback-F15: no value raises; the raw one stays in the log of the attempt."""
    told = world.told(f"after {value}")
    assert (told.attempt.outcome, told.attempt.retry_after_s) == (Outcome.THROTTLED, seconds)
    assert ["Retry-After", value] in told.attempt.response_headers
    assert (told.endpoint.gate_reason == "retry_after") == (seconds is not None)


def test_pause_that_is_asked_for_twice_is_ignored(world: World) -> None:
    """callback-F17: nobody knows which one is meant."""
    assert world.told("twice").attempt.retry_after_s is None


@pytest.mark.parametrize("name", ["date", "wrong clock"])
def test_pause_until_a_date_is_measured_on_the_servers_clock(world: World, name: str) -> None:
    """callback-F16: 5 s ahead of the answer's own `Date`, be that clock 2 h wrong."""
    told = world.told(name)
    assert (told.attempt.outcome, told.attempt.retry_after_s) == (Outcome.THROTTLED, 5)


def test_error_with_a_pause_is_still_an_error(world: World) -> None:
    """callback-F18: the pause of any other answer than 429 and 503 is not asked for."""
    attempt = world.told("pause with a 500").attempt
    assert (attempt.outcome, attempt.retry_after_s) == (Outcome.SERVER_ERROR, None)


def test_strange_bytes_are_stored_as_text(world: World) -> None:
    """callback-S9, callback-S10: what PostgreSQL cannot store is escaped, a script stays the text that it is."""
    attempt = world.told("script").attempt
    assert attempt.response_excerpt == "<script>alert(1)</script>\\x00\\xff"
    assert ["x-a", "<script>"] in attempt.response_headers
