"""How a worker reaches partners' servers: names resolved and addresses judged at the very connection.

Both the resolver's answers and the address of each socket are judged (callbacks, section 7): literals never reach a
resolver, and connecting uses the checked addresses without a second look-up, which is what defeats DNS rebinding.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from livereferrals.callbacks import guard
from livereferrals.exceptions import AddressRefused

if TYPE_CHECKING:
    from livereferrals.callbacks.guard import Origin
    from livereferrals.callbacks.openings import Rules
    from livereferrals.callbacks.proxies import Proxy

DNS_TIMEOUT_S: Final = 3.0
CONNECT_TIMEOUT_S: Final = 5.0
MAX_HEADER_LINE: Final = 8190
MAX_HEADER_LINES: Final = 128
IPV4: Final = 4
RECEIVE_BUFFER: Final = 65_536
"""Bytes that the kernel keeps of an answer that nobody reads on; by itself it takes some megabytes."""


@dataclass(slots=True, kw_only=True)
class Flight:
    """What one request did so far on its way out."""

    origin: Origin
    rules: Rules
    refused: bool = False
    """The guard has dropped an address."""
    opened: list[str] = field(default_factory=list)
    """Addresses, with port, that a socket was made for."""
    has_left: bool = False
    """The request's head is on the wire: the partner may act on it."""
    proxy: Proxy | None = None
    """What is connected to in place of the origin."""
    proxy_addresses: set[str] = field(default_factory=set)
    """Where the proxy's own name leads."""

    def passes(self, address: str, port: int) -> bool:
        """Whether a socket to this address may be made: the proxy's, or one that the guard allows."""
        if self.proxy is None:
            return self.judge(address, port)
        return port == self.proxy.port and (address == self.proxy.host or address in self.proxy_addresses)

    def judge(self, address: str, port: int) -> bool:
        """Whether this address may be connected to; a refusal is remembered."""
        allowed = guard.may_connect(address, port, rules=self.rules, host=self.origin.host)
        self.refused = self.refused or not allowed
        return allowed


FLIGHT: ContextVar[Flight] = ContextVar("livereferrals_flight")
"""Which request a resolver call or socket belongs to; aiohttp's own tasks inherit it."""


class HungUp(aiohttp.ClientError):
    """The server closed or reset the connection before the head of its answer was complete."""


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Make a request once: aiohttp repeats a GET whose server hangs up, on a new connection too (measured).

    It repeats what raises its own two classes for that, so they are raised as another one.
    """
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise HungUp("the server hung up") from error


class NoAnswer(aiohttp.ClientError):
    """The name servers have no address for the host, or none in time."""


class GuardedResolver(AbstractResolver):
    """Asks DNS through aiodns, not through Django's threads, and drops what the guard refuses."""

    def __init__(self, inner: AbstractResolver) -> None:
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the allowed addresses of the host, or all of the proxy's: that one the host project has named.

        Raises:
            OSError: no answer, or a slow one.
            AddressRefused: there are answers and none is allowed.
        """
        flight = FLIGHT.get()
        if flight.proxy is None:
            return await self._judged(flight, host, port, family)
        answers = await self._ask(host, port, family)
        flight.proxy_addresses |= {one["host"] for one in answers}
        return answers

    async def judge_ahead(self, flight: Flight) -> None:
        """Judge where the origin leads before a proxy is asked to go there; what it looks up itself is its own matter.

        Raises:
            NoAnswer: the name servers do not know the host.
            AddressRefused: no address of the host is allowed.
        """
        (place, *_) = await self.places(flight)
        if not flight.judge(place["host"], flight.origin.port):
            raise AddressRefused(guard.REFUSED_ADDRESS)

    async def places(self, flight: Flight) -> list[ResolveResult]:
        """Return where a socket for this flight may lead: the host's allowed addresses, or itself if it is one.

        Raises:
            NoAnswer: the name servers do not know the host, or do not answer.
            AddressRefused: no address of the host is allowed.
        """
        origin = flight.origin
        if origin.address is None:
            try:
                return await self._judged(flight, origin.host, origin.port, socket.AF_UNSPEC)
            except AddressRefused:
                raise
            except OSError as error:
                raise NoAnswer(str(error)) from error
        family = socket.AF_INET if origin.address.version == IPV4 else socket.AF_INET6
        # It is judged where its socket is made.
        return [
            ResolveResult(hostname=origin.host, host=origin.host, port=origin.port, family=family, proto=0, flags=0)
        ]

    async def _judged(self, flight: Flight, host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
        # As an absolute name, so that no search domain of ours can answer; an allowed name may need one.
        answers = await self._ask(host if flight.rules.opens_name(host, port) else f"{host}.", port, family)
        allowed = [ResolveResult(**{**one, "hostname": host}) for one in answers if flight.judge(one["host"], port)]
        if not allowed:
            raise AddressRefused(guard.REFUSED_ADDRESS)
        return allowed

    async def _ask(self, name: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
        try:
            async with asyncio.timeout(DNS_TIMEOUT_S):
                return await self._inner.resolve(name, port, family)
        except TimeoutError as error:
            # Not as a TimeoutError: aiohttp would take it for one of its own.
            raise OSError(f"no answer within {DNS_TIMEOUT_S:.0f} s") from error

    async def close(self) -> None:
        """Give the resolver back."""
        await self._inner.close()


def guarded_socket(address_info: Any) -> socket.socket:
    """Make the socket for an address, which is judged here once more: the one really connected to.

    Raises:
        AddressRefused: the guard refuses it.
    """
    family, kind, protocol, _, place = address_info
    flight = FLIGHT.get()
    if not flight.passes(place[0], place[1]):
        raise AddressRefused(guard.REFUSED_ADDRESS)
    flight.opened.append(f"{place[0]}:{place[1]}" if family == socket.AF_INET else f"[{place[0]}]:{place[1]}")
    made = socket.socket(family=family, type=kind, proto=protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    return made


def tls_context(ca_bundle: str | None) -> ssl.SSLContext:
    """Return the context for every call: verification and host name on, TLS 1.2 or newer. There is no switch."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_bundle is not None:
        context.load_verify_locations(cafile=ca_bundle)
    return context


def make_session(*, tls: ssl.SSLContext, resolver: GuardedResolver) -> aiohttp.ClientSession:
    """Return the one session of a worker that goes by a proxy (callbacks, section 5).

    A connection serves one request: on a kept-alive one aiohttp takes bytes that arrived while it was idle for the
    answer to the next request, and silently repeats a GET whose server has closed it.
    """
    connector = aiohttp.TCPConnector(
        limit=0,
        limit_per_host=0,
        force_close=True,
        use_dns_cache=False,
        ssl=tls,
        resolver=resolver,
        socket_factory=guarded_socket,
    )
    tracing = aiohttp.TraceConfig()
    tracing.on_request_headers_sent.append(_note_departure)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        raise_for_status=False,
        auto_decompress=False,
        max_line_size=MAX_HEADER_LINE,
        max_field_size=MAX_HEADER_LINE,
        max_headers=MAX_HEADER_LINES,
        # The total is the sender's own; the threshold keeps aiohttp from rounding up to whole seconds.
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, ceil_threshold=3600),
        trace_configs=[tracing],
        middlewares=(_once,),
    )


async def _note_departure(*_args: object) -> None:
    FLIGHT.get().has_left = True
