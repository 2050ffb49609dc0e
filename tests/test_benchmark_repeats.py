"""How a run of the benchmarks is kept short: only close figures are measured again, and databases are made once."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import hits, running, templates
from benchmarks.outcomes import Conditions

pytestmark = pytest.mark.once


def make_conditions(place: Path, **overrides: Any) -> Conditions:
    values: dict[str, Any] = {
        "quick": True,
        "rounds": 1,
        "rows": frozenset({"P1"}),
        "python": Path(sys.executable),
        "scratch": place,
        "shared": place,
    }
    return Conditions(**values | overrides)


def test_only_the_figures_that_are_close_are_wanted_again(tmp_path: Path) -> None:
    rows = frozenset({"P1", "P2"})
    first = make_conditions(tmp_path, rows=rows)
    assert first.wants("P1", "hit, c=16", "empty async view")
    assert not first.wants("P3", "hit, c=16", "raw ASGI")
    again = make_conditions(tmp_path, rows=rows, wanted=frozenset({("P1", "hit, c=16", "empty async view")}))
    assert again.wants("P1", "hit, c=16", "empty async view")
    assert not again.wants("P1", "hit, c=16", "django-hype")
    assert not again.wants("P2", "hit, c=64", "empty async view")


def test_nobody_is_loaded_whom_no_wanted_figure_needs() -> None:
    goals = [
        hits.Goal(row="P2", at=64, against=hits.ASYNC, goal=10, stretch=15),
        hits.Goal(row="P3", at=64, against=hits.RAW, goal=0.33, stretch=0.45),
        hits.Goal(row="P1", at=16, against=hits.ASYNC, goal=5, stretch=8),
    ]
    assert hits.plan(goals) == {16: [hits.OURS, hits.ASYNC], 64: [hits.OURS, hits.ASYNC, hits.RAW]}
    assert hits.plan(goals[1:2]) == {64: [hits.OURS, hits.RAW]}
    links_first = hits.Goal(row="P8c", at=16, against=hits.VIEW, goal=1.1, stretch=1.3, ours=hits.AHEAD)
    assert hits.plan([links_first]) == {16: [hits.AHEAD, hits.VIEW]}


@pytest.mark.parametrize(
    ("module", "function"), [("hits", "plain_view"), ("fanout", "burst_uvicorn"), ("callbacks", "hanging")]
)
def test_function_starts_nothing_for_a_figure_that_it_does_not_have(tmp_path: Path, module: str, function: str) -> None:
    rows = frozenset({"P8a", "P10", "P17"})
    wanted = frozenset((row, "nothing of the kind", "") for row in rows)
    measure = running.function(module, function)
    assert measure(make_conditions(tmp_path, rows=rows, wanted=wanted)) == []


def test_dashboard_sees_to_its_close_figures_itself() -> None:
    (found,) = running.measurements(["P20"], whole=running.Run())
    assert not found.is_repeated
    (found,) = running.measurements(["P1"], whole=running.Run())
    assert found.is_repeated


def test_conditions_survive_the_way_between_processes(tmp_path: Path) -> None:
    wanted = frozenset({("P1", "hit, c=16", "empty async view")})
    conditions = make_conditions(tmp_path, wanted=wanted, postgres_url="postgresql:///bench")
    assert Conditions.from_json(json.loads(json.dumps(conditions.as_json()))) == conditions


def test_database_is_made_once_in_a_run_and_copied(tmp_path: Path) -> None:
    made: list[str] = []

    def make(url: str) -> None:
        made.append(url)
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE links (name)")

    both = [make_conditions(tmp_path / str(number), shared=tmp_path) for number in range(2)]
    for conditions in both:
        conditions.scratch.mkdir()
        url = templates.copied(conditions, "host", "sqlite", make)
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            connection.execute("INSERT INTO links VALUES ('a')")
            connection.commit()
            assert connection.execute("SELECT count(*) FROM links").fetchone() == (1,)
    assert len(made) == 1
    templates.drop(both[0], "host", "sqlite")
    assert not list(tmp_path.glob("*.sqlite3*"))


def test_half_made_database_is_made_anew(tmp_path: Path) -> None:
    def fail(url: str) -> None:
        Path(url.removeprefix("sqlite:///")).write_text("half of it")
        raise RuntimeError("broke")

    conditions = make_conditions(tmp_path)
    with pytest.raises(RuntimeError, match="broke"):
        templates.made(conditions, "host", "sqlite", fail)
    url = templates.made(
        conditions, "host", "sqlite", lambda url: Path(url.removeprefix("sqlite:///")).write_text("all")
    )
    assert Path(url.removeprefix("sqlite:///")).read_text() == "all"
