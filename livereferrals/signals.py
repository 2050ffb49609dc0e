"""Signals for the host project, each sent once, after the commit, with `send_robust`.

| signal               | sender           | arguments                                            |
|----------------------|------------------|------------------------------------------------------|
| `hit_recorded`       | `ReferralHit`    | `hit`, `link`, `visitor`, `user`                     |
| `referral_claimed`   | `Visitor`        | `visitor`, `user`, `hits` (a list of `ReferralHit`)  |
| `referral_confirmed` | `Confirmation`   | `confirmation`, `hit`, `visitor`, `user`, `trigger`  |
| `referral_reversed`  | `Confirmation`   | `confirmation`, `reversal`, `hit`, `visitor`, `user`, `trigger` |
| `callback_delivered` | `Delivery`       | `delivery`, `attempt`                                |
| `callback_failed`    | `Delivery`       | `delivery`, `attempt`, `final`                       |
| `callback_alert`     | `Subscription`   | `subscription`, `cause`, `text`, `delivery` (an id or `None`) |
"""

from __future__ import annotations

from django.dispatch import Signal

hit_recorded = Signal()
referral_claimed = Signal()
referral_confirmed = Signal()
referral_reversed = Signal()
callback_alert = Signal()
callback_delivered = Signal()
callback_failed = Signal()

__all__ = [
    "callback_alert",
    "callback_delivered",
    "callback_failed",
    "hit_recorded",
    "referral_claimed",
    "referral_confirmed",
    "referral_reversed",
]
