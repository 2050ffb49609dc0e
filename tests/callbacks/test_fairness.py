"""Endpoints that fail, hang or have not answered yet share half of the slots: the others never wait for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from livereferrals.callbacks import leasing
from livereferrals.callbacks.models import Endpoint
from livereferrals.callbacks.serving import SLOW_S
from tests.callbacks.running import owe, subscribe
from tests.callbacks.test_serving import fill, make_board, prove

if TYPE_CHECKING:
    from livereferrals.callbacks.serving import Board


def start_all(board: Board, *, now: float) -> dict[int, int]:
    """Start what the board wishes; return how many of each endpoint."""
    wished = board.wishes(now=now)
    for key, ids in wished.items():
        for one in ids:
            board.start(key, one, is_alone=False, now=now)
            board.served[key].ready.popleft()
    return {key: len(ids) for key, ids in wished.items()}


def test_first_hang_takes_half_of_the_slots_at_most() -> None:
    """callback-F36: before any failure is known; an endpoint that has not answered may be hanging."""
    board = make_board(endpoints=2, slots=10, room=32)
    fill(board, 0, *[0] * 50)
    assert start_all(board, now=0.0) == {0: 5}
    fill(board, 1, *[0] * 50)
    assert start_all(board, now=0.0) == {1: 1}
    board.end(1, next(iter(board.served[1].in_flight)), origin="https://p1.example", answered=True)
    assert start_all(board, now=0.0) == {1: 5}


def test_request_that_ends_without_an_answer_proves_nothing() -> None:
    """callback-F36: given up after its time limit, the endpoint is as doubtful as before."""
    board = make_board(endpoints=1, slots=10, room=32)
    fill(board, 0, *[0] * 50)
    start_all(board, now=0.0)
    origin = board.served[0].origin
    for one in list(board.served[0].in_flight):
        board.end(0, one, origin=origin, answered=False)
    assert start_all(board, now=0.0) == {0: 5}


def test_endpoint_that_has_answered_and_hangs_later_gets_no_more() -> None:
    """callback-F36: a request without an answer for a second makes it a doubtful one again."""
    board = make_board(endpoints=1, slots=10, room=32)
    prove(board)
    ids = fill(board, 0, *[0] * 50)
    for one in ids[:6]:
        board.start(0, one, is_alone=False, now=0.0)
        board.served[0].ready.popleft()
    assert sum(map(len, board.wishes(now=SLOW_S / 2).values())) == 4
    assert board.wishes(now=SLOW_S * 2) == {}


def test_failing_endpoints_share_half_and_get_no_first_request_beyond_it() -> None:
    """callback-F36: however many of them there are."""
    board = make_board(endpoints=8, slots=6, is_failing=True, room=1)
    for key in range(8):
        fill(board, key, 0, 0)
    assert sum(start_all(board, now=0.0).values()) == 3
    assert board.wishes(now=0.0) == {}
    assert board.room_for_failing < 0


def test_endpoint_that_hangs_leaves_half_of_its_origin_to_the_others_there() -> None:
    """callback-F36, callback-S20: several subscriptions of one server, and there is room for 64 requests to it."""
    board = make_board(endpoints=3, slots=200, per_origin=64, origin="https://same.example", room=32)
    for key in (0, 1):
        fill(board, key, *[0] * 50)
    started = start_all(board, now=0.0)
    assert started == {0: 16, 1: 16}
    fill(board, 2, *[0] * 50)
    assert start_all(board, now=0.0) == {2: 1}
    board.end(2, next(iter(board.served[2].in_flight)), origin="https://same.example", answered=True)
    assert start_all(board, now=2 * SLOW_S) == {2: 32}


def test_seats_of_an_origin_are_dealt_out_in_turn() -> None:
    """callback-F36: a long queue there does not take them all."""
    board = make_board(endpoints=3, slots=200, per_origin=9, origin="https://same.example", room=32)
    prove(board)
    for key, length in enumerate((50, 2, 50)):
        fill(board, key, *[0] * length)
    assert sorted(start_all(board, now=0.0).values()) == [2, 3, 4]


@pytest.mark.django_db(transaction=True)
def test_failing_endpoints_beyond_their_share_make_room_for_healthy_ones_behind_them() -> None:
    """callback-F36: although they have waited longer."""
    failing = [subscribe(f"http://127.0.0.1/{number}") for number in range(3)]
    healthy = [subscribe(f"http://127.0.0.1/{number}") for number in range(2)]
    for subscription in (*failing, *healthy):
        owe(subscription)
    Endpoint.objects.filter(pk__in=[row.pk for row in failing]).update(consecutive_failures=1)
    Endpoint.objects.filter(pk__in=[row.pk for row in healthy]).update(last_leased_at="2026-01-01T00:00:00Z")
    leased = leasing.lease(worker="w", limit=3, failing=1).leases
    assert sorted(held.is_failing for held in leased) == [False, False, True]
