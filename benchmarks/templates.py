"""Databases that are made once in a run and copied: migrating takes seconds, and a million rows take a minute."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Literal

from benchmarks.environment import beside, drop_database, new_database

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.outcomes import Conditions

    Database = Literal["postgres", "sqlite"]
    Make = Callable[[str], object]
    """Makes everything in the empty database at an address, and leaves no connection to it."""


def made(conditions: Conditions, name: str, database: Database, make: Make) -> str:
    """Return the address of a database that is made where nothing of this run has made it yet; only to be read."""
    if database == "sqlite":
        return _sqlite(_made_file(conditions.shared, name, make))
    return beside(_postgres(conditions), _made_database(_postgres(conditions), name, make))


def copied(conditions: Conditions, name: str, database: Database, make: Make, *, own: str = "") -> str:
    """Return the address of this measurement's own copy, by the same name or another."""
    if database == "sqlite":
        copy = conditions.scratch / f"{own or name}.sqlite3"
        shutil.copyfile(_made_file(conditions.shared, name, make), copy)
        _flush(copy)
        return _sqlite(copy)
    template = _made_database(_postgres(conditions), name, make)
    return conditions.new_postgres(own or name, template=template)


def drop(conditions: Conditions, name: str, database: Database) -> None:
    """Take away what was made, where it is there."""
    if database == "sqlite":
        for file in conditions.shared.glob(f"{name}.sqlite3*"):
            file.unlink()
    else:
        drop_database(_postgres(conditions), _database(name))


def _made_file(place: Path, name: str, make: Make) -> Path:
    done = _file(place, name)
    if not done.exists():
        unfinished = place / f"{name}.unfinished.sqlite3"
        for left in place.glob(f"{unfinished.name}*"):
            left.unlink()
        make(_sqlite(unfinished))
        if [*place.glob(f"{unfinished.name}-*")]:
            raise RuntimeError(f"Somebody is still connected to {unfinished.name}.")
        unfinished.rename(done)
        _flush(done)
    return done


def _made_database(url: str, name: str, make: Make) -> str:
    import psycopg

    done, unfinished = _database(name), f"{_database(name)}_unfinished"
    with psycopg.connect(url, autocommit=True) as connection:
        if connection.execute("SELECT FROM pg_database WHERE datname = %s", [done]).fetchone() is None:
            drop_database(url, unfinished)
            make(new_database(url, unfinished))
            connection.execute(f'ALTER DATABASE "{unfinished}" RENAME TO "{done}"')
    return done


def _file(place: Path, name: str) -> Path:
    return place / f"{name}.sqlite3"


def _database(name: str) -> str:
    return f"shared_{name}"


def _sqlite(file: Path) -> str:
    return f"sqlite:///{file}"


def _postgres(conditions: Conditions) -> str:
    if conditions.postgres_url is None:
        raise LookupError("PostgreSQL is needed.")
    return conditions.postgres_url


def _flush(file: Path) -> None:
    """Have it on the disk now, and not during what is measured."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
