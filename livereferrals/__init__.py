"""Live referral and affiliate tracking for Django."""

from __future__ import annotations

__version__ = "0.1.0"
