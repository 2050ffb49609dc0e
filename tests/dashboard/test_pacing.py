from __future__ import annotations

import pytest

from livereferrals.dashboard.pacing import INTERVAL_S, pause_after


@pytest.mark.parametrize(
    ("took", "pause"), [(0.0, 0.25), (0.05, 0.25), (0.06, 0.5), (0.2, 0.5), (0.3, 1.0), (60.0, 2.0)]
)
def test_slow_rendering_lowers_the_pace(took, pause):
    """dashboard.md 4: at most 4 a second, halved above 50 ms"""
    assert pause_after(took) == pause
    assert pause_after(took) >= INTERVAL_S
