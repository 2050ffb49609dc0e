"""The body of a stream, without a server: its length, and what is left when nobody reads it to its end."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from channels.db import database_sync_to_async

from livereferrals.streaming.admission import Admission, admit
from livereferrals.streaming.credentials import Presented
from livereferrals.streaming.hub import get_hub
from livereferrals.streaming.places import places
from livereferrals.streaming.sse import EventStream
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.streaming.conftest import Reader

pytestmark = pytest.mark.django_db(transaction=True)


async def admission_of(reader: Reader, query: str = "", *, last_event_id: str | None = None) -> Admission:
    credentials = Presented(token=reader.token)
    return await database_sync_to_async(admit)(credentials, query, last_event_id=last_event_id)


def fields_of(chunk: bytes) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in chunk.decode().strip().splitlines())


async def test_long_response_ends_and_its_reader_comes_back(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """feed-41: nobody can see on every server whether the client reads; so no more than this is ever held for it"""
    monkeypatch.setattr("livereferrals.streaming.sse.MOST_BYTES", 4000)
    await database_sync_to_async(reader.append)(60)
    seen: list[str] = []
    place: str | None = None
    last: dict[str, str] = {}
    rounds = 0
    while len(seen) < 60:
        rounds += 1
        stream = EventStream(await admission_of(reader, "cursor=oldest&batch=5", last_event_id=place))
        async for chunk in stream:
            fields = fields_of(chunk)
            if fields.get("event") == "events":
                seen += [event["cursor"] for event in json.loads(fields["data"])["events"]]
            if fields.get("event") == "caught_up":
                break
            place = fields.get("id", place)
            last = fields
        if len(seen) < 60:
            assert (last["event"], json.loads(last["data"])["reason"]) == ("goodbye", "max_age")
        stream.close()
    assert [int(cursor.partition(".")[2]) for cursor in seen] == list(range(1, 61))
    assert rounds > 2
    await eventually(lambda: not places.by_token())


async def test_closed_response_holds_nothing(reader: Reader) -> None:
    """feed-53: whether it was never begun, left in the middle of a chunk, or read to where nothing more comes"""
    EventStream(await admission_of(reader)).close()
    for count in (1, 2, 3):
        stream = EventStream(await admission_of(reader))
        chunks = aiter(stream)
        for _ in range(count):
            await anext(chunks)
        await eventually(lambda: places.by_token() == {reader.row.pk: 1})
        # Django closes a response in a thread.
        await asyncio.to_thread(stream.close)
        await eventually(lambda: not places.by_token() and not get_hub().watchers())
        async for _ in chunks:
            pass  # what was handed over before; then it ends
