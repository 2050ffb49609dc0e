"""Every model of the app, where Django looks for them."""

from __future__ import annotations

from livereferrals.callbacks.models import (
    Delivery,
    DeliveryAttempt,
    Endpoint,
    EndpointAlert,
    Replay,
    SigningSecret,
    Subscription,
)
from livereferrals.dashboard.models import DailyLinkTotal, DailyPartnerTotal, HourlyTotal, RollupState
from livereferrals.events.models import Chore, Event, EventLog, ProcessStatus
from livereferrals.streaming.models import FeedTicket, FeedToken
from livereferrals.tracking.models import Confirmation, Partner, ReferralHit, ReferralLink, Reversal, Visitor
from livereferrals.triggers.models import TriggerCount, TriggerFiring

__all__ = [
    "Chore",
    "Confirmation",
    "DailyLinkTotal",
    "DailyPartnerTotal",
    "Delivery",
    "DeliveryAttempt",
    "Endpoint",
    "EndpointAlert",
    "Event",
    "EventLog",
    "FeedTicket",
    "FeedToken",
    "HourlyTotal",
    "Partner",
    "ProcessStatus",
    "ReferralHit",
    "ReferralLink",
    "Replay",
    "Reversal",
    "RollupState",
    "SigningSecret",
    "Subscription",
    "TriggerCount",
    "TriggerFiring",
    "Visitor",
]
