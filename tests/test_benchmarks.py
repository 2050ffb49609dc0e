"""The benchmarks: what they are given and give back, the report they write, and that the command starts. No time is asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import report, running
from benchmarks.outcomes import Conditions, Cost, Count, Curve, Outcome, Results
from benchmarks.rounds import alternate

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parent.parent
FACTS: dict[str, Any] = {
    "date": "2030-01-02T03:04+00:00",
    "commit": "0123456789ab",
    "cpus": 2,
    "processor": "a processor",
    "memory_gib": 8.0,
    "system": "Linux 6.1",
    "python": "3.11.7",
    "http_client": "wrk",
    "load_before": 0.1,
    "packages": {"Django": "5.2"},
    "quick": True,
    "only": [],
    "minutes": 1.0,
    "seconds": {"hits.uvicorn_postgres": 12.5},
}


def make_outcome(**overrides: Any) -> Outcome:
    values: dict[str, Any] = {
        "row": "P1",
        "what": "hit, c=16",
        "against": "empty async view",
        "goal": 5.0,
        "stretch": 8.0,
        "ours": [600.0, 700.0, 800.0],
        "theirs": [100.0, 90.0, 110.0],
        "unit": "requests/s",
    }
    return Outcome(**values | overrides)


def make_run(**results: Any) -> running.Run:
    return running.Run(results=Results(**results))


# --- outcomes -------------------------------------------------------------------------------------------------------------


def test_ratio_is_of_the_medians_of_all_rounds() -> None:
    outcome = make_outcome()
    assert outcome.ratio == 7.0
    assert (outcome.met, outcome.stretched) == (True, False)


@pytest.mark.parametrize(
    ("overrides", "measured", "met"),
    [
        pytest.param({"better": "lower", "goal": 1.2, "ours": [1.1], "theirs": [1.0]}, 1.1, True, id="latency-at-most"),
        pytest.param({"better": "lower", "goal": 1.2, "ours": [1.3], "theirs": [1.0]}, 1.3, False, id="latency-missed"),
        pytest.param(
            {"better": "lower", "bound": "at least", "goal": 12, "ours": [10.0], "theirs": [150.0]},
            15.0,
            True,
            id="times-less",
        ),
        pytest.param({"better": "lower", "goal": 40, "ours": [41.0], "theirs": []}, 41.0, False, id="absolute-maximum"),
        pytest.param({"goal": None, "ours": [3.0], "theirs": []}, 3.0, None, id="for-the-record"),
    ],
)
def test_goal_is_a_minimum_or_a_maximum(overrides: dict[str, Any], measured: float, met: bool | None) -> None:
    outcome = make_outcome(**overrides)
    assert outcome.measured == pytest.approx(measured)
    assert outcome.met is met


@pytest.mark.parametrize(("ours", "close"), [(560.0, True), (440.0, True), (600.0, False), (400.0, False)])
def test_figure_near_its_limit_is_measured_again(ours: float, close: bool) -> None:
    outcome = make_outcome(ours=[ours], theirs=[100.0])
    assert outcome.is_close is close
    assert running.close_ones(Results(outcomes=[outcome]), measurement("P1", "P2")) == (
        frozenset({("P1", "hit, c=16", "empty async view")}) if close else frozenset()
    )


def measurement(*rows: str) -> running.Measurement:
    return running.Measurement(module="hits", function="uvicorn_postgres", rows=frozenset(rows))


def test_rounds_of_a_second_run_are_joined_to_those_of_the_first() -> None:
    joined = make_outcome(counts=[Count(what="hits", found=1, expected=1)]).joined(
        make_outcome(ours=[1.0], theirs=[2.0], counts=[Count(what="hits", found=2, expected=3)])
    )
    assert joined.ours == [600.0, 700.0, 800.0, 1.0]
    assert [count.holds for count in joined.counts] == [True, False]


@pytest.mark.parametrize(
    ("found", "at_least", "holds"), [(10, False, True), (11, False, False), (11, True, True), (9, True, False)]
)
def test_count_holds_exactly_or_at_least(found: int, at_least: bool, holds: bool) -> None:
    assert Count(what="hits", found=found, expected=10, at_least=at_least).holds is holds


@pytest.mark.parametrize(
    ("points", "exponent", "above"),
    [
        ([(10, 3.0), (100, 3.0), (1000, 3.0)], 0.0, False),
        ([(10, 1.0), (100, 10.0), (1000, 100.0)], 1.0, False),
        ([(10, 1.0), (100, 100.0)], 2.0, True),
        ([(10, 1.0)], 0.0, False),
    ],
    ids=["flat", "linear", "quadratic", "one-point"],
)
def test_curve_knows_whether_it_is_above_linear(
    points: list[tuple[float, float]], exponent: float, above: bool
) -> None:
    curve = Curve(path="hit", what="a hit", size="hits", points=points)
    assert curve.exponent == pytest.approx(exponent)
    assert curve.is_above_linear is above


def test_results_survive_the_way_between_processes() -> None:
    results = Results(
        outcomes=[make_outcome(counts=[Count(what="hits", found=1, expected=1)], figures={"p99 ms": 1.5})],
        costs=[Cost(path="hit", piece="an id", values=[1.0])],
        curves=[Curve(path="hit", what="a hit", size="hits", points=[(1, 2.0)])],
    )
    assert Results.from_json(json.loads(json.dumps(results.as_json()))) == results


def test_contenders_alternate_forwards_and_backwards() -> None:
    calls: list[str] = []

    def contender(name: str) -> Callable[[], int]:
        def call() -> int:
            calls.append(name)
            return len(calls)

        return call

    found = alternate({name: contender(name) for name in "ab"}, rounds=3)
    assert "".join(calls) == "ab" + "ab" + "ba" + "ab"
    assert found == {"a": [3, 6, 7], "b": [4, 5, 8]}


# --- report ---------------------------------------------------------------------------------------------------------------


def test_report_has_every_row_measured_or_not(tmp_path: Path) -> None:
    missed = make_outcome(row="P2", ours=[100.0])
    report.write(make_run(outcomes=[make_outcome(), missed]), facts=FACTS, only=[], out=tmp_path)
    lines = (tmp_path / "REPORT.md").read_text().splitlines()
    goals = {
        line.split(" | ")[0].removeprefix("| "): line
        for line in lines[lines.index("## Goals") : lines.index("## Absolute figures")]
    }
    assert set(report.GOALS) <= set(goals)
    assert "| 7x | yes |" in goals["P1"]
    assert "**no**" in goals["P2"]
    assert "not measured" in goals["P20"]


def test_report_tells_machines_each_figure_with_its_rounds_and_counts(tmp_path: Path) -> None:
    count = Count(what="hits", found=10, expected=10)
    report.write(make_run(outcomes=[make_outcome(counts=[count])]), facts=FACTS, only=[], out=tmp_path)
    told = json.loads((tmp_path / "report.json").read_text())
    (outcome,) = told["outcomes"]
    assert outcome["ours"] == [600.0, 700.0, 800.0]
    assert (outcome["ratio"], outcome["met"], outcome["goal"]) == (7.0, True, 5.0)
    assert outcome["counts"][0]["found"] == 10
    assert told["facts"]["commit"] == FACTS["commit"]


def test_wrong_count_and_broken_measurement_fail_the_run_and_a_missed_goal_does_not(tmp_path: Path) -> None:
    wrong = make_outcome(counts=[Count(what="hits", found=9, expected=10)])
    assert make_run(outcomes=[make_outcome(ours=[1.0])]).is_whole
    assert not make_run(outcomes=[wrong]).is_whole
    assert not running.Run(failures={"hits.uvicorn_postgres": "broke"}).is_whole
    report.write(make_run(outcomes=[wrong]), facts=FACTS, only=[], out=tmp_path)
    assert "**count wrong**" in (tmp_path / "REPORT.md").read_text()


def test_report_marks_growth_above_linear(tmp_path: Path) -> None:
    curve = Curve(path="hit", what="a hit", size="hits", points=[(10, 1.0), (100, 100.0)], notes="why")
    report.write(make_run(curves=[curve]), facts=FACTS, only=[], out=tmp_path)
    assert "**2.00** | why" in (tmp_path / "REPORT.md").read_text()


def test_failures_are_told_without_paths_of_the_machine(tmp_path: Path) -> None:
    text = f'File "{ROOT}/benchmarks/hits.py", {tmp_path}/output.log, {sys.base_prefix}/lib'
    assert running.bare(text, scratch=tmp_path) == 'File "./benchmarks/hits.py", SCRATCH/output.log, PYTHON/lib'


# --- the command ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "asked", "is_asked"),
    [
        ("P8a", "P8", True),
        ("P8a", "p8A", True),
        ("P10", "P1", False),
        ("P1", "P10", False),
        ("growth-hits", "growth", True),
    ],
)
def test_row_is_asked_for_by_its_name_or_that_of_the_whole(row: str, asked: str, is_asked: bool) -> None:
    assert running.is_asked(row, asked) is is_asked


def test_every_row_of_the_table_has_a_measurement() -> None:
    rows = {row for module in running.MODULES for rows in running.measures(module).values() for row in rows}
    assert set(report.GOALS) <= rows
    assert all(any(running.is_asked(row, extra) for row in rows) for extra in running.EXTRAS)
    assert all(report.is_known(row) for row in rows)


def test_command_names_the_rows_that_there_are() -> None:
    """In an interpreter without the packages of the benchmarks: what is asked for is looked at before they are installed."""
    command = [sys.executable, "-m", "benchmarks", "--only", "P99"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    assert done.returncode == 2
    assert "unknown: P99" in done.stderr
    assert "P20" in done.stderr


def test_measurement_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    conditions = Conditions(
        quick=True,
        rounds=1,
        rows=frozenset({"P1"}),
        python=Path(sys.executable),
        scratch=tmp_path,
        shared=tmp_path,
    )
    run = running.Run()
    found = running.in_process(
        running.Measurement(module="nothing", function="there", rows=frozenset()), conditions, whole=run
    )
    assert found == Results()
    assert "No module named 'benchmarks.nothing'" in run.failures["nothing.there"]
    assert str(tmp_path) not in run.failures["nothing.there"]
