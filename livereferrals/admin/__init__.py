"""The admin for people who are not technical; importing it registers every page."""

from __future__ import annotations

from livereferrals.admin.confirmations import ConfirmationAdmin
from livereferrals.admin.deliveries import DeliveryAdmin
from livereferrals.admin.events import EventAdmin
from livereferrals.admin.links import LinkAdmin
from livereferrals.admin.partners import PartnerAdmin
from livereferrals.admin.subscriptions import SubscriptionAdmin
from livereferrals.admin.tokens import FeedTokenAdmin
from livereferrals.admin.visitors import HitAdmin, VisitorAdmin

__all__ = [
    "ConfirmationAdmin",
    "DeliveryAdmin",
    "EventAdmin",
    "FeedTokenAdmin",
    "HitAdmin",
    "LinkAdmin",
    "PartnerAdmin",
    "SubscriptionAdmin",
    "VisitorAdmin",
]
