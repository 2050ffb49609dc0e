"""Callbacks through the forward proxy that the host project names, as some networks demand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.utils import timezone

from livereferrals.callbacks import calls, checking
from livereferrals.callbacks.connector import Flight
from livereferrals.callbacks.openings import Rules
from livereferrals.callbacks.outcomes import Outcome
from livereferrals.callbacks.proxies import Proxy
from livereferrals.callbacks.sender import Reply, Sender
from livereferrals.exceptions import ConfigurationError
from tests.callbacks.sending import FixedNames, make_job
from tests.partner import Answer

if TYPE_CHECKING:
    from typing import Any

    from aiohttp.abc import AbstractResolver

    from tests.partner import PartnerSink

pytestmark = pytest.mark.once

PUBLIC = Rules.of(allow=(), block=(), ports=(80, 443))


async def send(url: str, *, proxy: str, resolver: AbstractResolver | None = None, rules: Rules = PUBLIC) -> Reply:
    call = calls.prepare(make_job(url), rules=rules, at=timezone.now())
    async with Sender(proxy=Proxy.parse(proxy), resolver=resolver) as sender:
        return await sender.send(call, Flight(origin=call.origin, rules=rules))


async def test_plain_call_is_handed_to_the_proxy(sink: PartnerSink) -> None:
    """callback-S26: the proxy is connected to, wherever it is, with the whole URL and its own credentials."""
    proxy = sink.origin.replace("http://", "http://me:pass@")
    reply = await send("http://partner.example/x?a=1", proxy=proxy, resolver=FixedNames(["93.184.216.34"]))
    assert (reply.outcome, reply.address) == (Outcome.OK, f"127.0.0.1:{sink.port}")
    (call,) = sink.calls
    assert call.target == "http://partner.example/x?a=1"
    assert call.headers["host"] == "partner.example"
    assert call.headers["proxy-authorization"].startswith("Basic ")


async def test_tunnel_is_asked_for_and_its_refusal_is_no_answer(sink: PartnerSink) -> None:
    """callback-S26: what the proxy says is never taken for the partner's answer."""
    sink.default = Answer(status=403)
    reply = await send("https://partner.example/", proxy=sink.origin, resolver=FixedNames(["93.184.216.34"]))
    assert (reply.outcome, reply.status) == (Outcome.CONNECT, None)
    assert reply.error == "the proxy refuses the connection with status 403"
    assert [(call.method, call.target) for call in sink.calls] == [("CONNECT", "partner.example:443")]


@pytest.mark.parametrize("url", ["http://partner.example/", "http://[::ffff:10.0.0.1]/", "http://10.0.0.1/"])
async def test_proxy_is_not_asked_to_go_where_the_guard_would_not(sink: PartnerSink, url: str) -> None:
    """callback-S1: name and literal are judged before anything reaches the proxy."""
    open_at_save = Rules.of(allow=("10.0.0.0/8", "::ffff:0:0/96"), block=(), ports=(80,))
    call = calls.prepare(make_job(url), rules=open_at_save, at=timezone.now())
    async with Sender(proxy=Proxy.parse(sink.origin), resolver=FixedNames(["10.0.0.1"])) as sender:
        reply = await sender.send(call, Flight(origin=call.origin, rules=PUBLIC))
    assert (reply.outcome, reply.error) == (Outcome.BLOCKED, "refused: private address")
    assert not sink.connections


async def test_address_of_the_proxy_opens_nothing_to_partners(sink: PartnerSink) -> None:
    """callback-S1: a callback URL that names the proxy itself is judged like any other."""
    names = FixedNames(["127.0.0.1"])
    rules = Rules.of(allow=(f"proxy.example:{sink.port}",), block=("127.0.0.0/8",), ports=(80,))
    reply = await send(
        sink.url("/", host="proxy.example"), proxy=f"http://proxy.example:{sink.port}", resolver=names, rules=rules
    )
    assert reply.outcome is Outcome.BLOCKED
    assert not sink.connections


async def test_name_that_is_not_known_and_a_proxy_that_is_not_there_have_their_outcomes(sink: PartnerSink) -> None:
    """callback-S26: told apart, so that staff know whom to ask."""
    unknown = await send("http://partner.example/", proxy=sink.origin, resolver=FixedNames([]))
    assert unknown.outcome is Outcome.DNS
    proxy = sink.origin
    sink.stop_listening()
    away = await send("http://partner.example/", proxy=proxy, resolver=FixedNames(["93.184.216.34"]))
    assert (away.outcome, away.error) == (Outcome.CONNECT, "the proxy cannot be reached")


async def test_proxy_may_be_a_name_of_the_inner_network(sink: PartnerSink) -> None:
    """callback-S26: the host project has named it, so its private address is no reason to refuse."""
    names = FixedNames(["93.184.216.34"], ["127.0.0.1"])
    reply = await send("http://partner.example/", proxy=f"http://proxy.internal:{sink.port}", resolver=names)
    assert (reply.outcome, names.asked) == (Outcome.OK, ["partner.example.", "proxy.internal"])


@pytest.mark.parametrize(
    "text",
    ["proxy", "proxy:3128", "https://proxy:3128", "socks5://proxy", "http://", "http://proxy/path", "http://p:x"],
)
def test_proxy_of_another_form_is_refused_without_repeating_it(settings: Any, text: str) -> None:
    """callback-S11: the text may hold a password."""
    with pytest.raises(ValueError, match="expected http://proxy") as caught:
        Proxy.parse(text)
    assert text not in str(caught.value).replace("http://proxy.internal:3128", "") or text == "proxy"
    settings.LIVEREFERRALS = {"CALLBACKS": {"PROXY": text}}
    with pytest.raises(ConfigurationError, match="PROXY"):
        checking.proxy()


def test_proxy_is_read_from_the_settings(settings: Any) -> None:
    """callback-S26: none by default; without a port it is the one of custom."""
    settings.LIVEREFERRALS = {}
    assert checking.proxy() is None
    settings.LIVEREFERRALS = {"CALLBACKS": {"PROXY": "http://me:secret@proxy.internal"}}
    proxy = checking.proxy()
    assert proxy is not None
    assert (proxy.host, proxy.port) == ("proxy.internal", 3128)
    assert "secret" not in repr(proxy)
