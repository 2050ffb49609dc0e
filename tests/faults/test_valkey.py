"""Valkey that is away, or stands still: a channel layer is a comfort, and nothing waits for it.

One that is restarted, or full, is among what the short chaos does.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from livereferrals.callbacks.models import Delivery
from livereferrals.events import log
from tests.faults.machinery import own_valkey, stopped
from tests.faults.play import Play
from tests.servers import host_server
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.machinery import Valkey
    from tests.partner import PartnerSink

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


@contextlib.contextmanager
def away(valkey: Valkey) -> Iterator[None]:
    """Have none; it comes back empty."""
    valkey.crash()
    try:
        yield
    finally:
        valkey.start()


@contextlib.contextmanager
def standing_still(valkey: Valkey) -> Iterator[None]:
    """Have one that takes connections and answers nothing."""
    with stopped(valkey.pid):
        yield


def test_hits_orders_callbacks_and_readers_go_on_without_valkey(sink: PartnerSink) -> None:
    """feed-51, L-10: and each process hears of the others again when it is back"""
    with (
        own_valkey() as valkey,
        host_server("uvicorn", redis_url=valkey.url) as first,
        host_server("daphne", redis_url=valkey.url) as second,
    ):
        play = Play.on([first, second], sink)

        async def happen() -> None:
            await play.recovered()
            await all_listen(valkey)
            for trouble in (away, standing_still):
                with trouble(valkey):
                    await play.recovered()
                    await caught_up(play)
                await all_listen(valkey)

        play.run(happen)
    assert play.faults() == [], play.account()


async def all_listen(valkey: Valkey) -> None:
    """Wait until each of the two servers waits for what the other may say."""
    await eventually(
        lambda: asyncio.to_thread(lambda: valkey.listeners() >= 2), what="Each process that listens to the others"
    )


async def caught_up(play: Play) -> None:
    """Wait until what there is now is read by each reader, and called."""
    head, owed = await asyncio.to_thread(
        lambda: (log.bounds().head, set(Delivery.objects.values_list("pk", flat=True)))
    )

    def is_so() -> bool:
        called = {call.headers.get("webhook-id") for call in play.sink.calls}
        return min(reader.effects.place for reader in play.readers) >= head and {str(pk) for pk in owed} <= called

    await eventually(is_so, what="Readers and callbacks that are up to date")
