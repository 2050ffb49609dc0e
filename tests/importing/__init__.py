"""Tests of the importers, on tables as the older packages make them."""

from __future__ import annotations
