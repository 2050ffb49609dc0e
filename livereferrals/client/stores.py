"""Where a client keeps its cursor. Best is beside the effect of the events: then each has its effect exactly once."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from livereferrals.client.cursors import is_cursor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

MAX_FILE_BYTES = 200


class CursorStore(Protocol):
    """What a store has to be able to do."""

    async def load(self) -> str | None:
        """Return the cursor that was saved last, or `None` before the first."""

    async def save(self, cursor: str) -> None:
        """Keep the cursor; when this returns, it must survive what you want to survive."""


class MemoryCursorStore:
    """Keeps the cursor for as long as the object lives."""

    def __init__(self, cursor: str | None = None) -> None:
        self.cursor = cursor

    async def load(self) -> str | None:
        """Return the cursor."""
        return self.cursor

    async def save(self, cursor: str) -> None:
        """Keep the cursor."""
        self.cursor = cursor


class FileCursorStore:
    """Keeps the cursor in a file, which holds the old or the new one after any crash, never half of one.

    One program writes one file: two with the same file would move each other's place.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    async def load(self) -> str | None:
        """Return the cursor in the file; `None` where there is no file or an empty one.

        Raises:
            ValueError: the file holds something else.
            OSError: it cannot be read.
        """
        text = await asyncio.to_thread(self._read)
        if text and not is_cursor(text):
            raise ValueError(f"{self.path} does not hold a cursor such as k3f9.1840; is it another program's file?")
        return text or None

    async def save(self, cursor: str) -> None:
        """Write aside, flush to the disk, and put it in place.

        Raises:
            OSError: it cannot be written.
        """
        writing = asyncio.ensure_future(asyncio.to_thread(self._write, cursor))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            # The thread goes on; a later save must not be overtaken by it.
            await writing
            raise

    def _read(self) -> str:
        try:
            with self.path.open("rb") as file:
                return file.read(MAX_FILE_BYTES).decode("ascii", errors="replace").strip()
        except FileNotFoundError:
            return ""

    def _write(self, cursor: str) -> None:
        aside = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        try:
            with aside.open("w", encoding="ascii") as file:
                file.write(f"{cursor}\n")
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                aside.unlink()
            raise
        _flush_directory(self.path.parent)


class CallableCursorStore:
    """Keeps the cursor with two functions of yours, plain or async."""

    def __init__(
        self, load: Callable[[], str | Awaitable[str | None] | None], save: Callable[[str], Awaitable[None] | None]
    ) -> None:
        self._load = load
        self._save = save

    async def load(self) -> str | None:
        """Return what your function returns."""
        return await settled(self._load())

    async def save(self, cursor: str) -> None:
        """Call your function."""
        await settled(self._save(cursor))


async def settled(value: T | Awaitable[T]) -> T:
    """Return what a function of the owner's gives, be it plain or async."""
    return await value if inspect.isawaitable(value) else value


def _flush_directory(directory: Path) -> None:
    """Make the renaming itself last; Windows cannot open a directory, and does not need to."""
    if os.name != "posix":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
