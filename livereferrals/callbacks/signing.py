"""Signature headers after the Standard Webhooks specification (callbacks, section 9)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from standardwebhooks import Webhook

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence


def signature_headers(delivery: uuid.UUID, *, at: datetime, content: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """Return `webhook-id`, `webhook-timestamp` and `webhook-signature`; one signature for each secret, in their order.

    `content` is what is signed: the body's bytes, for a GET `GET <request target as sent>`, so that the one can never
    pass for the other. The time is that of this attempt, in whole seconds.
    """
    # The library's `sign` replaces the time zone in place of converting: only UTC gives the right seconds.
    moment = at.astimezone(UTC)
    text = content.decode("utf-8")
    headers = {"webhook-id": str(delivery), "webhook-timestamp": str(int(moment.timestamp()))}
    if secrets:
        signatures = (Webhook(secret).sign(str(delivery), moment, text) for secret in secrets)
        headers["webhook-signature"] = " ".join(signatures)
    return headers
