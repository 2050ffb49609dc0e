"""The times, numbers and tests that the page on faults names are those of the code."""

from __future__ import annotations

import re

import pytest

from livereferrals import conf
from livereferrals.callbacks import clock
from livereferrals.callbacks.transitions import LOSSES_TO_POISON
from livereferrals.callbacks.wanting import LEASE
from livereferrals.tracking.group_commit import LIMITS
from tests.named import is_there
from tests.servers import ROOT

MINUTE_S = 60

pytestmark = pytest.mark.once


def test_page_on_faults_names_the_figures_of_the_code() -> None:
    """L-27, callback-F30, callback-F44, feed-51: whoever changes the one has to change the other"""
    page = (ROOT / "docs" / "faults.md").read_text()

    def named(text: str) -> float:
        found = re.search(text, page)
        assert found is not None, f"The page has no sentence like {text!r}; look whether what it says still holds."
        return float(found[1].replace(",", ""))

    assert named(r"a visitor waits (\d+) s at most") == LIMITS.patience_s
    assert named(r"hits, beyond the ([\d,]+) that wait") == LIMITS.room
    assert named(r"wait in a process for longer than (\d+) s") == LIMITS.room_within_s
    assert named(r"up to `FEED_POLL_INTERVAL` \((\d+) s\) later") == conf.settings.FEED_POLL_INTERVAL.total_seconds()
    assert "when the lease ends, after a minute" in page
    assert "is honoured for a minute" in page
    assert LEASE.total_seconds() == clock.DISTRUST_S == MINUTE_S
    assert "takes the worker with it, three times" in page
    assert LOSSES_TO_POISON == 3


def test_page_on_faults_names_tests_that_are_there() -> None:
    """Each row of its last table names a test by its path and name."""
    table = (ROOT / "docs" / "faults.md").read_text().split("### Row by row")[1]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ") and "`tests/" in line]
    assert len(rows) > 50
    for row in rows:
        assert len(row) == 2, row
        assert is_there(row[1]), row
