"""A small shop that uses livereferrals, and the demo that runs it."""

from __future__ import annotations
