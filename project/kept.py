"""What the demo keeps between two runs: a directory for its files, and the secrets that must stay the same."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
DIRECTORY = Path(os.environ.get("DEMO_DIR") or ROOT / ".demo").resolve()
SECRETS = DIRECTORY / "secrets.json"
ACCESS = DIRECTORY / "access.json"


def write_private(path: Path, value: object) -> None:
    """Write JSON that only this user may read; a reader sees the whole file or the one before."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(value, file, indent=2)
        file.write("\n")
    aside.replace(path)


def recall(name: str) -> Any:
    """Return what was kept under this name, else `None`."""
    return _read().get(name)


def keep(name: str, value: object) -> None:
    """Keep a value for the next run."""
    write_private(SECRETS, {**_read(), name: value})


def recall_or_keep(name: str, make: Callable[[], str]) -> str:
    """Return what was kept under this name; the first time, make it and keep it."""
    value = recall(name)
    if value is None:
        value = make()
        keep(name, value)
    return str(value)


def _read() -> dict[str, Any]:
    if not SECRETS.exists():
        return {}
    found: dict[str, Any] = json.loads(SECRETS.read_text())
    return found
