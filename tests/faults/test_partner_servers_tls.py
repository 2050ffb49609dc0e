"""Partners' servers whose TLS is bad, each in its way: nothing is sent, and the cause is named."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest
from django.utils import timezone

from livereferrals.callbacks import calls
from livereferrals.callbacks.connector import Flight
from livereferrals.callbacks.openings import Rules
from livereferrals.callbacks.outcomes import Outcome
from livereferrals.callbacks.sender import Reply, Sender
from tests.callbacks.sending import FixedNames, make_job
from tests.certificates import Identity, issue
from tests.partner import partner_sink
from tests.ports import HOST

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.once

NAME: Final = "partner.example"


@pytest.fixture(scope="module")
def authority() -> Identity:
    return issue("The tests' authority")


async def send(url: str, *, trusted: Identity, directory: Path, timeout_s: int = 10) -> Reply:
    """Call the server by name over TLS, with this authority among the trusted ones."""
    bundle = directory / "bundle.pem"
    bundle.write_bytes(trusted.pem())
    rules = Rules.of(allow=(f"{NAME}:{urlsplit(url).port}",), block=(), ports=(443,))
    job = make_job(url, plain_http=False, timeout_s=timeout_s)
    call = calls.prepare(job, rules=rules, at=timezone.now())
    async with Sender(ca_bundle=str(bundle), resolver=FixedNames(["127.0.0.1"])) as sender:
        return await sender.send(call, Flight(origin=call.origin, rules=rules))


async def test_certificate_of_a_trusted_authority_is_taken(authority: Identity, tmp_path: Path) -> None:
    """callback-F22: the bundle of the setting adds to the trusted authorities; the name is checked against it."""
    with partner_sink(tls=issue(NAME, issuer=authority).context(tmp_path)) as sink:
        reply = await send(sink.url(host=NAME), trusted=authority, directory=tmp_path)
    assert (reply.outcome, reply.status, len(sink.calls)) == (Outcome.OK, 200, 1)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("expired", "the certificate has expired"),
        ("not yet valid", "the certificate is not valid yet"),
        ("self-signed", "the certificate is self-signed"),
        ("wrong name", "the certificate is for another host name"),
        ("unknown issuer", "the certificate's issuer is unknown"),
    ],
)
async def test_bad_certificate_is_refused_with_its_cause(
    authority: Identity, tmp_path: Path, fault: str, cause: str
) -> None:
    """callback-F22, callback-S3: before a byte of the request has left."""
    identity = {
        "expired": lambda: issue(NAME, issuer=authority, age=timedelta(days=60)),
        "not yet valid": lambda: issue(NAME, issuer=authority, age=timedelta(days=-20)),
        "self-signed": lambda: issue(NAME),
        "wrong name": lambda: issue("other.example", issuer=authority),
        "unknown issuer": lambda: issue(NAME, issuer=issue("Somebody")),
    }[fault]()
    with partner_sink(tls=identity.context(tmp_path)) as sink:
        reply = await send(sink.url(host=NAME), trusted=authority, directory=tmp_path)
    assert (reply.outcome, reply.status, reply.error) == (Outcome.TLS, None, cause)
    assert not sink.calls


async def test_server_with_an_old_version_alone_is_refused(authority: Identity, tmp_path: Path) -> None:
    """callback-F22, callback-S3: TLS 1.2 is the least."""
    context = issue(NAME, issuer=authority).context(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # setting an old version is what the test is about
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with partner_sink(tls=context) as sink:
        reply = await send(sink.url(host=NAME), trusted=authority, directory=tmp_path)
    assert (reply.outcome, reply.error) == (Outcome.TLS, "the server hung up in the middle of the TLS handshake")
    assert not sink.calls


async def test_plain_http_on_the_port_of_tls_is_no_answer(authority: Identity, tmp_path: Path) -> None:
    """callback-F22: what a plain server says to a handshake is never read as a status."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, HOST, 0) as server:
        reply = await send(
            f"https://{NAME}:{server.sockets[0].getsockname()[1]}/", trusted=authority, directory=tmp_path
        )
    assert (reply.outcome, reply.status) == (Outcome.TLS, None)


async def test_handshake_that_is_never_answered_is_given_up_after_five_seconds(
    authority: Identity, tmp_path: Path
) -> None:
    """callback-F22, callback-F1: a plain server that waits for more; connecting and TLS have 5 s together."""
    with partner_sink() as sink:
        secure = sink.url(host=NAME).replace("http:", "https:")
        reply = await send(secure, trusted=authority, directory=tmp_path, timeout_s=30)
    assert reply.outcome is Outcome.TIMEOUT_CONNECT
    assert 4900 <= reply.duration_ms <= 20_000
