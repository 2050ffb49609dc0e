"""The short form of `make faults`: on PostgreSQL and Valkey in the one half of the suite, on SQLite in the other."""

from __future__ import annotations

from django.db import connection

from tests.faults.runs import perform


def test_nothing_that_was_answered_is_lost_or_doubled_whatever_happens() -> None:
    """L-10, feed-49, feed-50, feed-51, callback-F32, callback-F41, callback-F42: kills, cuts, locks and full disks"""
    kind = "postgres" if connection.vendor == "postgresql" else "sqlite"
    run = perform("chaos", "--on", kind, "--short", "--seed", "7")
    assert run.returncode == 0, run.stdout
    assert "Nothing is lost, nothing is doubled." in run.stdout
