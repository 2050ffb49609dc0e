"""What a client presents, and what it must not."""

from __future__ import annotations

import pytest

from livereferrals.exceptions import FeedError
from livereferrals.streaming.admission import Asked
from livereferrals.streaming.credentials import (
    Headers,
    Presented,
    check_origin,
    check_tls,
    presented,
    selected_subprotocol,
)
from livereferrals.streaming.openings import opening_of_scope


def bearer(*tokens: str) -> Headers:
    return Headers([(b"authorization", token.encode()) for token in tokens])


@pytest.mark.parametrize("value", ["Bearer lrf_a_b", "bearer lrf_a_b", "BEARER   lrf_a_b"])
def test_scheme_is_case_insensitive(value: str) -> None:
    """feed-14"""
    assert presented(bearer(value), query="") == Presented(token="lrf_a_b")


REFUSED = {
    "nothing": (bearer(), "", [], "unauthorized"),
    "other scheme": (bearer("Basic bHJm"), "", [], "unauthorized"),
    "no token": (bearer("Bearer "), "", [], "unauthorized"),
    "spaces in it": (bearer("Bearer a b"), "", [], "unauthorized"),
    "two headers": (bearer("Bearer a", "Bearer b"), "", [], "bad_request"),
    "joined by a comma": (bearer("Bearer a, Bearer b"), "", [], "bad_request"),
    "two tickets": (bearer(), "ticket=y", ["livereferrals.ticket.x"], "bad_request"),
    "odd ticket": (bearer(), "ticket=%C3%BC", [], "unauthorized"),
    "token as a ticket": (bearer(), "ticket=lrf_a_b", [], "token_in_url"),
    "token in the URL": (bearer("Bearer a"), "token=x", [], "token_in_url"),
    "token under another name": (bearer("Bearer a"), "x=lrf_a_b", [], "token_in_url"),
}


@pytest.mark.parametrize(("headers", "query", "offered", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_credentials_that_are_refused(headers: Headers, query: str, offered: list[str], code: str) -> None:
    """feed-10, feed-14"""
    with pytest.raises(FeedError) as refused:
        presented(headers, query=query, offered=offered)
    assert refused.value.code == code


def test_one_token_named_twice_is_one_token() -> None:
    """feed-14"""
    assert presented(bearer("Bearer a", "Bearer a"), query="") == Presented(token="a")
    assert presented(bearer("Bearer a,Bearer a"), query="") == Presented(token="a")


def test_ticket_comes_as_subprotocol_or_in_the_url() -> None:
    """feed-11, feed-14: beside a token it is compared with that, by whoever looks them up"""
    offered = ["livereferrals.v1", "livereferrals.ticket.x"]
    assert presented(bearer(), query="", offered=offered) == Presented(ticket="x")
    assert presented(bearer("Bearer a"), query="ticket=x", offered=offered) == Presented(token="a", ticket="x")


def test_credential_is_not_in_what_is_printed_of_it() -> None:
    """feed-10: the report of an error prints the variables around it"""
    presented = Presented(token="secret", ticket="secret")
    opening = opening_of_scope(
        {
            "path": "/referrals/feed/v1/ws",
            "query_string": b"ticket=secret",
            "headers": [(b"authorization", b"Bearer secret")],
            "subprotocols": ["livereferrals.ticket.secret"],
        }
    )
    asked = Asked(credentials=presented, query="ticket=secret")
    assert "secret" not in repr([presented, opening, opening.headers, asked])


def test_nothing_but_our_version_is_ever_selected() -> None:
    """feed-2, feed-13: no credential is echoed"""
    assert selected_subprotocol(["livereferrals.ticket.x", "livereferrals.v1"]) == "livereferrals.v1"
    assert selected_subprotocol(["livereferrals.ticket.x"]) is None


def test_origins_are_compared_whole() -> None:
    """feed-15"""
    allowed = ["https://Partner.example/"]
    check_origin(Headers([]), allowed)
    check_origin(Headers([(b"origin", b"https://partner.example")]), allowed)
    for foreign in (b"https://partner.example.evil", b"http://partner.example", b"null"):
        with pytest.raises(FeedError):
            check_origin(Headers([(b"origin", foreign)]), allowed)


def test_tls_is_what_the_server_or_the_trusted_proxy_says() -> None:
    """feed-15"""
    proxied = Headers([(b"x-forwarded-proto", b"https, http")])
    check_tls(Headers([]), scheme="wss", proxy_header=None)
    check_tls(proxied, scheme=None, proxy_header=("HTTP_X_FORWARDED_PROTO", "https"))
    for scheme, proxy in ((None, None), ("ws", None), ("wss", ("HTTP_X_PROTO", "https"))):
        with pytest.raises(FeedError):
            check_tls(proxied, scheme=scheme, proxy_header=proxy)
