"""SQLite's file when somebody holds its lock for too long, and when there is no room for it: what visitors are answered."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

import pytest
from django.db import connection

from tests.faults.machinery import full_disk, odd_server
from tests.faults.no_room import told_lost
from tests.faults.play import Play
from tests.servers import server_environment
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from tests.faults.machinery import OddServer
    from tests.partner import PartnerSink

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor != "sqlite", reason="PostgreSQL's disk is not ours to fill, nor its file to lock"
    ),
]


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """Hold the lock of all writers."""
    holder = sqlite3.connect(str(connection.settings_dict["NAME"]), timeout=60, isolation_level=None)
    with contextlib.closing(holder):
        holder.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            holder.execute("ROLLBACK")


def trouble(kind: str, server: OddServer) -> AbstractContextManager[None]:
    """Begin what goes wrong."""
    return locked() if kind == "locked" else full_disk(server.pid)


@pytest.mark.parametrize("kind", ["locked", "full"])
def test_visitors_are_led_on_and_nothing_answered_is_lost(sink: PartnerSink, kind: str) -> None:
    """L-10, L-27, callback-F42, callback-F43: a hit that cannot be written is logged; orders get the host's error"""
    impatient = {"OPTIONS": {"timeout": 1}}
    with odd_server("daphne", server_environment(), database=impatient) as server:
        play = Play.on([server], sink)

        def is_refused() -> bool:
            # A shopper is at this form or at that one.
            refused = sum(number for what, number in play.load.tallies.items() if what.endswith(": 500"))
            return play.load.tallies["led on without a hit"] > play.followers and refused > 0

        async def happen() -> None:
            await play.recovered()
            with trouble(kind, server):
                await eventually(is_refused, what="Visitors who are led on, and orders that are refused")
            await play.recovered()
            if kind == "locked":  # the log's disk is full too
                lost = play.load.tallies["led on without a hit"]
                await eventually(lambda: told_lost(server) >= lost, what="As many lost hits in the log")

        play.run(happen)
    assert play.faults() == [], play.account()
