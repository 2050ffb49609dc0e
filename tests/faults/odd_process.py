"""A program of the tests under odd circumstances: `python -m tests.faults.odd_process <module> [arguments]`.

`TEST_ODDITIES` names them in JSON:

    clock       path of a file: by how many seconds this process's clock is wrong, looked at each time that it is asked
    database    what is different about the database's settings, such as {"OPTIONS": {"timeout": 1}}
    hits        the limits of the hits that wait: {"most": 4, "room": 8, "room_within_s": 0.5, ...}
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any


def set_wrong_clock(path: str) -> None:
    """Let this process's wall clock be wrong; what cannot be set, its monotonic clock, goes on as it should."""
    from django.utils import timezone

    file, real_time, real_now = Path(path), time.time, timezone.now

    def wrong_by() -> float:
        return float(file.read_text() or 0)

    time.time = lambda: real_time() + wrong_by()
    timezone.now = lambda: real_now() + timedelta(seconds=wrong_by())


def change_database(different: dict[str, Any]) -> None:
    """Connect otherwise from now on."""
    from django.db import connections

    values = connections.settings["default"]
    options = different.pop("OPTIONS", {})
    values.update(different)
    values["OPTIONS"].update(options)


def narrow_hits(limits: dict[str, Any]) -> None:
    """Have less room for hits than a server has."""
    from livereferrals.tracking import group_commit
    from livereferrals.tracking.desks import Limits

    group_commit._group = group_commit.HitGroup(Limits(**limits))


def main(command: list[str]) -> None:
    """Make it odd, then be the program."""
    import django

    django.setup()
    oddities = json.loads(os.environ["TEST_ODDITIES"])
    for name, change in (("clock", set_wrong_clock), ("database", change_database), ("hits", narrow_hits)):
        if name in oddities:
            change(oddities[name])
    sys.argv = command
    runpy.run_module(command[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
