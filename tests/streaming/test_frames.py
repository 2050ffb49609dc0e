"""Frames: cut to size, chained without a hole, and shown as the token allows."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from livereferrals.events import wire
from livereferrals.events.log import EVERYTHING, Topic
from livereferrals.events.models import Event
from livereferrals.streaming.frames import KEPT_FRAMES, Encoder, LogKeys, Selection, Stream

KEYS = LogKeys(epoch="k3f9", house_key="ab" * 32)
ALL = frozenset({"hit", "claim", "confirmation", "reversal", "delivery"})


def event(seq: int, **values: Any) -> Event:
    moment = datetime(2026, 11, 21, 9, tzinfo=UTC)
    return Event(
        **{"seq": seq, "type": "hit", "occurred_at": moment, "partner": "Ab3dE9xQ", "data": {"hit": str(seq)}} | values
    )


def select(**values: Any) -> Selection:
    chosen: dict[str, Any] = {"topic": Topic(partner="Ab3dE9xQ"), "types": ALL, "amounts": True} | values
    return Selection(**chosen)


def payloads(events: list[Event], selection: Selection) -> list[dict[str, Any]]:
    upto = events[-1].seq
    assert upto is not None
    frames = Encoder(KEYS).frames(events, selection, prev=0, upto=upto)
    return [shown for frame in frames for shown in json.loads(frame.text)["events"]]


def test_batch_is_cut_at_its_number_of_events() -> None:
    """feed-56"""
    frames = list(Encoder(KEYS).frames([event(n) for n in range(1, 8)], select(batch_events=3), prev=0, upto=9))
    assert [(frame.prev, frame.first, frame.cursor, frame.count) for frame in frames] == [
        (0, 1, 3, 3),
        (3, 4, 6, 3),
        (6, 7, 9, 1),
    ]


def test_batch_is_cut_before_its_size() -> None:
    """feed-56: and an event of 32 KiB passes"""
    events = [event(n, data={"landing": "x" * 32_000}) for n in range(1, 21)]
    frames = list(Encoder(KEYS).frames(events, select(), prev=0, upto=20))
    assert sum(frame.count for frame in frames) == 20
    assert all(len(frame.text.encode()) <= 262_144 for frame in frames)
    assert len(frames) == 3


def test_event_is_the_object_of_the_callbacks() -> None:
    """feed-58: a token with all scopes gets what a callback carries"""
    confirmed = event(5, type="confirmation", data={"amount": "1.00", "user": "u_x", "reference": "Ä-1"}, user="7")
    assert payloads([confirmed], select()) == [wire.event_object(confirmed, epoch="k3f9")]


def test_without_the_scope_amounts_are_null() -> None:
    """feed-17"""
    shown = payloads(
        [event(1, type="reversal", data={"amount": "1.00", "currency": "EUR"}), event(2)], select(amounts=False)
    )
    assert [one["data"] for one in shown] == [{"amount": None, "currency": "EUR"}, {"hit": "2"}]


def test_house_reads_all_partners_with_users_under_its_own_key() -> None:
    """feed-16: hashes of one partner are not given to the house, which could compare nothing by them"""
    events = [
        event(1, type="claim", partner="Ab3dE9xQ", user="7", data={"user": "u_first"}),
        event(2, type="claim", partner="other000", user="7", data={"user": "u_second"}),
        event(3, type="claim", partner="", user="", data={"user": None}),
    ]
    shown = payloads(events, select(topic=EVERYTHING))
    own = wire.user_hash("7", key=KEYS.house_key)
    assert [one["data"]["user"] for one in shown] == [own, own, None]


def test_links_leave_out_what_has_none_of_them() -> None:
    """feed-36"""
    link, other = uuid.uuid4(), uuid.uuid4()
    events = [event(1, link=link), event(2, link=other), event(3, type="claim")]
    assert [one["cursor"] for one in payloads(events, select(links=frozenset({link})))] == ["k3f9.1"]


def test_lone_surrogate_does_not_break_a_frame() -> None:
    """feed-45"""
    (frame,) = Encoder(KEYS).frames([event(1, data={"click_id": "\ud800"})], select(), prev=0, upto=1)
    assert frame.text.isascii()


def test_event_is_encoded_once_for_all_who_see_it_alike() -> None:
    """performance, fan-out: once an event, not once a selection"""
    encoder = Encoder(KEYS)
    one = event(1)
    first = encoder.text(one, select())
    assert encoder.text(one, select(types=frozenset({"hit"}))) is first
    assert encoder.text(one, select(amounts=False)) is not first


def test_stream_forgets_old_frames_and_knows_it() -> None:
    """feed-41: what a stream keeps has a bound"""
    stream = Stream(select(), position=0)
    for number in range(1, KEPT_FRAMES + 4):
        assert stream.take([event(number)], Encoder(KEYS), upto=number)
    assert not stream.reaches_back_to(2)
    assert stream.reaches_back_to(3)
    frame = stream.after(3)
    assert frame is not None
    assert (frame.prev, frame.cursor) == (3, 4)
    assert stream.after(KEPT_FRAMES + 3) is None


def test_stream_keeps_few_large_frames() -> None:
    """feed-41: in bytes too"""
    stream = Stream(select(), position=0)
    for number in range(1, 7):
        stream.take([event(number, data={"landing": "x" * 200_000})], Encoder(KEYS), upto=number)
    assert not stream.reaches_back_to(3)
    assert stream.reaches_back_to(4)


@given(
    st.lists(st.lists(st.booleans(), max_size=8), max_size=20),
    st.integers(min_value=1, max_value=5),
)
def test_chain_of_frames_has_no_hole(reads: list[list[bool]], batch: int) -> None:
    """feed-18: whatever is read in whatever pieces, each frame goes on where the last one ended"""
    stream = Stream(select(types=frozenset({"hit"}), batch_events=batch), position=0)
    position = told = seq = 0
    expected: list[int] = []
    found: list[int] = []
    for read in reads:
        events = []
        for shown in read:
            seq += 1
            events.append(event(seq, type="hit" if shown else "claim"))
            expected += [seq] if shown else []
        stream.take(events, Encoder(KEYS), upto=seq)
        while (frame := stream.after(position)) is not None:
            assert frame.prev <= told < frame.first <= frame.cursor <= seq
            found += [int(one["data"]["hit"]) for one in json.loads(frame.text)["events"]]
            position = told = frame.cursor
    assert found == expected
