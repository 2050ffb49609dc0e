"""The shop's own tests: how a project tests that its referrals count."""

from __future__ import annotations
