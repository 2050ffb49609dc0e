"""Hints: "there is something new in the log", or among feed tokens, links or deliveries. They carry no data; losing one delays a reader.

Inside a process a hint is a call to each listener, from whichever thread has it. To other processes it goes over the
channel layer, where the host has one.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from typing import TYPE_CHECKING

from asgiref.sync import async_to_sync
from channels.layers import InMemoryChannelLayer, get_channel_layer

from livereferrals import ids

if TYPE_CHECKING:
    from collections.abc import Callable

    from channels.layers import BaseChannelLayer

logger = logging.getLogger(__name__)

GROUP = "livereferrals"
ANNOUNCE_TIMEOUT_S = 2.0
LISTEN_RETRY_S = 1.0
REJOIN_S = 3600.0
_FAMILY = ids.random_identifier(12)

LOG = "log"
"""What a hint is about: new events."""
TOKENS = "tokens"
"""What a hint is about: some feed token, or its partner, is not what it was."""

LINKS = "links"
"""What a hint is about: some link, or its partner or user, is not what it was."""

DELIVERIES = "deliveries"
"""What a hint is about: some delivery is to be made, or may be made now."""

_listeners: dict[str, set[Callable[[], None]]] = {LOG: set(), TOKENS: set(), LINKS: set(), DELIVERIES: set()}
_lock = threading.Lock()


def process_name() -> str:
    """Return what tells a process its own hints from those of others, forked siblings included."""
    return f"{_FAMILY}-{os.getpid()}"


def add_listener(listener: Callable[[], None], *, about: str = LOG) -> None:
    """Call `listener` at each hint, from any thread: it must be quick and thread-safe."""
    with _lock:
        _listeners[about].add(listener)


def remove_listener(listener: Callable[[], None], *, about: str = LOG) -> None:
    """Stop calling `listener`."""
    with _lock:
        _listeners[about].discard(listener)


def notify(about: str = LOG) -> None:
    """Wake every reader of this process; one that fails is logged and holds up no other."""
    with _lock:
        # What a newer version of this package hints at is not for this one.
        listeners = list(_listeners.get(about, ()))
    for listener in listeners:
        try:
            listener()
        except Exception:  # the caller is the publisher or the receiver, on whom all readers depend
            logger.exception("A reader could not be woken.", extra={"action": "hint.listener_failed"})


def crosses_processes() -> bool:
    """Whether the host's channel layer reaches other processes."""
    layer = get_channel_layer()
    return layer is not None and not isinstance(layer, InMemoryChannelLayer)


async def aannounce(about: str = LOG) -> None:
    """Send a hint to the other processes over the channel layer; log and go on when the layer is away."""
    layer = get_channel_layer()
    if layer is None:
        return
    try:
        async with asyncio.timeout(ANNOUNCE_TIMEOUT_S):
            await layer.group_send(GROUP, {"type": "livereferrals.hint", "origin": process_name(), "about": about})
    except Exception:  # the layer is the host's: whatever it raises, the log has the events
        logger.warning(
            "A hint could not be sent; watchers elsewhere poll.", exc_info=True, extra={"action": "hint.lost"}
        )


def announce(about: str = LOG) -> None:
    """Send a hint to the other processes from a plain thread; log and go on where the host's layer cannot be made."""
    try:
        crosses = crosses_processes()
    except Exception:  # the caller is the publisher, on whom all readers depend
        logger.warning(
            "A hint could not be sent; watchers elsewhere poll.", exc_info=True, extra={"action": "hint.lost"}
        )
        return
    if crosses:
        async_to_sync(aannounce)(about)


async def receive_forever() -> None:
    """Pass hints of other processes to this one's listeners, until cancelled."""
    if not crosses_processes():
        return
    away = False
    while True:
        try:
            channel = await _join()
            away = False
            await _receive(channel)
        except Exception:  # the layer is the host's: whatever it raises, polling goes on and it is tried again
            if not away:
                logger.warning("Hints cannot be received; polling.", exc_info=True, extra={"action": "hints.away"})
            away = True
            await asyncio.sleep(LISTEN_RETRY_S)


def _layer() -> BaseChannelLayer:
    layer = get_channel_layer()
    assert layer is not None  # noqa: S101 - for the type checker; receive_forever() has looked
    return layer


async def _join() -> str:
    """Return the name of a new channel in the group."""
    async with asyncio.timeout(ANNOUNCE_TIMEOUT_S):
        channel: str = await _layer().new_channel()
        await _layer().group_add(GROUP, channel)
    return channel


async def _receive(channel: str) -> None:
    try:
        while True:
            try:
                async with asyncio.timeout(REJOIN_S):
                    message = await _layer().receive(channel)
            except TimeoutError:
                # channels_redis forgets members of a group after a day (`group_expiry`).
                await _layer().group_add(GROUP, channel)
                continue
            if message.get("origin") != process_name():
                notify(message.get("about", LOG))
    finally:
        await _leave(channel)


async def _leave(channel: str) -> None:
    """Leave the group; an error here must not take the place of the one, or the cancellation, that led here."""
    try:
        async with asyncio.timeout(ANNOUNCE_TIMEOUT_S):
            await _layer().group_discard(GROUP, channel)
    except Exception:
        logger.debug(
            "The group could not be left; it forgets by itself.", exc_info=True, extra={"action": "hints.left"}
        )
