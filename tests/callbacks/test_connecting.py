"""The guard at work: names and literals judged at the very connection, and what comes of looking names up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from livereferrals.callbacks import calls
from livereferrals.callbacks.connector import Flight
from livereferrals.callbacks.openings import Rules
from livereferrals.callbacks.outcomes import Outcome
from livereferrals.callbacks.sender import Sender
from tests.callbacks.sending import FixedNames, make_job, send

if TYPE_CHECKING:
    from tests.partner import PartnerSink

pytestmark = pytest.mark.once


async def test_name_with_a_private_answer_is_blocked_and_nothing_is_sent(sink: PartnerSink) -> None:
    """callback-S1: judged on the answer of the name server, in the very attempt."""
    rules = Rules.of(allow=(f"partner.example:{sink.port}",), block=("127.0.0.0/8",), ports=(80,))
    reply = await send(make_job(sink.url("/", host="partner.example")), resolver=FixedNames(["127.0.0.1"]), rules=rules)
    assert (reply.outcome, reply.error) == (Outcome.BLOCKED, "refused: private address")
    assert sink.connections == 0


async def test_only_the_allowed_one_of_two_answers_is_connected_to(sink: PartnerSink) -> None:
    """callback-S1: a refused answer is dropped, the other one used."""
    rules = Rules.of(allow=(f"127.0.0.1/32:{sink.port}",), block=(), ports=(80, sink.port))
    names = FixedNames(["10.255.255.1", "127.0.0.1"])
    reply = await send(make_job(sink.url("/", host="partner.example")), resolver=names, rules=rules)
    assert (reply.outcome, reply.address) == (Outcome.OK, f"127.0.0.1:{sink.port}")
    assert names.asked == ["partner.example."]


async def test_literal_is_judged_at_the_socket(sink: PartnerSink) -> None:
    """callback-S1: a literal never reaches a resolver."""
    rules = Rules.of(allow=("127.0.0.0/8:*",), block=(), ports=(80,))
    call = calls.prepare(make_job(sink.url()), rules=rules, at=timezone.now())
    closed = Rules.of(allow=(), block=(), ports=(80,))
    async with Sender() as sender:
        reply = await sender.send(call, Flight(origin=call.origin, rules=closed))
    assert reply.outcome is Outcome.BLOCKED
    assert sink.connections == 0


async def test_unknown_name_has_its_own_outcome() -> None:
    """callback-S1: no answer is no refusal."""
    rules = Rules.of(allow=(), block=(), ports=(80,))
    reply = await send(make_job("http://partner.example/"), resolver=FixedNames([]), rules=rules)
    assert reply.outcome is Outcome.DNS


async def test_unexpected_exception_is_a_reply_and_logged_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    """callback-S11: whatever is raised, the traceback in the log is masked."""

    class Broken(FixedNames):
        async def resolve(self, *args: Any, **kwargs: Any) -> list[Any]:
            raise ZeroDivisionError("https://x.example/?token=abcdef and very-secret-value")

    rules = Rules.of(allow=(), block=(), ports=(80,))
    job = make_job(
        "http://partner.example/", headers=[{"name": "X-Mine", "value": "very-secret-value", "secret": True}]
    )
    reply = await send(job, resolver=Broken([]), rules=rules)
    assert (reply.outcome, reply.error) == (Outcome.ERROR, "ZeroDivisionError")
    assert "ZeroDivisionError" in caplog.text
    assert "abcdef" not in caplog.text
    assert "very-secret-value" not in caplog.text


async def test_silent_name_server_is_a_dns_failure() -> None:
    """callback-S20: a name is waited for 3 s at most."""

    class Silent(FixedNames):
        async def resolve(self, *args: Any, **kwargs: Any) -> list[Any]:
            await asyncio.Event().wait()
            return []

    rules = Rules.of(allow=(), block=(), ports=(80,))
    reply = await send(make_job("http://partner.example/", timeout_s=30), resolver=Silent([]), rules=rules)
    assert reply.outcome is Outcome.DNS
    assert 2900 <= reply.duration_ms <= 30_000
