"""One HTTP request to a partner, and what came of it (callbacks, sections 5 and 6). Knows no database."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from livereferrals.callbacks import connector, guard, masking, outcomes
from livereferrals.callbacks.calls import EXCERPT
from livereferrals.callbacks.connector import GuardedResolver
from livereferrals.callbacks.exchange import NoConnection, exchange
from livereferrals.callbacks.outcomes import Outcome

if TYPE_CHECKING:
    from datetime import timedelta
    from types import TracebackType

    from aiohttp.abc import AbstractResolver

    from livereferrals.callbacks.calls import Call
    from livereferrals.callbacks.connector import Flight
    from livereferrals.callbacks.exchange import Answer
    from livereferrals.callbacks.proxies import Proxy

logger = logging.getLogger(__name__)

BODY_TIME_S: Final = 2.0
MAX_KEPT_HEADERS: Final = 32
MAX_ERROR: Final = 300
CERTIFICATE_CAUSES: Final = {
    9: "the certificate is not valid yet",
    10: "the certificate has expired",
    18: "the certificate is self-signed",
    19: "a certificate in the chain is self-signed",
    20: "the certificate's issuer is unknown",
    21: "the certificate's issuer is unknown",
    62: "the certificate is for another host name",
    64: "the certificate is for another address",
}
"""OpenSSL's verification results in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came of one request."""

    outcome: Outcome
    duration_ms: int = 0
    status: int | None = None
    error: str = ""
    """The cause in one safe line."""
    address: str = ""
    """IP and port connected to."""
    headers: list[list[str]] = field(default_factory=list)
    excerpt: str = ""
    pause: timedelta | None = None
    """What a `Retry-After` asks for."""


class Sender:
    """A worker's HTTP side: `async with Sender(...) as sender`."""

    def __init__(
        self, *, ca_bundle: str | None = None, proxy: Proxy | None = None, resolver: AbstractResolver | None = None
    ) -> None:
        """Take further certificate authorities, a proxy, and what asks DNS; by default that is aiodns."""
        self._ca_bundle = ca_bundle
        self._proxy = proxy
        self._inner_resolver = resolver
        self._resolver: GuardedResolver | None = None
        self._tls: ssl.SSLContext | None = None
        self._session: aiohttp.ClientSession | None = None
        """For a proxy alone."""

    async def __aenter__(self) -> Sender:
        self._resolver = GuardedResolver(self._inner_resolver or aiohttp.AsyncResolver())
        self._tls = connector.tls_context(self._ca_bundle)
        if self._proxy is not None:
            self._session = connector.make_session(tls=self._tls, resolver=self._resolver)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
        # The session leaves a resolver that it was given open; late answers would reach a loop that is closed.
        if self._resolver is not None:
            await self._resolver.close()

    async def send(self, call: Call, flight: Flight) -> Reply:
        """Make the request and judge the answer; whatever goes wrong out there is a reply, not an exception."""
        begun = time.monotonic()
        connector.FLIGHT.set(flight)
        try:
            reply = await self._exchange(call, flight)
        except Exception as error:  # noqa: BLE001 - one call must not end the worker; `_failed` tells kinds apart
            reply = _failed(error, call, flight)
        return _finished(reply, call, flight, duration_ms=round((time.monotonic() - begun) * 1000))

    async def _exchange(self, call: Call, flight: Flight) -> Reply:
        if self._tls is None or self._resolver is None:
            raise RuntimeError("A Sender is used inside `async with`.")
        flight.proxy = self._proxy
        async with asyncio.timeout(call.timeout_s):
            if self._proxy is None:
                answer: Answer | aiohttp.ClientResponse = await exchange(
                    call, flight, resolver=self._resolver, tls=self._tls
                )
            else:
                answer = await self._by_proxy(self._proxy, call, flight)
        try:
            return await _read(answer)
        finally:
            answer.close()

    async def _by_proxy(self, proxy: Proxy, call: Call, flight: Flight) -> aiohttp.ClientResponse:
        assert self._resolver is not None  # noqa: S101 - for the type checker
        assert self._session is not None  # noqa: S101 - made where there is a proxy
        await self._resolver.judge_ahead(flight)
        return await self._session.request(
            call.method, call.url, headers=call.headers, data=call.body, allow_redirects=False, proxy=proxy.url
        )


async def _read(response: Answer | aiohttp.ClientResponse) -> Reply:
    """Judge the head; the body is for the log only and changes nothing."""
    pause = _pause(response)
    outcome = outcomes.of_status(response.status, retry_after=pause)
    body, note = await _excerpt(response)
    if outcome is Outcome.REDIRECT:
        place = masking.url(response.headers.get("Location", ""))
        note = f"redirects to {place[:200]}: set the callback URL to the final address" if place else "redirects"
    if outcome is Outcome.PROTOCOL:
        note = "the server wants to speak another protocol"
    return Reply(
        outcome=outcome,
        status=response.status,
        error=outcomes.HINTS.get(response.status, note),
        headers=_kept(response),
        excerpt=body,
        pause=pause,
    )


def _pause(response: Answer | aiohttp.ClientResponse) -> timedelta | None:
    values = response.headers.getall("Retry-After", [])
    if response.status not in (429, 503) or len(values) != 1:
        return None
    return outcomes.retry_after(values[0], date=response.headers.get("Date", ""), now=datetime.now(UTC))


async def _excerpt(response: Answer | aiohttp.ClientResponse) -> tuple[str, str]:
    """Return the first 4 KiB that come within 2 s, and a note where the body broke. Never inflated."""
    data = b""
    note = ""
    # Most servers have nothing to say but the status.
    if not response.content.at_eof():
        try:
            async with asyncio.timeout(BODY_TIME_S):
                while len(data) < EXCERPT and (chunk := await response.content.read(EXCERPT - len(data))):
                    data += chunk
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            note = f"the body is incomplete ({type(error).__name__})"
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        return "(compressed)", note
    return masking.storable(data, limit=EXCERPT), note


def _kept(response: Answer | aiohttp.ClientResponse) -> list[list[str]]:
    """Return the first headers, 4 KiB in all, safe to store."""
    kept: list[list[str]] = []
    room = EXCERPT
    for name, value in list(response.headers.items())[:MAX_KEPT_HEADERS]:
        shown = masking.headers({name: value})[name]
        pair = [masking.storable(name, limit=200), masking.storable(shown, limit=1024)]
        room -= len(pair[0]) + len(pair[1])
        if room < 0:
            break
        kept.append(pair)
    return kept


def _failed(error: Exception, call: Call, flight: Flight) -> Reply:
    if flight.refused and not flight.opened:
        return Reply(outcome=Outcome.BLOCKED, error=guard.REFUSED_ADDRESS)
    if _is_torn_handshake(error, flight):
        return Reply(outcome=Outcome.TLS, error="the server hung up in the middle of the TLS handshake")
    outcome = _outcome_of(error)
    if outcome is Outcome.TIMEOUT and not flight.has_left:
        outcome = Outcome.TIMEOUT_CONNECT
    if outcome is Outcome.ERROR:
        told = masking.trace(error, call.secrets)
        logger.error("A callback failed in an unexpected way.\n%s", told, extra={"action": "callback.error"})
    return Reply(outcome=outcome, error=_cause(error, outcome))


def _is_torn_handshake(error: Exception, flight: Flight) -> bool:
    """Whether the server took the connection and hung up before TLS stood: one that knows old versions alone may."""
    if flight.origin.scheme != "https" or isinstance(error, aiohttp.ClientProxyConnectionError):
        return False
    if not isinstance(error, (NoConnection, aiohttp.ClientConnectorError)):
        return False
    return isinstance(error.os_error, (ConnectionResetError, ConnectionAbortedError, BrokenPipeError))


def _outcome_of(error: Exception) -> Outcome:
    """Tell failures apart; the order matters, because aiohttp's classes inherit from one another."""
    for kinds, outcome in (
        (aiohttp.ConnectionTimeoutError, Outcome.TIMEOUT_CONNECT),
        ((aiohttp.ServerTimeoutError, TimeoutError), Outcome.TIMEOUT),
        ((aiohttp.ClientConnectorDNSError, connector.NoAnswer), Outcome.DNS),
        ((aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError, ssl.SSLError), Outcome.TLS),
        ((NoConnection, aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError), Outcome.CONNECT),
        # A malformed answer comes with `.status == 400`: a status is only ever taken from a response.
        ((HttpProcessingError, aiohttp.ClientResponseError, aiohttp.ClientPayloadError), Outcome.PROTOCOL),
        ((connector.HungUp, aiohttp.ServerDisconnectedError, OSError), Outcome.DISCONNECTED),
    ):
        if isinstance(error, kinds):
            return outcome
    return Outcome.ERROR


def _cause(error: Exception, outcome: Outcome) -> str:
    certificate = error if isinstance(error, ssl.SSLError) else getattr(error, "certificate_error", error.__cause__)
    if isinstance(certificate, ssl.SSLCertVerificationError):
        return CERTIFICATE_CAUSES.get(certificate.verify_code, certificate.verify_message)
    if isinstance(certificate, ssl.SSLError):
        return f"TLS: {certificate.reason or 'failed'}"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy refuses the connection with status {error.status}"
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return "the proxy cannot be reached"
    system = getattr(error, "os_error", None)
    if isinstance(system, OSError) and system.strerror:
        return str(system.strerror)
    return str(outcome.label) if outcome is not Outcome.ERROR else type(error).__name__


def _finished(reply: Reply, call: Call, flight: Flight, *, duration_ms: int) -> Reply:
    """Add what is known of the way, and mask what the server repeated of our secrets."""
    return Reply(
        outcome=reply.outcome,
        duration_ms=duration_ms,
        status=reply.status,
        error=masking.storable(masking.without(reply.error, call.secrets), limit=MAX_ERROR),
        address=flight.opened[-1] if flight.opened else "",
        headers=[[name, masking.without(value, call.secrets)] for name, value in reply.headers],
        excerpt=masking.without(reply.excerpt, call.secrets),
        pause=reply.pause,
    )
