"""The partner's client of the feed: every event at least once, in order, across any break.

    from livereferrals.client import FeedClient, FileCursorStore

    async with FeedClient(url, token, store=FileCursorStore("feed.cursor")) as feed:
        async for event in feed:
            await book(event)

It needs `aiohttp` and nothing else: no Django, no settings.
"""

from __future__ import annotations

from livereferrals.client.errors import FeedStopped
from livereferrals.client.events import (
    ClaimData,
    ClaimEvent,
    ConfirmationData,
    ConfirmationEvent,
    DeliveryData,
    DeliveryEvent,
    Event,
    HitData,
    HitEvent,
    Link,
    ReversalData,
    ReversalEvent,
)
from livereferrals.client.feed import FeedClient, Lag, State
from livereferrals.client.ledger import Batch
from livereferrals.client.messages import Gap
from livereferrals.client.stores import CallableCursorStore, CursorStore, FileCursorStore, MemoryCursorStore
from livereferrals.client.timing import Timing

__all__ = [
    "Batch",
    "CallableCursorStore",
    "ClaimData",
    "ClaimEvent",
    "ConfirmationData",
    "ConfirmationEvent",
    "CursorStore",
    "DeliveryData",
    "DeliveryEvent",
    "Event",
    "FeedClient",
    "FeedStopped",
    "FileCursorStore",
    "Gap",
    "HitData",
    "HitEvent",
    "Lag",
    "Link",
    "MemoryCursorStore",
    "ReversalData",
    "ReversalEvent",
    "State",
    "Timing",
]
