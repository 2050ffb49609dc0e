"""What a client presents when it connects: token, subprotocol, origin (feed protocol, 3). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from livereferrals.exceptions import FeedError
from livereferrals.streaming.protocol import PROTOCOL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TICKET_PREFIX: Final = "livereferrals.ticket."
TICKET = re.compile(r"[A-Za-z0-9_]{1,200}\Z", re.ASCII)
TOKEN_PREFIX: Final = "lrf_"  # noqa: S105 - how every token begins, not one
URL_TOKEN_NAMES: Final = frozenset({"token", "access_token"})
BEARER = re.compile(r"bearer +([A-Za-z0-9_]{1,200})\Z", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Headers:
    """Request headers by lower-case name, as ASGI gives them."""

    pairs: Sequence[tuple[bytes, bytes]] = field(repr=False)
    """Not shown: an error's report prints the variables around it, and one of these is the token."""

    def all(self, name: str) -> list[str]:
        """Return every value of a header."""
        wanted = name.lower().encode()
        return [value.decode("latin-1") for key, value in self.pairs if key.lower() == wanted]


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """The credentials of one request; at least one of them is there."""

    token: str | None = field(default=None, repr=False)
    ticket: str | None = field(default=None, repr=False)


def selected_subprotocol(offered: Sequence[str]) -> str | None:
    """Return the subprotocol to accept with: ours or none, and never anything else that was offered."""
    return PROTOCOL if PROTOCOL in offered else None


def check_subprotocol(offered: Sequence[str]) -> None:
    """Refuse a client that offers some versions and not ours; one that offers none gets v1.

    Raises:
        FeedError: `unsupported_version`.
    """
    if offered and PROTOCOL not in offered:
        raise FeedError("unsupported_version", f"This server speaks {PROTOCOL}; offer it as a subprotocol.")


def check_origin(headers: Headers, allowed: Iterable[str] | None) -> None:
    """Refuse a page of another origin where the host lists the good ones; programs send no origin, and that is fine.

    Raises:
        FeedError: `forbidden`.
    """
    if allowed is None:
        return
    known = {origin.lower().rstrip("/") for origin in allowed}
    if any(origin.lower() not in known for origin in headers.all("origin")):
        raise FeedError("forbidden", "Pages of this origin may not read the feed.")


def presented(headers: Headers, *, query: str, offered: Sequence[str] = ()) -> Presented:
    """Return what a client presents: a token in its header, or a ticket as subprotocol or in the URL.

    A token and a ticket together may turn out to name the same token; whoever looks them up compares.

    Raises:
        FeedError: `unauthorized`, `token_in_url`, or `bad_request` where it presents several of one kind.
    """
    asked = parse_qsl(query, keep_blank_values=True)
    if any(name in URL_TOKEN_NAMES or value.startswith(TOKEN_PREFIX) for name, value in asked):
        raise FeedError("token_in_url", "A token does not belong in a URL, which is logged: send it in a header.")
    tickets = {name.removeprefix(TICKET_PREFIX) for name in offered if name.startswith(TICKET_PREFIX)}
    tickets |= {value for name, value in asked if name == "ticket"}
    # Some servers join repeated headers with a comma, which no token contains.
    bearers = {part.strip() for value in headers.all("authorization") for part in value.split(",")}
    if len(bearers) > 1 or len(tickets) > 1:
        raise FeedError("bad_request", "Present one credential, not several.")
    if not bearers and not tickets:
        raise FeedError("unauthorized", "Send the header `Authorization: Bearer <feed token>`.")
    return Presented(token=_token_of(bearers.pop()) if bearers else None, ticket=_ticket_of(tickets))


def _token_of(header: str) -> str:
    found = BEARER.match(header)
    if found is None:
        raise FeedError("unauthorized", "Send the header `Authorization: Bearer <feed token>`.")
    return found[1]


def _ticket_of(tickets: set[str]) -> str | None:
    ticket = tickets.pop() if tickets else None
    if ticket is not None and TICKET.match(ticket) is None:
        raise FeedError("unauthorized", "This ticket is not valid.")
    return ticket


def check_tls(headers: Headers, *, scheme: str | None, proxy_header: tuple[str, str] | None) -> None:
    """Refuse a plain connection; behind a proxy the configured header decides, and no other.

    Args:
        headers: the request's.
        scheme: what the server says; a WebSocket scope need not carry one.
        proxy_header: Django's `SECURE_PROXY_SSL_HEADER`: name in WSGI form, and the value that means TLS.

    Raises:
        FeedError: `forbidden`.
    """
    if proxy_header is None:
        secure = scheme in {"https", "wss"}
    else:
        name, value = proxy_header
        given = headers.all(name.removeprefix("HTTP_").replace("_", "-"))
        # As Django reads it: a list counts by its first entry.
        secure = bool(given) and given[0].split(",")[0].strip() == value
    if not secure:
        raise FeedError("forbidden", "The feed is read over TLS only.")
