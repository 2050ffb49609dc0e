"""A made-up event, for previews and test calls."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from livereferrals.callbacks import payload
from livereferrals.callbacks.payload import Facts
from livereferrals.events import wire

if TYPE_CHECKING:
    from collections.abc import Mapping

SAMPLE_ID: Final = "019e1c2a-7b3d-7c4e-9f10-2a3b4c5d6e{:02x}"
SAMPLE_TIME: Final = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
PARTNERS_OWN: Final = "your-click-4711"


def sample_event(*, trigger: str, partner_uid: str, at: datetime = SAMPLE_TIME) -> dict[str, Any]:
    """Return the event object of a confirmation that never was, whole as the feed's."""
    ids = [str(uuid.UUID(SAMPLE_ID.format(number))) for number in range(6)]
    return {
        "v": wire.VERSION,
        "cursor": None,
        "id": ids[4],
        "type": "confirmation",
        "time": wire.rfc3339(at),
        "partner": partner_uid or "aB3dE5fG",
        "link": {"id": ids[5], "identifier": "spring-sale"},
        "data": {
            "visitor": ids[0],
            "hit": ids[1],
            "confirmation": ids[2],
            "user": None,
            "trigger": trigger or "Order paid",
            "reference": "A-1001",
            "amount": "49.90",
            "currency": "EUR",
            "click_id": PARTNERS_OWN,
            "subs": [f"sub{number}" for number in range(1, 6)],
        },
    }


def sample_values(*, trigger: str, partner_uid: str) -> Mapping[str, str]:
    """Return a made-up value for every placeholder."""
    event = sample_event(trigger=trigger, partner_uid=partner_uid)
    facts = Facts(delivery=uuid.UUID(SAMPLE_ID.format(3)), attempt=1, hit_at=SAMPLE_TIME)
    return payload.values(event, facts) | {"reason": "refund"}
