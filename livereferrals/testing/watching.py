"""What a partner's feed shows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from livereferrals.events import log
from livereferrals.events.models import EventType
from livereferrals.events.publisher import publish_now
from livereferrals.streaming.frames import Encoder, LogKeys, Selection

if TYPE_CHECKING:
    from livereferrals.tracking.models import Partner

MOST: Final = 10_000


def feed_events(partner: Partner, *, amounts: bool = True) -> list[dict[str, Any]]:
    """Return all events that the partner's feed has, oldest first, as its program gets them.

    Events that wait for their numbers are numbered first. Numbers are unique, but a test starts anywhere.

    Args:
        partner: whose feed.
        amounts: whether its token shows amounts.
    """
    publish_now()
    row = log.load_log()
    encoder = Encoder(LogKeys(epoch=row.epoch, house_key=row.house_key))
    topic = log.Topic(partner=partner.uid)
    selection = Selection(topic=topic, types=frozenset(EventType.values), amounts=amounts)
    events = log.read(0, limit=MOST, topic=topic)
    return [json.loads(encoder.text(event, selection)) for event in events]
