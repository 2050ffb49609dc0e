"""The old tables: whether they are there, how many rows they have, and their rows in batches."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from django.core.management.base import CommandError
from django.db import connections
from django.utils import timezone

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime, tzinfo

    from django.db.backends.base.base import BaseDatabaseWrapper

Row = TypeVar("Row", bound=tuple[Any, ...])

TIMES: Final = re.compile(r"@([\w.]+)")
BATCH: Final = 1000
"""Rows read at once and written in one transaction."""
KEYS: Final = 50_000
"""Keys that are held of a table that is read in the order of time: some megabytes."""


class Reading(NamedTuple):
    """A statement that reads a table of the old package."""

    select: str
    """`SELECT ... FROM ...`, whose first column is the table's primary key; columns of times begin with an `@`."""
    key: str
    """The primary key, as the statement names it."""
    since: str
    """The column that says when the row was made; empty where there is none."""
    in_time: str = ""
    """The table, as the statement names it, if its keys are drawn by chance: its rows are read in the order of `since`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Generic[Row]):
    """A table of the old package."""

    name: str
    columns: Collection[str]
    """What it is known by."""
    reading: Reading
    row: type[Row]
    """What the statement that reads it gives."""


class Source:
    """A database with the old tables."""

    def __init__(self, *, alias: str, since: datetime | None = None) -> None:
        self._connection = connections[alias]
        self._since = since

    def require(self, tables: Collection[Table[Any]], *, package: str) -> None:
        """Look whether the tables are there, with these columns.

        Raises:
            CommandError: one is missing.
        """
        there = self._tables()
        if missing := [table.name for table in tables if table.name not in there]:
            raise CommandError(
                f"There are no tables of {package} in the database {self._connection.alias!r}: {', '.join(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} missing. --database names another connection of DATABASES."
            )
        for table in tables:
            here = self._columns(table.name)
            if absent := [column for column in table.columns if column not in here]:
                raise CommandError(
                    f"The table {table.name} has no column {', '.join(absent)}: these are not the tables of {package}."
                )

    def has(self, table: str) -> bool:
        """Whether there is such a table."""
        return table in self._tables()

    def count(self, table: Table[Any]) -> int:
        """Return how many rows a table has."""
        where, values = self._bounds(table.reading.since.rpartition(".")[2])
        return int(self._fetch(f"SELECT COUNT(*) FROM {table.name}{where}", values)[0][0])  # noqa: S608 - names of our own

    def batches(self, table: Table[Row]) -> Iterator[list[Row]]:
        """Give the rows in the order of their key or time, some at a time; what comes in meanwhile may be among them."""
        reading = table.reading
        found = self._in_time(reading) if reading.in_time else self._by_key(reading)
        for rows in found:
            yield [table.row(*each) for each in rows]

    def _by_key(self, reading: Reading) -> Iterator[list[tuple[Any, ...]]]:
        last: list[Any] = []
        while True:
            where, values = self._bounds(reading.since, after=f"{reading.key} > %s" if last else "")
            statement = f"{self._with_plain_times(reading.select)}{where} ORDER BY {reading.key} LIMIT {BATCH}"
            found = self._fetch(statement, [*values, *last])
            if not found:
                return
            yield found
            last = [found[-1][0]]

    def _in_time(self, reading: Reading) -> Iterator[list[tuple[Any, ...]]]:
        """Give the rows in the order of time: random ones would touch every page of our indexes again and again.

        The old tables have no index for it, so that each look for the next keys reads the table: many are looked for.
        """
        order = f"{reading.since}, {reading.key}"
        after = f"({reading.since} > %s OR {reading.since} = %s AND {reading.key} > %s)"
        keys = self._with_plain_times(f"SELECT {reading.key}, @{reading.since} FROM {reading.in_time}")  # noqa: S608 - names of our own
        select = self._with_plain_times(reading.select)
        last: list[Any] = []
        while True:
            where, values = self._bounds(reading.since, after=after if last else "")
            found = self._fetch(f"{keys}{where} ORDER BY {order} LIMIT {KEYS}", [*values, *last])
            if not found:
                return
            for start in range(0, len(found), BATCH):
                wanted = [key for key, _ in found[start : start + BATCH]]
                places = ", ".join(["%s"] * len(wanted))
                yield self._fetch(f"{select} WHERE {reading.key} IN ({places}) ORDER BY {order}", wanted)
            key, moment = found[-1]
            last = [moment, moment, key]

    def look_up(self, statement: str, values: Collection[Any]) -> list[tuple[Any, ...]]:
        """Return the rows of a statement whose `%s` stands for a list of values; none for no values."""
        if not values:
            return []
        return self._fetch(statement.replace("%s", ", ".join(["%s"] * len(values))), list(values))

    def zone(self) -> tzinfo:
        """Return the zone of times that are stored without one.

        Django stores them so on SQLite, in UTC or what the connection's `TIME_ZONE` says. All others were local times.
        """
        own = self._connection.timezone if self._connection.vendor == "sqlite" else None
        return own or timezone.get_default_timezone()

    def _with_plain_times(self, select: str) -> str:
        """Return the statement with times as SQLite stores them: Django's converter raises for text that is none."""
        return TIMES.sub(r"CAST(\1 AS text)" if self._connection.vendor == "sqlite" else r"\1", select)

    def _bounds(self, since: str, *, after: str = "") -> tuple[str, list[Any]]:
        bounds, values = [], []
        if since and self._since is not None:
            bounds.append(f"{since} >= %s")
            values.append(self._connection.ops.adapt_datetimefield_value(self._since))
        if after:
            bounds.append(after)
        return f" WHERE {' AND '.join(bounds)}" if bounds else "", values

    def _tables(self) -> set[str]:
        return set(_introspected(self._connection))

    def _columns(self, table: str) -> set[str]:
        with self._connection.cursor() as cursor:
            return {column.name for column in self._connection.introspection.get_table_description(cursor, table)}

    def _fetch(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall())


def _introspected(connection: BaseDatabaseWrapper) -> list[str]:
    return connection.introspection.table_names()
