"""What `make soak` takes for growth."""

from __future__ import annotations

import os

import pytest

from tests.faults.soak import ROWS, SAMPLES, Sample, Track

pytestmark = pytest.mark.once


def track(memory_of: list[float], files_of: list[int] | None = None) -> Track:
    files = files_of or [30] * len(memory_of)
    samples = [Sample(memory=memory, files=number) for memory, number in zip(memory_of, files, strict=True)]
    return Track(name="server", samples=samples)


def test_memory_that_warms_up_and_stays_is_no_growth() -> None:
    """Nor is a peak, nor a mebibyte more"""
    warming = [80.0] * 20 + [95.0] * 20 + [200.0] * 40 + [201.0] * 39 + [300.0]
    assert track(warming).growth() == []


def test_memory_that_goes_on_growing_is_found() -> None:
    """A leak of a tenth in a third of the time"""
    assert track([100 + number / 4 for number in range(SAMPLES)]).growth() == ["server: memory from 114.9 to 124.9 MiB"]


def test_open_files_that_go_on_growing_are_found() -> None:
    """One in six samples"""
    (found,) = track([90.0] * SAMPLES, [30 + number // 6 for number in range(SAMPLES)]).growth()
    assert found.startswith("server: open files from ")


def test_table_has_a_row_for_each_part_of_the_time() -> None:
    """Medians, from the beginning to the end"""
    rows = track([float(number) for number in range(SAMPLES)]).rows()
    assert [memory for memory, _ in rows] == [4.5 + 10 * number for number in range(ROWS)]


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="there is no proc(5)")  # noqa: PTH110 - no object is made
def test_process_is_looked_at() -> None:
    """As Linux tells it"""
    here = Sample.of(os.getpid())
    assert here.memory > 1
    assert here.files > 2
