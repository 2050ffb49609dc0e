"""Real servers: what was answered is there after a kill, many at once, and what clients can send but libraries do not."""

from __future__ import annotations

import http.client
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from livereferrals.events.models import Event
from livereferrals.events.sequencer import number_events
from livereferrals.tracking.models import ReferralHit, Visitor
from tests.factories import make_link, make_partner
from tests.servers import HOST, host_server

if TYPE_CHECKING:
    from tests.servers import HostServer, ServerKind

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.publisher_thread]
KINDS: tuple[ServerKind, ...] = ("daphne", "uvicorn")


def get(server: HostServer, path: str, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
    """Send one request on a connection of its own, and return the answer without following it."""
    conversation = http.client.HTTPConnection(HOST, server.port, timeout=60)
    try:
        conversation.request("GET", path, headers=headers or {})
        response = conversation.getresponse()
        response.read()
        return response
    finally:
        conversation.close()


def send_raw(server: HostServer, target: bytes) -> bytes:
    """Send a request line as it stands, and return the head of the answer."""
    with socket.create_connection((HOST, server.port), timeout=60) as line:
        line.sendall(b"GET " + target + b" HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n")
        answer = b""
        while chunk := line.recv(65536):
            answer += chunk
    return answer.partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", ["/ref/abc123?next=/x", "/x?affiliate_id=moox6esi"])
def test_hit_that_was_answered_is_there_after_a_kill(kind: ServerKind, path: str) -> None:
    """L-10"""
    make_link(identifier="abc123", partner=make_partner(uid="moox6esi"))
    with host_server(kind) as server:
        response = get(server, path)
        server.kill9()
    assert (response.status, response.getheader("Location")) == (302, "/x")
    hit = ReferralHit.objects.get()
    assert hit.visitor == Visitor.objects.get()
    number_events()  # as the next server does, if this one came not so far
    event = Event.objects.get(type="hit")
    assert (event.data["hit"], event.seq) == (str(hit.pk), 1)


@pytest.mark.parametrize("kind", KINDS)
def test_fifty_clients_at_once_are_fifty_hits(kind: ServerKind) -> None:
    """L-11"""
    make_link(identifier="abc123")
    with host_server(kind) as server, ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _number: get(server, "/ref/abc123?next=/x"), range(50)))
    assert {(answer.status, answer.getheader("Location")) for answer in answers} == {(302, "/x")}
    assert len({answer.getheader("Set-Cookie") for answer in answers}) == 50
    assert ReferralHit.objects.count() == Visitor.objects.count() == 50


@pytest.mark.parametrize("kind", KINDS)
def test_request_lines_that_no_browser_sends_stay_on_this_host(kind: ServerKind) -> None:
    """P-26, X-16, L-06"""
    make_link(identifier="Grüße", partner=make_partner(uid="moox6esi"))
    with host_server(kind) as server:
        for target, location in [
            (b"//evil.example/x?affiliate_id=moox6esi", b"/%2Fevil.example/x"),
            (b"/a%3Fb/%23c?affiliate_id=moox6esi", b"/a%3Fb/%23c"),
            (b"/a%2Fb/caf%C3%A9?affiliate_id=moox6esi&b=%20+%2f&c", b"/a%2Fb/caf%C3%A9?b=%20+%2f&c"),
            (b"/ref/Gr%C3%BC%C3%9Fe?next=/caf%C3%A9", b"/caf%C3%A9"),
            (b"/ref/%00%FF?next=/x%0D%0AA:b", b"/"),
        ]:
            head = send_raw(server, target)
            assert head.startswith(b"HTTP/1.1 302"), head
            found = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"location:"))
            assert found.partition(b":")[2].strip() == location
    assert ReferralHit.objects.count() == 4


@pytest.mark.parametrize("kind", KINDS)
def test_parameter_on_a_socket_is_not_caught(kind: ServerKind) -> None:
    """P-20: a WebSocket handshake records nothing"""
    make_partner(uid="moox6esi")
    handshake = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    with host_server(kind) as server:
        answer = get(server, "/x?affiliate_id=moox6esi", headers=handshake)
    assert answer.status != 302
    assert ReferralHit.objects.count() == 0
