"""The host project that is measured: `startproject` and the five edits of the README, with a partner and a link."""

from __future__ import annotations

IDENTIFIER = "benchmark"
"""The link that is followed, on every contender."""
PARTNER = "benchone"
"""Uid of the partner whose home link is followed by a parameter on any URL."""
