"""The feed's address and what is asked for there (feed protocol, 2 and 3). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable

Transport = Literal["auto", "ws", "sse", "poll"]
TRANSPORTS: Final = ("auto", "ws", "sse", "poll")
PROTOCOL: Final = "livereferrals.v1"
TICKET_PREFIX: Final = "livereferrals.ticket."
SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
ENDING: Final = re.compile(r"(?P<base>.*/v1)(/(ws|sse|poll|ticket)?)?\Z")
CREDENTIAL: Final = re.compile(r"[A-Za-z0-9_.-]{1,200}\Z", re.ASCII)


def feed_address(url: str) -> str:
    """Return the address of the feed over HTTP, without the transport's name: `https://host/referrals/feed/v1`.

    Raises:
        ValueError: it is no address of a feed.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise ValueError(f"{url!r} is not an address such as https://shop.example/referrals/feed/v1")
    if parts.username or parts.password:
        raise ValueError("An address carries no user or password: the token goes into a header.")
    if parts.query or parts.fragment:
        raise ValueError("The address carries no parameters: give them as arguments.")
    found = ENDING.match(parts.path)
    if found is None:
        raise ValueError(f"The address of a feed ends in feed/v1, this one does not: {url!r}")
    return urlunsplit((SCHEMES[parts.scheme], parts.netloc, str(found["base"]), "", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked for at each connection, besides the place."""

    types: tuple[str, ...] | None = None
    links: tuple[str, ...] | None = None

    @classmethod
    def of(cls, *, types: Iterable[str] | None, links: Iterable[str | uuid.UUID] | None) -> Wish:
        """Return the wish for these types and links; a single text would be taken for its letters.

        Raises:
            TypeError: a text where a list belongs.
        """
        if isinstance(types, str) or isinstance(links, str):
            raise TypeError('types and links are lists: types=["confirmation"]')
        return cls(types=_texts(types), links=_texts(links))

    def parameters(self) -> dict[str, str]:
        """Return the query's part of it."""
        given = {"types": self.types, "links": self.links}
        return {name: ",".join(values) for name, values in given.items() if values is not None}


def _texts(values: Iterable[str | uuid.UUID] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(str(value) for value in values)


def rfc3339(since: datetime | str | None) -> str | None:
    """Return a time as the protocol writes it.

    Raises:
        ValueError: a time without a zone.
    """
    if not isinstance(since, datetime):
        return since
    if since.tzinfo is None:
        raise ValueError("`since` needs a time zone: datetime(..., tzinfo=UTC)")
    return since.astimezone(UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What one connection is opened with: a token, or a ticket for this connection only."""

    token: str | None = field(default=None, repr=False)
    ticket: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for value in (self.token, self.ticket):
            if value is not None and CREDENTIAL.match(value) is None:
                # Its text is not shown: it may be a secret with a line break at its end.
                raise ValueError("A token or ticket consists of letters, digits, _, . and - only.")

    def headers(self) -> dict[str, str]:
        """Return the header for the token."""
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    def parameters(self) -> dict[str, str]:
        """Return the query for the ticket, where no subprotocol can carry it."""
        return {} if self.ticket is None else {"ticket": self.ticket}

    def subprotocols(self) -> tuple[str, ...]:
        """Return what a WebSocket offers."""
        return (PROTOCOL,) if self.ticket is None else (PROTOCOL, f"{TICKET_PREFIX}{self.ticket}")
