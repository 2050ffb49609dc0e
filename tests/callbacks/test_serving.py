"""What a worker starts next: fair between endpoints, within every limit."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest

from livereferrals.callbacks.attempting import Attempt
from livereferrals.callbacks.leasing import Lease
from livereferrals.callbacks.reading import Ready
from livereferrals.callbacks.sender import Sender
from livereferrals.callbacks.serving import LONGEST_SERVICE_S, Board
from livereferrals.callbacks.turns import Stand, Turn
from tests.callbacks.sending import make_job

pytestmark = pytest.mark.once


def make_board(*, endpoints: int = 2, slots: int = 10, per_origin: int = 64, **lease: Any) -> Board:
    board = Board(slots=slots, per_origin=per_origin)
    for endpoint in range(endpoints):
        values: dict[str, Any] = {"is_open": True, "origin": f"https://p{endpoint}.example", "room": 4} | lease
        held = Lease(endpoint=endpoint, token=uuid.uuid4(), until=60.0, **values)
        board.add([held], now=0.0)
    return board


def fill(board: Board, endpoint: int, *lost: int) -> list[uuid.UUID]:
    every = [Ready(id=uuid.uuid4(), lost=times) for times in lost]
    board.served[endpoint].add(every)
    return [ready.id for ready in every]


def prove(board: Board) -> None:
    """Have every endpoint answered once."""
    for served in board.served.values():
        served.is_proven = True


def test_slots_are_dealt_out_one_to_each_endpoint_in_turn() -> None:
    """callback-S20: a long queue does not push a short one back."""
    board = make_board(endpoints=3, slots=5)
    for endpoint, length in enumerate((20, 1, 20)):
        fill(board, endpoint, *[0] * length)
    prove(board)
    assert sorted(map(len, board.wishes(now=0.0).values())) == [1, 2, 2]


def test_single_free_slot_goes_to_each_endpoint_in_turn() -> None:
    """callback-S20: it is not always the same one that is asked first."""
    board = make_board(endpoints=3, slots=1)
    for endpoint in range(3):
        fill(board, endpoint, *[0] * 9)
    prove(board)
    assert sorted(key for _ in range(6) for key in board.wishes(now=0.0)) == [0, 0, 1, 1, 2, 2]


def test_endpoint_gets_no_more_than_its_room() -> None:
    """callback-S20: requests under way count."""
    board = make_board(endpoints=1, room=3)
    ids = fill(board, 0, *[0] * 5)
    board.start(0, ids[0], is_alone=False, now=0.0)
    board.served[0].ready.popleft()
    assert board.wishes(now=0.0) == {0: ids[1:3]}


def test_origin_gets_no_more_than_its_share() -> None:
    """callback-S20: several subscriptions of one server together."""
    board = make_board(endpoints=3, per_origin=5, origin="https://same.example")
    for endpoint in range(3):
        fill(board, endpoint, *[0] * 4)
    prove(board)
    assert sum(map(len, board.wishes(now=0.0).values())) == 5
    origin = board.start(0, uuid.uuid4(), is_alone=False, now=0.0)
    assert sum(map(len, board.wishes(now=0.0).values())) == 4
    board.end(0, next(iter(board.served[0].in_flight)), origin=origin, answered=True)
    assert sum(map(len, board.wishes(now=0.0).values())) == 5


def test_lost_delivery_is_alone_on_its_endpoint() -> None:
    """callback-F30: it waits for the others, and the others for it."""
    board = make_board(endpoints=1)
    first, lost, last = fill(board, 0, 0, 1, 0)
    assert board.wishes(now=0.0) == {0: [first]}
    board.start(0, first, is_alone=False, now=0.0)
    board.served[0].ready.popleft()
    assert board.wishes(now=0.0) == {}
    board.end(0, first, origin="https://p0.example", answered=True)
    assert board.wishes(now=0.0) == {0: [lost]}
    board.start(0, lost, is_alone=True, now=0.0)
    board.served[0].ready.popleft()
    assert board.wishes(now=0.0) == {}
    board.end(0, lost, origin="https://p0.example", answered=True)
    assert board.wishes(now=0.0) == {0: [last]}


def test_endpoint_served_long_enough_is_given_back_if_others_wait() -> None:
    """callback-S20: 30 s, then whoever waits longest."""
    board = make_board(endpoints=1)
    fill(board, 0, 0)
    board.let_go(now=LONGEST_SERVICE_S + 1, others_wait=False)
    assert board.wishes(now=0.0)
    board.let_go(now=LONGEST_SERVICE_S + 1, others_wait=True)
    assert not board.wishes(now=0.0)
    assert list(board.pop_idle(unsettled={0})) == []
    assert list(board.pop_idle(unsettled=())) == [0]


def test_what_a_turn_found_is_learnt() -> None:
    """callback-S20: gone endpoints are dropped, closed ones left, what was considered is not asked for again."""
    board = make_board(endpoints=3)
    ids = fill(board, 1, 0, 0)
    stand = Stand(may_send=True, room=2, origin="https://new.example", gate_until=None, until=99.0)
    closed = Stand(may_send=False, room=2, origin="https://p2.example", gate_until=None, until=99.0)
    board.learn(Turn(stands={1: stand, 2: closed, 7: stand}, gone={0}, considered={ids[0]}))
    assert sorted(board.served) == [1, 2]
    assert board.wishes(now=0.0) == {1: [ids[1]]}
    assert (board.served[1].until, board.served[1].origin, board.served[2].is_leaving) == (
        99.0,
        "https://new.example",
        True,
    )
    assert board.due_for_renewal(now=70.0, below_s=40) == [1, 2]


def test_room_for_leases_is_never_more_than_the_free_slots() -> None:
    """callback-S20: a worker leases no more endpoints than it can serve."""
    board = make_board(endpoints=2, slots=3)
    assert board.room == 1
    board.start(0, uuid.uuid4(), is_alone=False, now=0.0)
    board.start(0, uuid.uuid4(), is_alone=False, now=0.0)
    board.start(1, uuid.uuid4(), is_alone=False, now=0.0)
    assert (board.room, board.free_slots) == (0, 0)


async def test_attempt_without_enough_lease_left_is_not_made() -> None:
    """callback-F30: the time limit and 5 s must fit, by the monotonic clock; nothing is used up."""
    job = make_job("http://127.0.0.1/", timeout_s=15)
    attempt = Attempt(job, worker="w", lease_until=time.monotonic() + 19, origin="x")
    async with Sender() as sender:
        await attempt.run(sender)
    assert attempt.result is None
