"""Tests of what host projects use in theirs."""

from __future__ import annotations
