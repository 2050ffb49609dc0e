"""A small disk of our own, which can be full: `with own_disk(192) as disk: ... with disk.full(): ...`."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE: Final = bytes(1 << 16)


class NoDiskError(Exception):
    """This system does not let us mount one; the message says why."""


@dataclass(frozen=True, slots=True)
class Disk:
    """Where it is mounted."""

    path: Path

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Leave no byte of room (ENOSPC) for as long as this lasts."""
        ballast = self.path / "ballast"
        with ballast.open("wb", buffering=0) as file:
            while _is_taken(file.fileno()):
                pass
        try:
            yield
        finally:
            ballast.unlink()


def _is_taken(file: int) -> bool:
    try:
        return os.write(file, PIECE) > 0
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False


@contextlib.contextmanager
def own_disk(size_mib: int) -> Iterator[Disk]:
    """Mount a disk in memory.

    Raises:
        NoDiskError: that is not allowed, or not known, here.
    """
    with tempfile.TemporaryDirectory(prefix="livereferrals-disk-") as place:
        _run("mount", "-t", "tmpfs", "-o", f"size={size_mib}m,mode=755", "livereferrals", place)
        try:
            yield Disk(Path(place))
        finally:
            # Whoever was told to end may still close its files.
            wait_until(lambda: _is_unmounted(place), what="A disk that nobody uses")


def _is_unmounted(place: str) -> bool:
    try:
        _run("umount", place)
    except NoDiskError:
        return False
    return True


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own command
    except FileNotFoundError as error:
        raise NoDiskError(f"there is no {command[0]} here") from error
    except subprocess.CalledProcessError as error:
        raise NoDiskError(error.stderr.strip()) from error
