"""Subscriptions, their servers' state, and the deliveries owed to them."""

from __future__ import annotations

from livereferrals.callbacks.models.deliveries import (
    ENDED,
    Delivery,
    DeliveryAttempt,
    DeliveryKind,
    DeliveryState,
    EndReason,
)
from livereferrals.callbacks.models.subscriptions import (
    NEVER,
    Endpoint,
    EndpointState,
    Method,
    SecretField,
    SigningSecret,
    Subscription,
    new_secret,
)

__all__ = [
    "ENDED",
    "NEVER",
    "Delivery",
    "DeliveryAttempt",
    "DeliveryKind",
    "DeliveryState",
    "EndReason",
    "Endpoint",
    "EndpointState",
    "Method",
    "SecretField",
    "SigningSecret",
    "Subscription",
    "new_secret",
]
