"""Whatever reads text from outside takes a time that grows with its length, and not with the square of it (ReDoS)."""

from __future__ import annotations

import contextlib
import re
import time
from typing import TYPE_CHECKING, Any, Final

import pytest
from django.core.exceptions import ValidationError

from livereferrals.callbacks import headers, hosts, masking, placeholders
from livereferrals.dashboard import messages
from livereferrals.dashboard.filters import Field, Filters
from livereferrals.events.cursors import Cursor
from livereferrals.exceptions import LiveReferralsError
from livereferrals.spreadsheets import cell
from livereferrals.streaming import credentials, parameters, protocol, tokens
from livereferrals.tracking import entries, privacy, screening, targets, visitors
from livereferrals.tracking.links import WELL_FORMED

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.once

SITE: Final = targets.Site(host="shop.example", secure=True, allowed_hosts=(".example.org",), max_length=10**6)
PIECES: Final = ("a", "0", " ", "/", ".", "..", "../", "%", "%2e", "%2F", "&", "=", "&a=", ";", ":", ",", "-", "+", "@", "#", "?",
                 "{", "}", "{a", "[", '{"a":', "\\", "é", "\n", "a.", "0.", "::", "b ot", "; m", "android", "iphone", "google-",
                 "+http", "token", "?token", "key=", "bearer ", "lrf_", "xn--", "1,", "k3f9.1", "https://", "//")  # fmt: skip
"""What a text is made of, over and over."""
ENDS: Final = ("", "!mobile=}")
SHORT, LONG = 16_000, 64_000
"""The longest header, query or path that servers let through is 64 KiB."""
NOISE_S: Final = 0.008
READERS: dict[str, Callable[[str], Any]] = {
    "agent: bot": screening.is_bot,
    "agent: device": screening.device,
    "agent: the host's pattern": lambda text: screening.is_bot(text, more=[re.compile("(x+x+)+y|m.*n.*o", re.I)]),
    "purpose": lambda text: screening.is_prefetch({"Sec-Purpose": text}),
    "destination": screening.is_embedded,
    "next": lambda text: targets.settled([text], default="/", site=SITE),
    "next: paths": targets.paths_of,
    "next: parameters taken off": lambda text: targets.stripped(text, ["ref"]),
    "query": lambda text: targets.parameters(text.encode()),
    "query: one parameter less": lambda text: targets.without(text.encode(), ["ref"]),
    "path and query": lambda text: targets.own_url(text, text.encode()),
    "referer: redacted": lambda text: targets.redacted(text, ["token"]),
    "referer: host": entries.referrer_host,
    "landing": entries.landing,
    "address": privacy.parse_address,
    "forwarded": lambda text: privacy.client_address("10.0.0.1", forwarded=text, trusted_proxies=2),
    "identifier": WELL_FORMED.match,
    "cookie": visitors.read_cookie,
    "visitor's token": visitors.read_token,
    "cursor": Cursor.parse,
    "feed: parameters": parameters.parse_parameters,
    "feed: since": lambda text: parameters.parse_parameters(f"since={text}"),
    "feed: credentials": lambda text: credentials.presented(
        credentials.Headers([(b"authorization", text.encode())]), query=text, offered=(text,)
    ),
    "feed: token": tokens.verify,
    "feed: message": lambda text: protocol.parse_client_message(text, max_bytes=10**6),
    "dashboard: message": messages.parse,
    "dashboard: filters": lambda text: Filters.parse(text, [Field(name="q")]),
    "dashboard: a filter": Field(name="q", pattern=r"[a-z]+(-[a-z]+)*").accepts,
    "callback: address": placeholders.examine,
    "callback: host": hosts.map_host,
    "callback: headers": headers.read,
    "callback: text of an answer": lambda text: masking.storable(text, limit=4096),
    "export": cell,
}
"""Everything that text from outside comes to first."""


def took_s(read: Callable[[str], Any], text: str) -> float:
    """Return the processor's time, not what others take of it meanwhile."""
    best = 60.0
    for _ in range(2):
        before = time.thread_time()
        with contextlib.suppress(LiveReferralsError, ValidationError, ValueError):  # refused, and as quickly
            read(text)
        best = min(best, time.thread_time() - before)
        if best < NOISE_S:
            break
    return best


@pytest.mark.django_db
@pytest.mark.parametrize("reader", READERS)
def test_time_to_read_grows_no_faster_than_the_text(reader: str) -> None:
    """L-49, callback-S4, feed-45: four times the text takes four times the time; a square would be sixteen"""
    read = READERS[reader]
    for piece in PIECES:
        for end in ENDS:
            long = took_s(read, piece * (LONG // len(piece)) + end)
            if long < NOISE_S * 4:
                continue
            short = took_s(read, piece * (SHORT // len(piece)) + end)
            assert long < 9 * max(short, NOISE_S), (
                f"{piece!r}, {end!r}: {short:.4f} s for 16,000, {long:.4f} s for 64,000"
            )
