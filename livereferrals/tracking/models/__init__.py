"""Partners, links, visitors, hits, confirmations and reversals."""

from __future__ import annotations

from livereferrals.tracking.models.confirmations import Confirmation, Reversal, ReversalReason
from livereferrals.tracking.models.owned import LinkOwner, LinkQuerySet
from livereferrals.tracking.models.partners import Partner, ReferralLink, validate_identifier
from livereferrals.tracking.models.visitors import Device, HitQuerySet, Origin, ReferralHit, Visitor

__all__ = [
    "Confirmation",
    "Device",
    "HitQuerySet",
    "LinkOwner",
    "LinkQuerySet",
    "Origin",
    "Partner",
    "ReferralHit",
    "ReferralLink",
    "Reversal",
    "ReversalReason",
    "Visitor",
    "validate_identifier",
]
