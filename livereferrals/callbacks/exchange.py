"""One request on a connection of its own, and the head of its answer (callbacks, section 5).

aiohttp's parser and reader do the work, and its rules for what is a malformed answer hold. Its session is left out: pool,
redirects, cookies, repeats are what a callback must not have, and take longer than the request (measured for one with a
connection of its own: 190 us of CPU without, 340 with it). A proxy is reached by the session all the same.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp.client_proto import ResponseHandler

from livereferrals.callbacks import connector
from livereferrals.callbacks.connector import CONNECT_TIMEOUT_S, MAX_HEADER_LINE, MAX_HEADER_LINES
from livereferrals.exceptions import AddressRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp.abc import ResolveResult
    from multidict import CIMultiDictProxy

    from livereferrals.callbacks.calls import Call
    from livereferrals.callbacks.connector import Flight, GuardedResolver

STAGGER_S: Final = 0.25
"""After this the next address of a host is tried too (RFC 8305, 5)."""
SWITCHING: Final = 101


class NoConnection(aiohttp.ClientError):
    """No connection came about; `os_error` says why."""

    def __init__(self, os_error: OSError) -> None:
        super().__init__(str(os_error))
        self.os_error = os_error


@dataclass(slots=True, kw_only=True)
class Answer:
    """The head of an answer, and its body as it comes."""

    status: int
    headers: CIMultiDictProxy[str]
    content: aiohttp.StreamReader
    protocol: ResponseHandler

    def close(self) -> None:
        """Part from the server; what it still says is not heard."""
        self.protocol.abort()


async def exchange(call: Call, flight: Flight, *, resolver: GuardedResolver, tls: ssl.SSLContext) -> Answer:
    """Make a request and wait for the head of its answer; who calls this sets the time limit, and closes the answer.

    Raises:
        NoAnswer: the name servers know no address.
        AddressRefused: no address is allowed.
        NoConnection: there is none to the server.
        ConnectionTimeoutError: not in time.
        SSLError: no TLS, or not with this server.
        ClientError: the server hung up, or what it says is no HTTP.
    """
    request = _request(call)
    try:
        async with asyncio.timeout(connector.DNS_TIMEOUT_S + CONNECT_TIMEOUT_S) as limit:
            places = await resolver.places(flight)
            limit.reschedule(asyncio.get_running_loop().time() + CONNECT_TIMEOUT_S)
            protocol = await _connect(places, flight, tls=tls)
    except TimeoutError as error:
        raise aiohttp.ConnectionTimeoutError("no connection in time") from error
    try:
        assert protocol.transport is not None  # noqa: S101 - for the type checker; it was made just now
        protocol.set_response_params(
            read_until_eof=True,
            auto_decompress=False,
            max_line_size=MAX_HEADER_LINE,
            max_field_size=MAX_HEADER_LINE,
            max_headers=MAX_HEADER_LINES,
        )
        protocol.transport.write(request)
        flight.has_left = True
        while True:
            message, content = await protocol.read()
            if not 100 <= message.code <= 199 or message.code == SWITCHING:
                break
    except BaseException:
        protocol.abort()
        raise
    return Answer(status=message.code, headers=message.headers, content=content, protocol=protocol)


def _request(call: Call) -> bytes:
    lines = [f"{call.method} {call.url.raw_path_qs} HTTP/1.1", f"Host: {call.origin.authority}"]
    lines += [f"{name}: {value}" for name, value in call.headers.items()]
    if call.body is not None:
        lines.append(f"Content-Length: {len(call.body)}")
    lines.append("Connection: close")
    head = "\r\n".join([*lines, "", ""])
    ends = len(lines) + 1
    if head.count("\r") != ends or head.count("\n") != ends or "\0" in head:
        raise ValueError("a header holds the end of a line")
    return head.encode() + (call.body or b"")


async def _connect(places: Sequence[ResolveResult], flight: Flight, *, tls: ssl.SSLContext) -> ResponseHandler:
    loop = asyncio.get_running_loop()
    is_secure = flight.origin.scheme == "https"
    try:
        # One address is what nearly all hosts have.
        made = await _open(places[0]) if len(places) == 1 else await _open_any(_mixed(places))
        try:
            _, protocol = await loop.create_connection(
                lambda: ResponseHandler(loop),
                sock=made,
                ssl=tls if is_secure else None,
                server_hostname=flight.origin.host if is_secure else None,
            )
        except BaseException:
            made.close()
            raise
    except (ssl.SSLError, TimeoutError, AddressRefused):
        raise
    except OSError as error:
        raise NoConnection(error) from error
    return protocol


async def _open(place: ResolveResult) -> socket.socket:
    """Return a socket that is connected to this address."""
    address: Any = (place["host"], place["port"])
    made = connector.guarded_socket((place["family"], socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address))
    try:
        made.setblocking(False)  # noqa: FBT003 - the socket's own
        await asyncio.get_running_loop().sock_connect(made, address)
    except BaseException:
        made.close()
        raise
    return made


def _mixed(places: Sequence[ResolveResult]) -> list[ResolveResult]:
    """Return the addresses with the two families in turn, so that one that leads nowhere costs little (RFC 8305, 4)."""
    first = [place for place in places if place["family"] == places[0]["family"]]
    second = [place for place in places if place["family"] != places[0]["family"]]
    every = [place for pair in zip(first, second, strict=False) for place in pair]
    return every + first[len(second) :] + second[len(first) :]


async def _open_any(places: Sequence[ResolveResult]) -> socket.socket:
    """Return a socket to the first of these addresses that takes it; each is tried a little after the one before."""
    left, tasks = list(places), set[asyncio.Task[socket.socket]]()
    failure: OSError = OSError("no address")
    try:
        while left or tasks:
            if left:
                tasks.add(asyncio.create_task(_open(left.pop(0))))
            timeout = STAGGER_S if left else None
            done, tasks = await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                try:
                    made = task.result()
                except OSError as error:
                    failure = error
                else:
                    tasks |= done - {task}
                    return made
        raise failure
    finally:
        await _drop(tasks)


async def _drop(tasks: set[asyncio.Task[socket.socket]]) -> None:
    """Part from the attempts that came too late."""
    for task in tasks:
        task.cancel()
    for made in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(made, socket.socket):
            made.close()
