"""Measures everything that has a goal, beside what people would use instead: `python -m benchmarks`.

The first run makes the environment of the benchmarks in `.bench`. The results are written to `REPORT.md` and
`report.json` in `benchmarks/`; those of a part of the table (`--only`) in `.bench/out/`. Ends with 1 where a run broke or a durable count is wrong; a goal that is missed is shown as missed.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from benchmarks import environment, report, running

WHOLE, PART = environment.ROOT / "benchmarks", environment.HOME / "out"


def main(arguments: list[str]) -> int:
    """Run what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one short round of everything")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="ROW",
        help="this row or part of the report: P10, P8, costs, growth",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the report is written")
    asked = parser.parse_args(arguments)
    only = [row for given in asked.only for row in given.split(",") if row]
    if unknown := [row for row in only if not report.is_known(row)]:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(report.rows())}")
    if not environment.is_inside():
        python = environment.ensure()
        os.execv(python, [str(python), "-m", "benchmarks", *arguments])  # noqa: S606 - the same command, elsewhere
    return measure(quick=asked.quick, only=only, out=asked.out or (PART if only else WHOLE))


def measure(*, quick: bool, only: list[str], out: Path) -> int:
    """Start the services, measure, write the report."""
    # As Ctrl-C: what was started is ended on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    started = time.monotonic()
    facts = environment.facts() | {"quick": quick, "only": only}
    out.mkdir(parents=True, exist_ok=True)

    def keep(found: running.Run) -> None:
        taken = {"minutes": round((time.monotonic() - started) / 60, 1), "seconds": found.seconds}
        report.write(found, facts=facts | taken, only=only, out=out)

    with environment.scratch() as place, environment.postgres(place) as postgres, environment.valkey() as valkey:
        ground = running.Ground(quick=quick, place=place, postgres_url=postgres, valkey_url=valkey)
        found = running.run(ground, only=only, keep=keep)
    keep(found)
    sys.stdout.write("\n".join(report.goals(found, only=only)) + "\n")
    return 0 if found.is_whole else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
