"""What the tests of the shop are given."""

from __future__ import annotations

pytest_plugins = ["livereferrals.testing.fixtures"]
