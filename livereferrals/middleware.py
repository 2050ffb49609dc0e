"""The middleware for the host's `MIDDLEWARE`: `livereferrals.middleware.ReferralMiddleware`."""

from __future__ import annotations

from livereferrals.tracking.middleware import ReferralMiddleware

__all__ = ["ReferralMiddleware"]
