"""Whatever is asked of the feed over HTTP: a defined answer, nothing in the log, and no place that stays taken."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.servers import HOST, HostServer, host_server
from tests.streaming.clients import OUR_CODE
from tests.streaming.conftest import FAST_POLL_S, Reader
from tests.streaming.twins import BASE
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]

PLACES = 3
GENEROUS = dict.fromkeys(
    ("connections_partner", "connects_minute", "connects_burst", "polls_s", "failures_minute"), 10**6
)
EXAMPLES = 2000 if "LIVEREFERRALS_SOAK" in os.environ else 60
STATUSES = {200, 304, 400, 401, 403, 405, 409, 410, 429}


@pytest.fixture(scope="module", params=["daphne", "uvicorn"])
def cramped(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any) -> Iterator[HostServer]:
    """A server on which a place that stays taken is soon missed."""
    values = {
        "FEED_POLL_INTERVAL": FAST_POLL_S,
        "CALLBACKS": {"WORKER": "off"},
        "FEED_LIMITS": GENEROUS | {"connections_token": PLACES},
    }
    with django_db_blocker.unblock(), host_server(request.param, LIVEREFERRALS=values) as running:
        yield running


words = st.text(max_size=20) | st.sampled_from(
    ["", "0", "1", "oldest", "newest", "stop", "hit", "hit,claim", "2026-11-21T09:00:00Z", "k3f9.12", "9" * 3000]
)
names = st.sampled_from(
    ["cursor", "since", "types", "links", "on_gap", "ack", "batch", "wait", "limit", "ticket", "token", "other"]
)
queries = st.lists(st.tuples(names, words), max_size=4)
# What servers let through: anything visible, in Latin-1. (daphne itself refuses the control characters of its upper half.)
values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_categories=["Cc"]), max_size=60)
headers = st.dictionaries(
    st.sampled_from(["If-None-Match", "Last-Event-ID", "Origin", "Cookie", "X-Forwarded-For", "Accept-Encoding"]),
    values | st.sampled_from(['"k3f9.12"', 'W/"k3f9.12"', "*", '"', "k3f9.12"]),
    max_size=3,
)
methods = st.sampled_from(["GET", "GET", "GET", "POST", "OPTIONS", "HEAD", "PUT", "DELETE"])


def first_of(server: HostServer, method: str, path: str, sent: dict[str, str]) -> tuple[int, str | None, bytes]:
    """Return status, kind and beginning of an answer, and go away in the middle of it."""
    conversation = http.client.HTTPConnection(HOST, server.port, timeout=60)
    try:
        conversation.request(method, path, headers={key: value.encode("latin-1") for key, value in sent.items()})
        answer = conversation.getresponse()
        kind = answer.headers.get("Content-Type")
        streams = kind is not None and kind.startswith("text/event-stream")
        return answer.status, kind, answer.readline() if streams else answer.read()
    finally:
        conversation.close()


def check(status: int, kind: str | None, body: bytes) -> None:
    """Fail where an answer is not one of the protocol's."""
    assert status in STATUSES | {201, 204}, (status, body)
    if status >= 400 and body:
        assert kind == "application/json"
        assert json.loads(body)["type"] == "error"
    elif kind is not None and kind.startswith("text/event-stream"):
        assert body.startswith(b"retry: ")


def places_are_free(server: HostServer, reader: Reader) -> bool:
    """Whether as many streams can be opened as a token may have."""
    path, sent = f"{BASE}/sse", {"Authorization": f"Bearer {reader.token}"}
    with contextlib.ExitStack() as stack:
        for _ in range(PLACES):
            conversation = stack.enter_context(
                contextlib.closing(http.client.HTTPConnection(HOST, server.port, timeout=60))
            )
            conversation.request("GET", path, headers=sent)
            answer = conversation.getresponse()
            if answer.status != 200:
                return False
            assert answer.readline().startswith(b"retry: ")
    return True


def test_whatever_is_asked_is_answered(cramped: HostServer, reader: Reader) -> None:
    """feed-32, feed-53: parameters, headers and methods; clients that leave in the middle; the count returns to zero"""
    reader.append(3)

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(["sse", "poll", "ticket"]), methods, queries, headers, st.booleans())
    def ask_anything(name: str, method: str, query: list[tuple[str, str]], sent: dict[str, str], knows: bool) -> None:
        search = "&".join(f"{key}={quote(value, safe='')}" for key, value in query)
        if name == "poll" and not any(key == "wait" for key, _ in query):
            search += "&wait=0"
        credential = {"Authorization": f"Bearer {reader.token}"} if knows else {}
        check(*first_of(cramped, method, f"{BASE}/{name}?{search}", sent | credential))

    ask_anything()
    wait_until(lambda: places_are_free(cramped, reader))
    wait_until(lambda: places_are_free(cramped, reader))
    assert OUR_CODE not in cramped.output()
    assert "Traceback" not in cramped.output()


BROKEN = {
    "half a line": b"GET /referrals/feed/v1/sse",
    "half a head": b"GET /referrals/feed/v1/sse HTTP/1.1\r\nHost: x\r\n",
    "no text": b"GET /referrals/feed/v1/poll?cursor=\xff\xfe&wait=0 HTTP/1.1\r\nHost: x\r\n\r\n",
    "half a body": b"POST /referrals/feed/v1/ticket HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nhalf",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01",
    "every byte": bytes(range(256)),
}


def test_broken_request_breaks_nothing(cramped: HostServer, reader: Reader) -> None:
    """feed-32: half handshakes and what is no HTTP at all"""
    for raw in BROKEN.values():
        with socket.create_connection((HOST, cramped.port), timeout=60) as wire:
            wire.sendall(raw)
        with socket.create_connection((HOST, cramped.port), timeout=60) as wire:
            wire.sendall(raw)
            wire.shutdown(socket.SHUT_WR)
    wait_until(lambda: places_are_free(cramped, reader))
    assert OUR_CODE not in cramped.output()
