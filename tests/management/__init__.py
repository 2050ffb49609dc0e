"""Tests of the sub-commands of `manage.py livereferrals`."""

from __future__ import annotations
