"""What an answer means (callbacks, section 6). Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _


class Outcome(models.TextChoices):
    """What came of one attempt."""

    OK = "ok", _("delivered")
    REDIRECT = "redirect", _("the server redirects to another address")
    GONE = "gone", _("the server says that the address is gone")
    THROTTLED = "throttled", _("the server asks for a pause")
    CLIENT_ERROR = "client_error", _("the server refuses the call")
    SERVER_ERROR = "server_error", _("the server has an error")
    TIMEOUT_CONNECT = "timeout_connect", _("no connection in time")
    TIMEOUT = "timeout", _("no answer in time")
    DNS = "dns", _("the host name cannot be looked up")
    CONNECT = "connect", _("the connection is refused")
    TLS = "tls", _("no secure connection")
    DISCONNECTED = "disconnected", _("the server hung up without an answer")
    PROTOCOL = "protocol", _("the answer is not HTTP")
    BLOCKED = "blocked", _("the address may not be called")
    UNRENDERABLE = "unrenderable", _("no valid request can be made")
    ERROR = "error", _("an error of ours")
    CANCELLED = "cancelled", _("ended by a shutdown")
    LOST = "lost", _("the worker died")


COUNTED_BY_BREAKER: Final = frozenset(
    {
        Outcome.REDIRECT,
        Outcome.SERVER_ERROR,
        Outcome.TIMEOUT_CONNECT,
        Outcome.TIMEOUT,
        Outcome.DNS,
        Outcome.CONNECT,
        Outcome.TLS,
        Outcome.DISCONNECTED,
        Outcome.PROTOCOL,
        Outcome.BLOCKED,
    }
)
"""Outcomes that say: this server does not work just now."""
NOT_THE_SERVERS: Final = frozenset({Outcome.CANCELLED, Outcome.LOST, Outcome.UNRENDERABLE})
"""Failures that never count towards disabling an endpoint."""
HINTS: Final = {
    401: "The server wants other credentials: check the headers and the secret.",
    403: "The server forbids the call: check the headers and the secret.",
    404: "There is nothing at this address: check the callback URL.",
    413: "The server finds the body too large.",
}
LONGEST_PAUSE: Final = timedelta(hours=24)
CLOCKS_AGREE: Final = timedelta(days=1)
SECONDS = re.compile(r"[0-9]+\Z", re.ASCII)


def of_status(status: int, *, retry_after: timedelta | None) -> Outcome:
    """Return what a status means; its class decides, never the reason phrase."""
    if status == 410:
        return Outcome.GONE
    if status == 429 or (status == 503 and retry_after is not None):
        return Outcome.THROTTLED
    if 200 <= status <= 299:
        return Outcome.OK
    if 300 <= status <= 399:
        return Outcome.REDIRECT
    if 400 <= status <= 499:
        return Outcome.CLIENT_ERROR
    # 1xx never gets here as the last word; 101 does: nobody asked for another protocol.
    return Outcome.PROTOCOL if status < 200 else Outcome.SERVER_ERROR


def retry_after(value: str, *, date: str, now: datetime) -> timedelta | None:
    """Return the pause that `Retry-After` asks for: seconds, or a date measured against the answer's own `Date`.

    What cannot be parsed, is negative or past is ignored; more than 24 hours are 24 hours.
    """
    text = value.strip()
    if SECONDS.match(text):
        # int() of thousands of digits is slow and, beyond a limit of Python, an error.
        seconds = int(text) if len(text) < 10 else LONGEST_PAUSE.total_seconds()
        return min(timedelta(seconds=seconds), LONGEST_PAUSE)
    moment = _date(text)
    if moment is None:
        return None
    theirs = _date(date)
    base = theirs if theirs is not None and abs(theirs - now) <= CLOCKS_AGREE else now
    return min(moment - base, LONGEST_PAUSE) if moment > base else None


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found
