"""Tests of the demo project and of what it is started with."""

from __future__ import annotations
