"""Signals for the host project, each sent once, after the commit, with `send_robust`."""

from __future__ import annotations

from django.dispatch import Signal

hit_recorded = Signal()
"""Sent by `ReferralHit` with `hit`, `link`, `visitor` and `user` when a link was followed."""

referral_claimed = Signal()
"""Sent by `Visitor` with `visitor`, `user` and `hits` (a list of `ReferralHit`) when a visitor became a user's."""

referral_confirmed = Signal()
"""Sent by `Confirmation` with `confirmation`, `hit`, `visitor`, `user` and `trigger` when a success was credited."""

referral_reversed = Signal()
"""Sent by `Confirmation` with `confirmation`, `reversal`, `hit`, `visitor`, `user` and `trigger` when it was taken back."""

callback_delivered = Signal()
"""Sent by `Delivery` with `delivery` and `attempt` when a partner's server has accepted it."""

callback_failed = Signal()
"""Sent by `Delivery` with `delivery`, `attempt` and `final` (nobody tries again) when it has not."""

callback_alert = Signal()
"""Sent by `Subscription` with `subscription`, `cause`, `text` and `delivery` (an id or `None`) when its endpoint
needs somebody."""

__all__ = [
    "callback_alert",
    "callback_delivered",
    "callback_failed",
    "hit_recorded",
    "referral_claimed",
    "referral_confirmed",
    "referral_reversed",
]
