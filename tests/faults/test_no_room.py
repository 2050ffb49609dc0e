"""A PostgreSQL without room on its disk: `make faults` runs the same."""

from __future__ import annotations

import os

import pytest

from tests.faults.no_room import NOT_POSSIBLE
from tests.faults.runs import perform


@pytest.mark.once
@pytest.mark.skipif("LIVEREFERRALS_SOAK" not in os.environ, reason="takes 25 s; `make faults` runs it in any case")
def test_full_disk_of_postgres_loses_nothing_that_was_answered() -> None:
    """L-10, L-27, callback-F43: neither when its tables cannot grow, nor when it ends because its log cannot"""
    run = perform("no_room")
    if run.returncode == NOT_POSSIBLE:
        pytest.skip(run.stdout)
    assert run.returncode == 0, run.stdout
    assert "Nothing is lost, nothing is doubled." in run.stdout
