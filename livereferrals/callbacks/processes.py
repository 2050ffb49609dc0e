"""Naming processes, so that a lease whose process is gone is over at once (callbacks, section 4)."""

from __future__ import annotations

import hashlib
import os
import socket
from functools import cache
from pathlib import Path

NAME_LENGTH = 100
"""Length of the column `leased_by`."""


def this_process() -> str:
    """Return `host:pid:start` of this process."""
    pid = os.getpid()
    return f"{machine()}:{pid}:{_start_of(pid)}"


def is_gone(name: str) -> bool:
    """Whether the named process ran on this machine and does not any more; `False` where that cannot be known."""
    host, pid, start = [*name.rsplit(":", 2), "", ""][:3]
    return host == machine() and pid.isdigit() and _start_of(int(pid)) != start


@cache
def machine() -> str:
    """Return the host's name with a mark of its running kernel and process namespace.

    Two containers may have one host name, and the numbers of one mean nothing in the other.
    """
    marks = [_read(Path("/proc/sys/kernel/random/boot_id")), _namespace()]
    digest = hashlib.sha256("".join(marks).encode()).hexdigest()[:8]
    host = socket.gethostname().replace(":", "-")[: NAME_LENGTH - 50]
    return f"{host}/{digest}"


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _start_of(pid: int) -> str:
    """Return when a process started, in the kernel's ticks; empty: there is none. Without /proc: `up`, unless gone."""
    stat = _read(Path(f"/proc/{pid}/stat"))
    if stat:
        # The name of the program stands in brackets and may hold spaces; state and start time come after it.
        fields = stat.rpartition(")")[2].split()
        return "" if fields[0] in {"Z", "X"} else fields[19]
    if Path("/proc/self/stat").exists():
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        return "up"
    return "up"
