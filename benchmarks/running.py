"""Runs the measurements: each function in a process of its own, with databases of its own; close ones again.

`python -m benchmarks.running MODULE NAME` is that process; it reads `Conditions` from its input and writes `Results`.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.environment import ROOT, drop_databases, new_database, say
from benchmarks.outcomes import Conditions, Results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from benchmarks.outcomes import Name

MODULES = ("hits", "fanout", "callbacks", "dashboard", "costs", "storage", "growth")
"""In the order in which they are run."""
EXTRAS = ("costs", "growth")
"""What stands beside the rows and may be asked for by name."""
TIMEOUT_S = 1800.0
QUICK_TIMEOUT_S = 300.0
GRACE_S = 30.0
ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One function, and the rows under which it stands."""

    module: str
    function: str
    rows: frozenset[str]
    is_repeated: bool = True
    """Whether what lies close to its limit is measured again in another call; else the function sees to it."""

    def __str__(self) -> str:
        return f"{self.module}.{self.function}"


@dataclass(slots=True, kw_only=True)
class Run:
    """What a whole run gave."""

    results: Results = field(default_factory=Results)
    failures: dict[str, str] = field(default_factory=dict)
    """What broke, by the name of the measurement, with the end of its output."""
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether nothing broke and every durable count holds."""
        return not self.failures and all(count.holds for outcome in self.results.outcomes for count in outcome.counts)


# --- the run --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where everything is run."""

    quick: bool
    place: Path
    postgres_url: str
    valkey_url: str

    @contextlib.contextmanager
    def conditions(
        self, name: str, *, rows: frozenset[str], rounds: int, wanted: frozenset[Name] = frozenset()
    ) -> Iterator[Conditions]:
        """Give a directory and a database to one run; both are taken away after it."""
        scratch, shared = self.place / name, self.place / "shared"
        scratch.mkdir()
        shared.mkdir(exist_ok=True)
        try:
            yield Conditions(
                quick=self.quick,
                rounds=rounds,
                rows=rows,
                python=Path(sys.executable),
                scratch=scratch,
                shared=shared,
                wanted=wanted,
                postgres_url=new_database(self.postgres_url, name),
                valkey_url=self.valkey_url,
            )
        finally:
            drop_databases(self.postgres_url, name)
            shutil.rmtree(scratch, ignore_errors=True)


def run(ground: Ground, *, only: list[str], keep: Callable[[Run], None]) -> Run:
    """Run what is asked for and return everything that was found; `keep` gets it after each measurement too."""
    whole = Run()
    for number, measurement in enumerate(measurements(only, whole=whole)):
        started = time.monotonic()
        say(f"{measurement} ({', '.join(sorted(measurement.rows))}) ...")
        rounds = 1 if ground.quick else ROUNDS
        with ground.conditions(f"bench_{number}_", rows=measurement.rows, rounds=rounds) as conditions:
            _add(whole, measurement, in_process(measurement, conditions, whole=whole))
        if not ground.quick and measurement.is_repeated and (close := close_ones(whole.results, measurement)):
            _again(measurement, ground, f"bench_{number}_again_", close=close, whole=whole)
        whole.seconds[str(measurement)] = round(time.monotonic() - started, 1)
        keep(whole)
    return whole


def _again(measurement: Measurement, ground: Ground, name: str, *, close: frozenset[Name], whole: Run) -> None:
    """Measure the figures that are close to their limits again, and nothing else."""
    say(f"  close to the limit, {ROUNDS} more rounds: {'; '.join(' '.join(one) for one in sorted(close))}")
    rows = frozenset(row for row, *_ in close)
    with ground.conditions(name, rows=rows, rounds=ROUNDS, wanted=close) as conditions:
        _add(whole, measurement, in_process(measurement, conditions, whole=whole))


def in_process(measurement: Measurement, conditions: Conditions, *, whole: Run) -> Results:
    """Call the function in a process of its own; where it breaks, keep the end of what it said."""
    command = [str(conditions.python), "-m", "benchmarks.running", measurement.module, measurement.function]
    given = json.dumps(conditions.as_json())
    answer = conditions.scratch / "results.json"
    log = conditions.scratch / "output.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*command, str(answer)],
            cwd=ROOT,
            env=surroundings(),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            process.communicate(given.encode(), timeout=QUICK_TIMEOUT_S if conditions.quick else TIMEOUT_S)
        except subprocess.TimeoutExpired:
            log.open("a").write("\nIt took too long.\n")
        finally:
            end(process)
    if process.returncode == 0 and answer.exists():
        return Results.from_json(json.loads(answer.read_text()))
    told = bare(log.read_text(errors="replace"), scratch=conditions.scratch)[-3000:]
    whole.failures[str(measurement)] = f"ended with {process.returncode}\n{told}"
    say(f"  {measurement} broke: {whole.failures[str(measurement)]}")
    return Results()


def end(process: subprocess.Popen[bytes]) -> None:
    """End a measurement as Ctrl-C does, so that it ends its servers; with all that it started where that is not enough."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
    with contextlib.suppress(ProcessLookupError):
        # A session of its own: nobody else is in its group.
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def bare(text: str, *, scratch: Path) -> str:
    """Return the text without this machine's paths."""
    for place, name in ((scratch, "SCRATCH"), (ROOT, "."), (Path(sys.base_prefix), "PYTHON")):
        text = text.replace(str(place), name)
    return text


def surroundings() -> dict[str, str]:
    """Return the environment of a measurement: the checkout's code, and none of the settings of this shell's tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TEST_", "DJANGO_", "PYTHON"))}
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def close_ones(found: Results, measurement: Measurement) -> frozenset[Name]:
    """Return the figures that need more rounds."""
    return frozenset(one.name for one in found.outcomes if one.row in measurement.rows and one.is_close)


def _add(whole: Run, measurement: Measurement, found: Results) -> None:
    """Keep what is new, and join the rounds of what was measured again."""
    results = whole.results
    for outcome in found.outcomes:
        if outcome.row not in measurement.rows:
            continue
        for place, known in enumerate(results.outcomes):
            if known.name == outcome.name:
                results.outcomes[place] = known.joined(outcome)
                break
        else:
            results.outcomes.append(outcome)
    results.costs.extend(
        cost for cost in found.costs if (cost.path, cost.piece) not in {(one.path, one.piece) for one in results.costs}
    )
    results.curves.extend(
        curve
        for curve in found.curves
        if (curve.what, curve.size) not in {(one.what, one.size) for one in results.curves}
    )


# --- what there is --------------------------------------------------------------------------------------------------------


def measurements(only: list[str], *, whole: Run) -> Iterable[Measurement]:
    """Give the functions that stand under one of the asked rows, each once; all of them where none is asked."""
    for module in MODULES:
        try:
            functions = measures(module)
        except Exception as error:  # noqa: BLE001 - a module that cannot be imported costs its own rows only
            whole.failures[f"benchmarks.{module}"] = f"cannot be imported: {error!r}"
            say(f"benchmarks.{module} cannot be imported: {error!r}")
            continue
        for name, rows in functions.items():
            asked = frozenset(row for row in rows if not only or any(is_asked(row, one) for one in only))
            if asked:
                is_repeated = not getattr(sys.modules[f"benchmarks.{module}"], "REPEATS_ITSELF", False)
                yield Measurement(module=module, function=name, rows=asked, is_repeated=is_repeated)


def measures(module: str) -> dict[str, list[str]]:
    """Return the names of a module's functions with their rows."""
    found = importlib.import_module(f"benchmarks.{module}")
    functions: dict[str, list[str]] = {}
    for row, function in getattr(found, "MEASURES", {}).items():
        functions.setdefault(function.__name__, []).append(row)
    return functions


def is_asked(row: str, asked: str) -> bool:
    """Whether a row is the one that is asked for, or a part of it: P8 asks for P8a and P8b, P1 not for P10."""
    rest = row.lower().removeprefix(asked.lower())
    return len(rest) < len(row) and not rest[:1].isdigit()


# --- the process of one measurement ---------------------------------------------------------------------------------------


def function(module: str, name: str) -> Callable[[Conditions], Any]:
    """Return the function of this name."""
    found: Callable[[Conditions], Any] = getattr(importlib.import_module(f"benchmarks.{module}"), name)
    return found


def main() -> None:
    """Call one function under the conditions that stand on the input; write what it gives to a file."""
    module, name, answer = sys.argv[1:]
    found = function(module, name)(Conditions.from_json(json.load(sys.stdin)))
    results = found if isinstance(found, Results) else Results(outcomes=found)
    Path(answer).write_text(json.dumps(results.as_json()))


if __name__ == "__main__":
    main()
