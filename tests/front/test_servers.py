"""Real servers: the same answers with the front and without, and hits of clients that have gone away."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

import pytest

from livereferrals.tracking.models import ReferralHit
from tests.factories import make_link, make_partner
from tests.servers import HOST, host_server
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.servers import HostServer, ServerKind

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.publisher_thread]

RANDOM = re.compile(rb"(?im)^date:.*$|livereferrals_visitor=[^;]*|expires=[^;]*")
REQUESTS = (
    b"GET /ref/abc123?next=/x HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    b"GET /ref/abc123 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: Googlebot\r\n\r\n",
    b"GET /x?affiliate_id=moox6esi&a=%20+%2f HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-Proto: https\r\n\r\n",
    b"GET /x?ref=abc123 HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    b"GET /ref/abc123 HTTP/1.1\r\nHost: shop.example\r\nPurpose: prefetch\r\n\r\n",
    b"HEAD /ref/abc123 HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    b"GET /ref/abc123 HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n",
)


def conversation(server: HostServer) -> list[bytes]:
    """Send the requests one after the other on one connection; return the heads, each header as it came, in any order."""
    heads = []
    with socket.create_connection((HOST, server.port), timeout=60) as line, line.makefile("rb") as answers:
        for request in REQUESTS:
            line.sendall(request)
            head = list(iter(answers.readline, b"\r\n"))
            length = next((int(h.split(b":")[1]) for h in head if h.lower().startswith(b"content-length")), 0)
            if not request.startswith(b"HEAD"):
                answers.read(length)
            heads.append(b"".join([head[0], *sorted(head[1:])]))
    return [RANDOM.sub(b"", head) for head in heads]


@pytest.mark.parametrize("kind", ["daphne", "uvicorn"])
def test_server_sends_the_same_with_the_front_and_without(kind: ServerKind) -> None:
    """L-01, L-02, L-30, L-32, L-33, P-01, P-10: header by header; the connection is kept, and a hit outlives its client"""
    make_link(identifier="abc123", partner=make_partner(uid="moox6esi"))
    with host_server(kind, LIVEREFERRALS={"FAST_LINKS": False}) as slow:
        expected = conversation(slow)
    assert ReferralHit.objects.count() == 3
    with host_server(kind) as fast:
        assert conversation(fast) == expected
        assert ReferralHit.objects.count() == 6
        for _ in range(20):
            with socket.create_connection((HOST, fast.port), timeout=60) as line:
                line.sendall(REQUESTS[0])
        wait_until(lambda: ReferralHit.objects.count() == 26, what="The hits of clients that are gone")
