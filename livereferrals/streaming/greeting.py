"""The first message of a connection, the same on every transport."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils import timezone

from livereferrals import conf, ids
from livereferrals.events import wire
from livereferrals.streaming import protocol

if TYPE_CHECKING:
    from livereferrals.streaming.admission import Admission


def hello(admission: Admission) -> str:
    """Return `hello` for a reader that was let in."""
    limits = conf.settings.FEED_LIMITS
    selection = admission.selection
    return protocol.hello(
        connection=f"c_{ids.random_identifier(8)}",
        time=wire.rfc3339(timezone.now()),
        topic=str(selection.topic),
        types=[name for name in protocol.TYPES if name in selection.types],
        links=None if selection.links is None else sorted(map(str, selection.links)),
        cursor=admission.start.cursor,
        oldest=admission.bounds.oldest,
        newest=admission.bounds.head,
        resume=admission.start.resume,
        gap=admission.start.gap,
        ack=admission.acks,
        limits={
            "heartbeat_s": round(conf.settings.FEED_HEARTBEAT.total_seconds()),
            "window_events": limits.window_events,
            "window_bytes": limits.window_bytes,
            "batch_events": selection.batch_events,
            "message_bytes": limits.message_bytes,
            "rate_bytes_s": limits.rate_bytes_s,
            "connection_s": round(conf.settings.FEED_MAX_AGE.total_seconds()),
        },
    )
