"""One request to a real, misbehaving server, and what it is taken for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from livereferrals.callbacks import calls, checking
from livereferrals.callbacks.connector import Flight
from livereferrals.callbacks.guard import Origin
from livereferrals.callbacks.outcomes import Outcome
from livereferrals.callbacks.sender import Sender
from tests.callbacks.sending import EVENT, make_job, send
from tests.partner import Answer

if TYPE_CHECKING:
    from tests.partner import PartnerSink

pytestmark = pytest.mark.once


@pytest.mark.parametrize("status", [200, 201, 202, 204, 205, 206, 226])
async def test_any_2xx_is_a_delivery(sink: PartnerSink, status: int) -> None:
    """callback-F11: all of them alike, whatever the body says."""
    body = b"" if status in {204, 205} else b'{"error": "nope"}'
    sink.default = Answer(status=status, body=body)
    reply = await send(make_job(sink.url()))
    assert (reply.outcome, reply.status) == (Outcome.OK, status)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
async def test_redirect_is_a_failure_and_its_target_is_never_contacted(sink: PartnerSink, status: int) -> None:
    """callback-F12, callback-S2: the log names the new place, masked; nobody goes there."""
    sink.default = Answer(status=status, headers={"location": sink.url("/other?token=abc")})
    reply = await send(make_job(sink.url("/first")))
    assert reply.outcome is Outcome.REDIRECT
    assert "/other?token=***" in reply.error
    assert [call.path for call in sink.calls] == ["/first"]


@pytest.mark.parametrize("manner", ["close", "reset"])
@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_silent_hang_up_is_one_request_and_a_failure(sink: PartnerSink, manner: Any, method: str) -> None:
    """callback-F4: closed or reset without a byte; the client repeats nothing by itself."""
    sink.default = Answer(manner=manner)
    reply = await send(make_job(sink.url(), method=method))
    assert reply.outcome is Outcome.DISCONNECTED
    assert len(sink.calls) == 1


async def test_answer_that_is_no_http_is_never_shown_as_a_status(sink: PartnerSink) -> None:
    """callback-S8: aiohttp raises it with status 400, which no server has sent."""
    sink.default = Answer(manner="garbage")
    reply = await send(make_job(sink.url()))
    assert (reply.outcome, reply.status) == (Outcome.PROTOCOL, None)


async def test_101_is_no_answer(sink: PartnerSink) -> None:
    """callback-S8: nobody asked for another protocol."""
    sink.default = Answer(status=101, headers={"upgrade": "websocket"})
    reply = await send(make_job(sink.url()))
    assert reply.outcome is Outcome.PROTOCOL


@pytest.mark.parametrize("manner", ["torn", "endless"])
async def test_status_decides_and_the_body_is_capped(sink: PartnerSink, manner: Any) -> None:
    """callback-S8, callback-S20: a broken or endless body changes nothing and is not read on."""
    sink.default = Answer(manner=manner)
    reply = await send(make_job(sink.url()))
    assert reply.outcome is Outcome.OK
    assert len(reply.excerpt) <= 4096


async def test_hanging_server_is_a_timeout(sink: PartnerSink) -> None:
    """callback-S20: the time limit covers all up to the head of the answer."""
    sink.default = Answer(manner="hang")
    reply = await send(make_job(sink.url(), timeout_s=1))
    sink.release()
    assert reply.outcome is Outcome.TIMEOUT
    assert 900 <= reply.duration_ms <= 30_000


async def test_dripping_head_is_a_timeout(sink: PartnerSink) -> None:
    """callback-S20: a byte now and then does not win time."""
    sink.default = Answer(manner="drip")
    reply = await send(make_job(sink.url(), timeout_s=1))
    assert reply.outcome is Outcome.TIMEOUT


async def test_refused_connection_has_its_own_outcome(sink: PartnerSink) -> None:
    """callback-S14: nothing listens there."""
    url = sink.url()
    sink.stop_listening()
    reply = await send(make_job(url))
    assert reply.outcome is Outcome.CONNECT
    assert reply.address.startswith("127.0.0.1:")


async def test_plain_http_on_a_tls_url_is_a_tls_failure(sink: PartnerSink) -> None:
    """callback-S3: the certificate is always asked for; there is no switch."""
    reply = await send(make_job(sink.url().replace("http://", "https://"), timeout_s=3))
    assert reply.outcome in {Outcome.TLS, Outcome.TIMEOUT_CONNECT}
    assert not sink.calls


async def test_compressed_answer_is_not_inflated(sink: PartnerSink) -> None:
    """callback-S8: the excerpt says so in place of its content."""
    sink.default = Answer(headers={"content-encoding": "gzip"}, body=b"\x1f\x8b-no-gzip")
    reply = await send(make_job(sink.url()))
    assert (reply.outcome, reply.excerpt) == (Outcome.OK, "(compressed)")


async def test_strange_bytes_of_an_answer_are_stored_as_text(sink: PartnerSink) -> None:
    """callback-S8, callback-S10: NUL and bad UTF-8 in body and headers."""
    sink.default = Answer(body=b"a\x00b\xff<script>", headers={"x-odd": "\xff"})
    reply = await send(make_job(sink.url()))
    assert reply.excerpt == "a\\x00b\\xff<script>"
    assert ["x-odd", "\\udcff"] in reply.headers


async def test_secrets_that_a_server_repeats_are_masked(sink: PartnerSink) -> None:
    """callback-S11: what it was sent, in its answer."""
    sink.default = Answer(body=b"your key is very-secret-value", headers={"x-echo": "very-secret-value"})
    job = make_job(sink.url(), headers=[{"name": "X-Mine", "value": "very-secret-value", "secret": True}])
    reply = await send(job)
    assert "very-secret-value" not in repr(reply)
    assert sink.calls[0].headers["x-mine"] == "very-secret-value"


async def test_request_carries_what_the_contract_says_and_nothing_else(
    sink: PartnerSink, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """callback-S2: no cookie, no credentials of the environment, no proxy; identity encoding; our name."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    sink.default = Answer(headers={"set-cookie": "a=b"})
    job = make_job(sink.url(), secrets=("whsec_" + "A" * 44,))
    async with Sender() as sender:
        for _ in range(2):
            call = calls.prepare(job, rules=checking.rules(), at=timezone.now())
            await sender.send(call, Flight(origin=call.origin, rules=checking.rules()))
    for call_seen in sink.calls:
        assert set(call_seen.headers) <= {
            "host", "user-agent", "accept", "accept-encoding", "content-type", "content-length", "connection",
            "webhook-id", "webhook-timestamp", "webhook-signature",
        }  # fmt: skip
        assert call_seen.headers["accept-encoding"] == "identity"
        assert call_seen.headers["user-agent"].startswith("livereferrals/")
    assert len({call_seen.connection for call_seen in sink.calls}) == 2


async def test_url_goes_on_the_wire_as_it_was_rendered(sink: PartnerSink) -> None:
    """callback-S6: nothing decodes, re-encodes or resolves it on its way."""
    event = {**EVENT, "data": {"reference": "a/b ~%41&é\r\n"}}
    job = make_job(sink.url("/x%2Fy/{reference}?r={reference}&t=%7E"), method="GET", payload=event)
    await send(job)
    encoded = "a%2Fb%20~%2541%26%C3%A9%0D%0A"
    assert sink.calls[0].target == f"{sink.prefix}/x%2Fy/{encoded}?r={encoded}&t=%7E"


async def test_sender_outside_its_context_says_so() -> None:
    """callback-S20: a session without an end would be a leak."""
    call = calls.prepare(make_job("http://127.0.0.1/"), rules=checking.rules(), at=timezone.now())
    origin = Origin(scheme="http", host="127.0.0.1", port=80, address=None)
    reply = await Sender().send(call, Flight(origin=origin, rules=checking.rules()))
    assert reply.outcome is Outcome.ERROR
