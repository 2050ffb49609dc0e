"""For a host's own rules of screening: what they are asked about, and the shipped ones to build on."""

from __future__ import annotations

from livereferrals.tracking.screening import Follow, is_bot, is_embedded, is_prefetch, is_repeat, is_self_referral

__all__ = ["Follow", "is_bot", "is_embedded", "is_prefetch", "is_repeat", "is_self_referral"]
