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
from livereferrals.callbacks.models.upkeep import AlertCause, EndpointAlert, Replay, ReplayState

__all__ = [
    "ENDED",
    "NEVER",
    "AlertCause",
    "Delivery",
    "DeliveryAttempt",
    "DeliveryKind",
    "DeliveryState",
    "EndReason",
    "Endpoint",
    "EndpointAlert",
    "EndpointState",
    "Method",
    "Replay",
    "ReplayState",
    "SecretField",
    "SigningSecret",
    "Subscription",
    "new_secret",
]
