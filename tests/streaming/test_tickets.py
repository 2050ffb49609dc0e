"""Tickets: what a browser connects with, against real servers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from channels.db import database_sync_to_async
from django.utils import timezone

from livereferrals.exceptions import FeedError
from livereferrals.streaming import tickets, tokens
from livereferrals.streaming.models import FeedTicket
from tests.streaming.clients import PROTOCOL, feed
from tests.streaming.conftest import Reader, make_reader
from tests.streaming.twins import ask, event_source

if TYPE_CHECKING:
    from tests.servers import HostServer

pytestmark = pytest.mark.django_db(transaction=True)


async def new_ticket(server: HostServer, reader: Reader) -> str:
    answer = await ask(server, "ticket", reader.token, method="POST")
    assert answer.status == 201, answer.text
    text: str = answer.json["ticket"]
    return text


def offering(text: str) -> list[str]:
    return [PROTOCOL, f"livereferrals.ticket.{text}"]


@pytest.mark.once
async def test_ticket_is_shown_once_and_stored_as_a_hash(server: HostServer, reader: Reader) -> None:
    """feed-11: and the answer is not kept by anybody on the way"""
    answer = await ask(server, "ticket", reader.token, method="POST")
    assert (answer.status, answer.headers["Cache-Control"]) == (201, "no-store")
    assert answer.json.keys() == {"ticket", "expires_at"}
    assert answer.json["ticket"].startswith("lrt_")
    row = await database_sync_to_async(FeedTicket.objects.get)()
    assert answer.json["ticket"] not in row.hash
    assert answer.json["expires_at"].endswith("Z")
    assert timedelta(seconds=59) < row.expires_at - row.created_at <= timedelta(seconds=61)


@pytest.mark.once
async def test_ticket_opens_one_connection(server: HostServer, reader: Reader) -> None:
    """feed-11: as a subprotocol, which is not echoed, or in the URL; the second use is refused on every transport"""
    text = await new_ticket(server, reader)
    async with feed(server, None, subprotocols=offering(text)) as client:
        assert client.socket.subprotocol == PROTOCOL
        assert (await client.receive())["topic"] == f"partner:{reader.partner.uid}"
    async with feed(server, None, subprotocols=offering(text)) as client:
        error, code = await client.ending()
        assert error is not None
        assert (error["code"], code) == ("ticket_used", 4501)
    for name in ("sse", "poll"):
        answer = await ask(server, name, ticket=text)
        assert answer.told == (401, "ticket_used")
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.once
async def test_ticket_works_in_the_url(server: HostServer, reader: Reader) -> None:
    """feed-11: a refusal for another reason leaves it whole"""
    await database_sync_to_async(reader.append)(2)
    text = await new_ticket(server, reader)
    assert (await ask(server, "sse", ticket=text, types="unknown")).told == (400, "bad_request")
    async with event_source(server, ticket=text, cursor="oldest") as client:
        await client.until_events(2)
    text = await new_ticket(server, reader)
    assert len((await ask(server, "poll", ticket=text, cursor="oldest")).json["events"]) == 2


@pytest.mark.once
async def test_connection_outlives_its_ticket(uvicorn: HostServer, reader: Reader) -> None:
    """feed-12, feed-11: an unused one is void by then"""
    unused = await new_ticket(uvicorn, reader)
    async with (
        feed(uvicorn, None, subprotocols=offering(await new_ticket(uvicorn, reader))) as socket,
        event_source(uvicorn, ticket=await new_ticket(uvicorn, reader)) as stream,
    ):
        await socket.until("caught_up")
        await stream.until("caught_up")
        await FeedTicket.objects.aupdate(expires_at=timezone.now())  # as time does
        for name in ("sse", "poll"):
            assert (await ask(uvicorn, name, ticket=unused)).told == (401, "unauthorized")
        await database_sync_to_async(reader.append)()
        await socket.until_events(1)
        await stream.until_events(1)


@pytest.mark.once
async def test_connection_ends_with_the_token_of_its_ticket(daphne: HostServer, reader: Reader) -> None:
    """feed-12, feed-8: it lives as long as the token"""
    text = await new_ticket(daphne, reader)
    async with event_source(daphne, ticket=text) as client:
        await client.until("caught_up")
        await database_sync_to_async(tokens.revoke)(reader.row)
        last = await client.ending()
    assert last is not None
    assert (last["type"], last["code"]) == ("error", "token_revoked")


async def test_token_and_ticket_must_be_of_one_token(server: HostServer, reader: Reader) -> None:
    """feed-14"""
    other = await database_sync_to_async(make_reader)()
    foreign = await new_ticket(server, other)
    async with feed(server, reader.token, subprotocols=offering(foreign)) as client:
        error, code = await client.ending()
        assert error is not None
        assert (error["code"], code) == ("bad_request", 4514)
    assert (await ask(server, "poll", reader.token, ticket=foreign)).told == (400, "bad_request")
    own = await new_ticket(server, reader)
    async with feed(server, reader.token, subprotocols=offering(own)) as client:
        assert (await client.receive())["type"] == "hello"


async def test_ticket_is_given_for_a_token_alone(server: HostServer, reader: Reader) -> None:
    """feed-11: a ticket begets no other, and nothing else but POST asks for one"""
    text = await new_ticket(server, reader)
    assert (await ask(server, "ticket", method="POST", ticket=text)).told == (401, "unauthorized")
    assert (await ask(server, "ticket", method="POST")).told == (401, "unauthorized")
    assert (await ask(server, "ticket", f"{reader.token}x", method="POST")).told == (401, "unauthorized")
    wrong = await ask(server, "ticket", reader.token)
    assert (*wrong.told, wrong.headers["Allow"]) == (405, "bad_request", "POST, OPTIONS")


def test_ticket_is_used_by_one_of_two_at_once(reader: Reader) -> None:
    """feed-11: both have looked before either has used it"""
    text = tickets.issue(reader.row.pk).text
    assert tickets.verify(text) == tickets.verify(text)
    tickets.use(text)
    with pytest.raises(FeedError) as refused:
        tickets.use(text)
    assert refused.value.code == "ticket_used"


def test_rows_of_long_ago_are_forgotten(reader: Reader) -> None:
    """feed-11: by whoever gets the next ticket"""
    old, new = tickets.issue(reader.row.pk), tickets.issue(reader.row.pk)
    old_hash = FeedTicket.objects.earliest("created_at").pk
    FeedTicket.objects.filter(pk=old_hash).update(expires_at=timezone.now() - 2 * tickets.KEPT)
    tickets.issue(reader.row.pk)
    assert FeedTicket.objects.count() == 2
    assert tickets.verify(new.text) == tokens.verify(reader.token)
    assert old.text not in repr(old)
