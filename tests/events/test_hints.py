"""Hints: wake-ups inside the process and over a real channel layer."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import sync_to_async
from channels.layers import InMemoryChannelLayer, get_channel_layer

from livereferrals.events import hints
from tests.ports import own_port
from tests.servers import ROOT, server_environment, valkey_server
from tests.waiting import DEADLINE_S, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pytest_django.fixtures import Settings

SLACK_S = 30.0
"""What a busy machine adds."""
OTHER_PROCESS = """
import django
django.setup()
from django.utils import timezone
from livereferrals.events import log
from livereferrals.events.publisher import publisher
publisher.inline = True
log.append(log.Entry(type="hit", occurred_at=timezone.now(), data={}))
"""


def redis_layer(url: str) -> dict[str, object]:
    return {"default": {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [url]}}}


def append_elsewhere(redis_url: str) -> None:
    """Commit an event in another process that shares database and Valkey."""
    subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", OTHER_PROCESS],
        cwd=ROOT,
        env=server_environment(redis_url=redis_url),
        check=True,
        timeout=240,
    )


class Receiver:
    """`receive_forever` in a task, and how often it has woken this process."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def wake(self) -> None:
        with self._lock:
            self.count += 1


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    hints.add_listener(receiver.wake)
    task = asyncio.create_task(hints.receive_forever())
    try:
        yield receiver
    finally:
        hints.remove_listener(receiver.wake)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def test_every_listener_is_called_until_it_is_removed() -> None:
    """feed-18 A hint is a call to each reader of the process; who has left is not called any more."""
    first, second = Receiver(), Receiver()
    hints.add_listener(first.wake)
    hints.add_listener(second.wake)
    hints.notify()
    hints.remove_listener(second.wake)
    hints.remove_listener(second.wake)
    hints.notify()
    hints.remove_listener(first.wake)
    hints.notify()
    assert (first.count, second.count) == (2, 1)


def test_a_listener_may_leave_while_it_is_called() -> None:
    """feed-18 A watcher that closes at a hint does not hold up the others."""
    other = Receiver()

    def leaving() -> None:
        hints.remove_listener(leaving)

    hints.add_listener(leaving)
    hints.add_listener(other.wake)
    hints.notify()
    hints.notify()
    hints.remove_listener(other.wake)
    assert other.count == 2


def test_a_hint_about_what_is_not_known_here_wakes_nobody_and_harms_nobody() -> None:
    """O-13 A process of a newer version may hint at what this one has never heard of."""
    receiver = Receiver()
    hints.add_listener(receiver.wake)
    hints.notify("payouts")
    hints.notify()
    hints.remove_listener(receiver.wake)
    assert receiver.count == 1


async def test_without_a_layer_that_crosses_processes_nothing_is_received(settings: Settings) -> None:
    """feed-51 No layer, or the in-memory one: the receiver ends at once and readers poll."""
    for layers in ({}, {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}):
        settings.CHANNEL_LAYERS = layers
        assert not hints.crosses_processes()
        async with asyncio.timeout(DEADLINE_S):
            await hints.receive_forever()
            await hints.aannounce()
    assert isinstance(get_channel_layer(), InMemoryChannelLayer)


@pytest.mark.django_db(transaction=True)
async def test_a_commit_in_another_process_wakes_this_one(valkey_layer: str) -> None:
    """feed-25 Over a real Valkey the hint of another process's commit arrives."""
    async with receiving() as receiver:
        await eventually(group_has_members, what="The group")
        await sync_to_async(append_elsewhere)(valkey_layer)
        await eventually(lambda: receiver.count, what="The hint")


async def test_a_process_does_not_take_its_own_hint(valkey_layer: str) -> None:
    """feed-25 What this process announced it knows already: it wakes its readers once, not twice."""
    async with receiving() as receiver:
        await eventually(group_has_members, what="The group")
        await hints.aannounce()
        layer = get_channel_layer()
        assert layer is not None
        await layer.group_send(hints.GROUP, {"type": "livereferrals.hint", "origin": "another"})
        await eventually(lambda: receiver.count, what="The other's hint")
        assert receiver.count == 1


async def group_has_members() -> bool:
    """Whether a receiver has joined, seen from the layer's side."""
    layer: Any = get_channel_layer()
    connection = layer.connection(layer.consistent_hash(hints.GROUP))
    return bool(await connection.zcard(layer._group_key(hints.GROUP)))


async def test_a_layer_that_is_away_is_logged_and_costs_nothing_else(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """feed-51 With the layer stopped an announcement returns within its time limit; nothing is raised."""
    settings.CHANNEL_LAYERS = redis_layer(f"redis://127.0.0.1:{own_port()}/0")
    async with asyncio.timeout(hints.ANNOUNCE_TIMEOUT_S + SLACK_S):
        await hints.aannounce()
    assert "poll" in caplog.text


def test_a_layer_that_cannot_be_made_is_logged_and_costs_nothing_else(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """feed-51 Whoever announces is the one thread that numbers: a wrong setting must not end it."""
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "no.such.Layer"}}
    hints.announce()
    assert "could not be sent" in caplog.text


async def test_hints_come_again_when_the_layer_is_back(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """feed-51 A restarted Valkey is joined again without a restart here; its absence is said once."""
    port = own_port()
    settings.CHANNEL_LAYERS = redis_layer(f"redis://127.0.0.1:{port}/0")
    async with receiving() as receiver:
        await eventually(lambda: "polling" in caplog.text, what="The warning")
        with contextlib.ExitStack() as stack:
            await sync_to_async(stack.enter_context)(valkey_server(port=port))
            await eventually(group_has_members, what="The group")
            layer = get_channel_layer()
            assert layer is not None
            await layer.group_send(hints.GROUP, {"type": "livereferrals.hint", "origin": "another"})
            await eventually(lambda: receiver.count, what="The hint")
    assert caplog.text.count("Hints cannot be received") == 1
