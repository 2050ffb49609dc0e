"""The numbers of the feed protocol, which a host may set one by one in `LIVEREFERRALS["FEED_LIMITS"]`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from livereferrals.setting_types import whole


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedLimits:
    """The numbers of the feed protocol, section 10 and `hello.limits`; all may be overridden by name."""

    window_events: int = 2000
    """Events that may be unacknowledged towards one client."""
    window_bytes: int = 1_048_576
    """Bytes that may be unacknowledged towards one client."""
    batch_events: int = 500
    """Events in one batch at most."""
    message_bytes: int = 262_144
    """Bytes of one message to a client at most."""
    rate_bytes_s: int = 65_536
    """Average pace towards a client that does not acknowledge."""
    event_bytes: int = 32_768
    """Bytes of one event at most."""
    frames_s: int = 20
    """Live frames of one topic a second."""
    connections_token: int = 5
    """Open connections of one token."""
    connections_partner: int = 20
    """Open connections of one partner."""
    connects_minute: int = 10
    """New connections a minute for a token, after the burst."""
    connects_burst: int = 20
    """New connections at once for a token."""
    polls_s: int = 4
    """Requests of the long poll a second for a token, five times that at once."""
    tickets_minute: int = 60
    """Tickets a minute for a token."""
    failures_minute: int = 10
    """Wrong credentials a minute from one address."""
    client_messages_s: int = 20
    """Messages a second that a client may send."""
    client_messages_burst: int = 40
    """Messages at once that a client may send."""
    client_message_bytes: int = 4096
    """Bytes of one message from a client at most."""
    ack_timeout_s: int = 60
    """Seconds that a full window may go without an acknowledgement."""
    silence_timeout_s: int = 90
    """Seconds that an acknowledging client may be silent."""


def feed_limits(value: object) -> FeedLimits:
    """Parse a dict of overrides into the whole set of numbers."""
    if not isinstance(value, Mapping):
        raise ValueError(f"expected a dict, got {value!r}")  # noqa: TRY004 - as above
    known = {field.name for field in fields(FeedLimits)}
    for name, number in value.items():
        if name not in known:
            raise ValueError(f"unknown limit {name!r}; known are {', '.join(sorted(known))}")
        whole(1, 2**40)(number)
    return FeedLimits(**value)
