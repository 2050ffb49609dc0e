"""The server's messages are the golden ones, which the clients' tests read too."""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

from livereferrals.events.cursors import Cursor
from livereferrals.events.log import Topic
from livereferrals.events.models import Event
from livereferrals.exceptions import FeedError
from livereferrals.streaming import protocol
from livereferrals.streaming.frames import Encoder, LogKeys, Selection
from livereferrals.streaming.resuming import Place

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "frames.json").read_text(encoding="utf-8"))
SERVER = GOLDEN["server"]


def hello_from(golden: dict[str, Any]) -> str:
    gap = golden.get("gap")
    return protocol.hello(
        connection=golden["connection"],
        time=golden["time"],
        topic=golden["topic"],
        types=golden["types"],
        links=golden["links"],
        cursor=Cursor.parse(golden["cursor"]),
        oldest=Cursor.parse(golden["oldest"]).seq,
        newest=Cursor.parse(golden["newest"]).seq,
        resume=golden["resume"],
        gap=gap and protocol.Gap(reason=gap["reason"], origin=gap["from"], to=Cursor.parse(gap["to"])),
        ack=golden["ack"],
        limits=golden["limits"],
    )


def test_hello_is_the_golden_one() -> None:
    """feed-1: with every field, in the order of the document"""
    for name in ("hello", "hello_gap"):
        assert hello_from(SERVER[name]) == json.dumps(SERVER[name], separators=(",", ":"))


def row(golden: dict[str, Any]) -> Event:
    return Event(
        id=uuid.UUID(golden["id"]),
        seq=Cursor.parse(golden["cursor"]).seq,
        type=golden["type"],
        occurred_at=datetime.fromisoformat(golden["time"]),
        partner=golden["partner"],
        link=uuid.UUID(golden["link"]["id"]),
        link_identifier=golden["link"]["identifier"],
        data=golden["data"],
    )


def test_batch_is_the_golden_one() -> None:
    """feed-18, feed-58"""
    golden = SERVER["events"]
    selection = Selection(topic=Topic(partner="Ab3dE9xQ"), types=frozenset({"hit", "confirmation"}), amounts=True)
    keys = LogKeys(epoch="k3f9", house_key="00" * 32)
    (frame,) = Encoder(keys).frames([row(one) for one in golden["events"]], selection, prev=1840, upto=1851)
    assert json.loads(frame.text) == golden


def test_small_messages_are_the_golden_ones() -> None:
    """feed-43, feed-44"""
    beat = SERVER["heartbeat"]
    made = {
        "heartbeat": protocol.heartbeat(
            prev=Cursor.parse(beat["prev"]), cursor=Cursor.parse(beat["cursor"]), time=beat["time"]
        ),
        "caught_up": protocol.caught_up(Cursor("k3f9", 1902)),
        "pong": protocol.pong(ping_id="p-1", cursor=Cursor("k3f9", 1902)),
        "error_too_old": protocol.error(Place(epoch="k3f9", head=9120, oldest=5000).too_old()),
        "error_unavailable": protocol.error(
            FeedError("unavailable", "The event log cannot be read at the moment.", retry_after_s=5)
        ),
        "goodbye": protocol.goodbye(reason="restart", retry_after_s=3.7),
    }
    assert {name: json.loads(text) for name, text in made.items()} == {name: SERVER[name] for name in made}


def test_client_messages_are_understood() -> None:
    """feed-42, feed-44"""
    read = {
        name: protocol.parse_client_message(json.dumps(message), max_bytes=4096)
        for name, message in GOLDEN["client"].items()
    }
    assert read == {"ack": protocol.Ack(Cursor("k3f9", 1903)), "ping": protocol.Ping("p-1")}


def test_endings_are_those_of_the_document() -> None:
    """feed-45: the table of section 9"""
    assert {code: [ending.close, ending.http] for code, ending in protocol.ENDINGS.items()} == GOLDEN["endings"]
