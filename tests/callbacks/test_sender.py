"""One request to a real, misbehaving server, and what it is taken for."""

from __future__ import annotations

import asyncio
import socket
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from django.utils import timezone

from livereferrals.callbacks import calls, checking
from livereferrals.callbacks.calls import Job
from livereferrals.callbacks.connector import Flight
from livereferrals.callbacks.guard import Origin
from livereferrals.callbacks.openings import Rules
from livereferrals.callbacks.outcomes import Outcome
from livereferrals.callbacks.payload import Facts
from livereferrals.callbacks.sender import Reply, Sender
from livereferrals.exceptions import InvalidCallBackURL, Unrenderable
from tests.partner import Answer

if TYPE_CHECKING:
    from tests.partner import PartnerSink

EVENT: dict[str, Any] = {
    "type": "confirmation",
    "time": "2026-11-21T09:00:00Z",
    "partner": "p",
    "link": None,
    "data": {},
}
DELIVERY = uuid.UUID("018f0000-0000-7000-8000-000000000001")


def make_job(url: str, **overrides: Any) -> Job:
    values: dict[str, Any] = {
        "delivery": DELIVERY,
        "endpoint": 1,
        "token": uuid.uuid4(),
        "number": 1,
        "lost": 0,
        "payload": EVENT,
        "facts": Facts(delivery=DELIVERY, attempt=1),
        "method": "POST",
        "url": url,
        "plain_http": True,
        "headers": [],
        "secrets": (),
        "timeout_s": 1,
        "config_version": 1,
    }
    return Job(**values | overrides)


async def send(job: Job, *, resolver: AbstractResolver | None = None, rules: Rules | None = None) -> Reply:
    rules = rules or checking.rules()
    call = calls.prepare(job, rules=rules, at=timezone.now())
    async with Sender(resolver=resolver) as sender:
        return await sender.send(call, Flight(origin=call.origin, rules=rules))


class FixedNames(AbstractResolver):
    """A name server that gives these addresses for every name, a list for each look-up."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[Any]:
        self.asked.append(host)
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not addresses:
            raise OSError(None, "no such name")
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
            for address in addresses
        ]

    async def close(self) -> None:
        """There is nothing to close."""


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
    assert 900 <= reply.duration_ms <= 1500


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
    assert sink.calls[0].target == f"/x%2Fy/{encoded}?r={encoded}&t=%7E"


# --- the guard at work --------------------------------------------------------------------------------------------------------


async def test_name_with_a_private_answer_is_blocked_and_nothing_is_sent(sink: PartnerSink) -> None:
    """callback-S1: judged on the answer of the name server, in the very attempt."""
    rules = Rules.of(allow=(f"partner.example:{sink.port}",), block=("127.0.0.0/8",), ports=(80,))
    reply = await send(
        make_job(f"http://partner.example:{sink.port}/"), resolver=FixedNames(["127.0.0.1"]), rules=rules
    )
    assert (reply.outcome, reply.error) == (Outcome.BLOCKED, "refused: private address")
    assert sink.connections == 0


async def test_only_the_allowed_one_of_two_answers_is_connected_to(sink: PartnerSink) -> None:
    """callback-S1: a refused answer is dropped, the other one used."""
    rules = Rules.of(allow=(f"127.0.0.1/32:{sink.port}",), block=(), ports=(80, sink.port))
    names = FixedNames(["10.255.255.1", "127.0.0.1"])
    reply = await send(make_job(f"http://partner.example:{sink.port}/"), resolver=names, rules=rules)
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


# --- before anything is sent --------------------------------------------------------------------------------------------------


def prepare(job: Job) -> calls.Call:
    return calls.prepare(job, rules=checking.rules(), at=timezone.now())


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/a\r\nX: y", "http://127.0.0.1/{nope}", "http://127.0.0.1/ b", "", "nonsense"]
)
def test_row_changed_by_hand_is_checked_again_before_sending(url: str) -> None:
    """callback-S5, callback-S6: the database is trusted no more than a form."""
    with pytest.raises(Unrenderable):
        prepare(make_job(url))


def test_address_that_is_not_allowed_any_more_is_refused_before_sending(settings: Any) -> None:
    """callback-S6: the settings of today count."""
    settings.LIVEREFERRALS = {}
    with pytest.raises(InvalidCallBackURL, match="refused"):
        prepare(make_job("http://127.0.0.1/"))


def test_header_changed_by_hand_is_refused_before_sending() -> None:
    """callback-S5, callback-S7: no second header through a stored row."""
    with pytest.raises(Unrenderable):
        prepare(make_job("http://127.0.0.1/", headers=[{"name": "X-A", "value": "a\r\nHost: b"}]))


def test_erased_payload_and_bad_unicode_cannot_be_rendered() -> None:
    """callback-S19: nothing is made up for what was erased."""
    with pytest.raises(Unrenderable):
        prepare(make_job("http://127.0.0.1/", payload=None))
    with pytest.raises(Unrenderable):
        prepare(make_job("http://127.0.0.1/", payload={**EVENT, "data": {"reference": "\ud800"}}))


def test_call_for_people_hides_secrets() -> None:
    """callback-S11: in the URL, in headers and in the object's own text."""
    call = prepare(
        make_job(
            "http://127.0.0.1/?token=abc123",
            secrets=("whsec_" + "A" * 44,),
            headers=[{"name": "X-Mine", "value": "very-secret", "secret": True}, {"name": "Accept", "value": "text/x"}],
        )
    )
    assert call.shown_url().endswith("?token=***")
    assert call.shown_headers()["X-Mine"] == "***"
    assert "whsec_" not in repr(call)
    assert call.headers["Accept"] == "text/x"
    assert list(map(str.lower, call.headers)).count("accept") == 1


async def test_sender_outside_its_context_says_so() -> None:
    """callback-S20: a session without an end would be a leak."""
    call = prepare(make_job("http://127.0.0.1/"))
    origin = Origin(scheme="http", host="127.0.0.1", port=80, address=None)
    reply = await Sender().send(call, Flight(origin=origin, rules=checking.rules()))
    assert reply.outcome is Outcome.ERROR


async def test_silent_name_server_is_a_dns_failure() -> None:
    """callback-S20: a name is waited for 3 s at most."""

    class Silent(FixedNames):
        async def resolve(self, *args: Any, **kwargs: Any) -> list[Any]:
            await asyncio.Event().wait()
            return []

    rules = Rules.of(allow=(), block=(), ports=(80,))
    reply = await send(make_job("http://partner.example/", timeout_s=5), resolver=Silent([]), rules=rules)
    assert reply.outcome is Outcome.DNS
    assert 2900 <= reply.duration_ms <= 4000
