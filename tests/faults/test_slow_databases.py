"""A database that answers late, and one that holds still: visitors are led on, and nothing answered is lost."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from django.db import connection

from tests.faults.machinery import odd_server
from tests.faults.play import Play
from tests.faults.slow_proxy import slow_proxy
from tests.servers import server_environment
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.partner import PartnerSink

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="nothing stands between a process and its SQLite"),
]

HASTY: Final = {"most": 512, "room": 4096, "patience_s": 1.0, "look_s": 0.2}
"""A visitor is kept waiting for a second, where it is ten otherwise."""


def test_slow_database_makes_everything_late_and_loses_nothing(sink: PartnerSink) -> None:
    """L-10, L-27, feed-50: 30 ms on each way of each statement, then longer than visitors wait, then all is as before"""
    # A socket's path may have a hundred characters.
    with tempfile.TemporaryDirectory(prefix="lr-") as directory:
        real = Path(connection.get_connection_params()["host"])
        with (
            slow_proxy(Path(directory), to=real) as proxy,
            odd_server(
                "uvicorn", server_environment(), database={"OPTIONS": {"host": directory}}, hits=HASTY
            ) as server,
        ):
            play = Play.on([server], sink)

            async def happen() -> None:
                await play.recovered()
                proxy.delay_s = 0.03
                await play.recovered()
                proxy.delay_s = 4.0
                await eventually(
                    lambda: play.load.tallies["led on without a hit"] >= play.followers, what="Visitors who are led on"
                )
                proxy.delay_s = 0.0
                await play.recovered()

            play.run(happen)
            assert " lost (" in server.output(), server.output()
    assert play.faults() == [], play.account()
