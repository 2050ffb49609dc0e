"""A shop under load to which everything happens that can: `python -m tests.faults.chaos`, or `make faults`.

Servers and workers as they are in production, with a database of their own: two servers and two workers on PostgreSQL and
Valkey, or one server on SQLite. At moments drawn by chance, from `--seed`, something is killed, stopped, cut, locked or
filled; in the end everything is left in peace, and `accounting` proves that nothing which was answered is lost or doubled.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.bootstrap import host_project

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description="Kill, stop, cut, lock and fill things under load, and account for all."
    )
    parser.add_argument("--on", choices=["postgres", "sqlite"], default="postgres", help="the database")
    parser.add_argument("--minutes", type=float, default=4.0, help="for how long things happen")
    parser.add_argument("--seed", type=int, default=None, help="what is drawn by chance is drawn from this")
    parser.add_argument("--short", action="store_true", help="the commonest misfortunes, each once and for a moment")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep what was answered, and all logs")
    options = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    with host_project(options.on) as postgres:
        from tests.faults.course import Course, perform

        course = Course(seconds=60 * options.minutes, seed=seed, short=options.short, keep=options.keep)
        return int(perform(course, postgres))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
