"""A cursor in a file survives a kill at any moment, and is never half of one."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest

from livereferrals.client import CallableCursorStore, FileCursorStore

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.once


async def test_file_holds_the_last_cursor_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "feed.cursor"
    store = FileCursorStore(path)
    assert await store.load() is None
    await store.save("k3f9.1")
    await store.save("k3f9.2")
    assert await FileCursorStore(path).load() == "k3f9.2"
    assert os.listdir(tmp_path) == [path.name]  # noqa: PTH208 - a loop may call it


async def test_old_cursor_stays_until_the_new_one_is_on_the_disk(tmp_path: Path, monkeypatch: Any) -> None:
    """Write aside, flush, rename: what fails before the renaming changes nothing."""
    path = tmp_path / "feed.cursor"
    store = FileCursorStore(path)
    await store.save("k3f9.1")

    def fail(handle: int) -> None:
        assert path.read_text() == "k3f9.1\n"
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        await store.save("k3f9.2")
    assert path.read_text() == "k3f9.1\n"
    assert os.listdir(tmp_path) == [path.name]  # noqa: PTH208 - a loop may call it


async def test_foreign_file_is_not_taken_for_a_cursor(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("buy milk\n")
    with pytest.raises(ValueError, match=r"notes\.txt does not hold a cursor"):
        await FileCursorStore(path).load()


async def test_empty_file_is_a_first_start(tmp_path: Path) -> None:
    (tmp_path / "feed.cursor").touch()
    assert await FileCursorStore(tmp_path / "feed.cursor").load() is None


async def test_cancelled_save_is_over_before_the_next_one(tmp_path: Path) -> None:
    """An earlier cursor never overtakes a later one."""
    store = FileCursorStore(tmp_path / "feed.cursor")
    for number in range(20):
        saving = asyncio.ensure_future(store.save(f"k3f9.{number}"))
        await asyncio.sleep(0)
        saving.cancel()
        await asyncio.wait([saving])
        await store.save(f"k3f9.{number + 100}")
        assert await store.load() == f"k3f9.{number + 100}"


async def test_functions_of_both_kinds_make_a_store() -> None:
    kept = ["k3f9.1"]

    async def load() -> str:
        return kept[-1]

    plain = CallableCursorStore(lambda: kept[-1], kept.append)
    await plain.save("k3f9.2")
    assert await plain.load() == await CallableCursorStore(load, kept.append).load() == "k3f9.2"
