"""`flush` as the tests need it, after each of a thousand tests: it empties the tables that have rows.

Django's own empties all tables, for which PostgreSQL makes hundreds of files anew, and then has every app make its
permissions and content types again. This one takes its place because the app of tests stands in INSTALLED_APPS; where
permissions or content types are not as they were when the database was made, it leaves the work to Django's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.apps import apps
from django.core.management.commands import flush
from django.db import OperationalError, connections, transaction

from livereferrals.events import log

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

KEPT: Final = ("auth_permission", "django_content_type")
"""Made by Django when it has migrated; Django itself keeps the list of migrations."""
DEADLOCK: Final = "40P01"
SMALL_BYTES: Final = 256 * 1024
"""Where files are larger, on PostgreSQL, new ones are made: rows that are only deleted lie there until a vacuum."""


class Command(flush.Command):
    def handle(self, **options: Any) -> None:
        connection = connections[options["database"]]
        if options["interactive"] or options.get("reset_sequences", True) or not are_as_made(connection):
            super().handle(**options)
            return
        empty = patiently_empty_postgres if connection.vendor == "postgresql" else empty_sqlite
        empty(connection, sorted(set(connection.introspection.django_table_names()) - {*KEPT}))
        log.load_log()


def are_as_made(connection: BaseDatabaseWrapper) -> bool:
    """Whether permissions and content types are those that Django makes for the models."""
    models = apps.get_models(include_auto_created=False)
    permissions = sum(len(model._meta.default_permissions) + len(model._meta.permissions) for model in models)
    return [count(connection, table) for table in KEPT] == [permissions, len(models)]


def count(connection: BaseDatabaseWrapper, table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {connection.ops.quote_name(table)}")  # noqa: S608 - a name of our own
        (found,) = cursor.fetchone()
    return int(found)


def patiently_empty_postgres(connection: BaseDatabaseWrapper, tables: list[str]) -> None:
    """Try again where a server that lives on takes the same locks in another order just now."""
    for is_last in (False, False, True):
        try:
            empty_postgres(connection, tables)
        except OperationalError as error:
            if is_last or getattr(error.__cause__, "sqlstate", "") != DEADLOCK:
                raise
        else:
            return


def empty_postgres(connection: BaseDatabaseWrapper, tables: list[str]) -> None:
    """Empty what has ever had rows since its file was made; wait for who is still writing, as TRUNCATE does."""
    quote = connection.ops.quote_name
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, pg_relation_size(oid) FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace AND relname = ANY(%s)",
            [tables],
        )
        sizes = {name: size for name, size in sorted(cursor.fetchall()) if size}
        if not sizes:
            return
        cursor.execute(f"LOCK TABLE {', '.join(map(quote, sizes))} IN EXCLUSIVE MODE")
        if large := [quote(name) for name, size in sizes.items() if size > SMALL_BYTES]:
            cursor.execute(f"TRUNCATE {', '.join(large)} CASCADE")
        cursor.execute("SET LOCAL session_replication_role = replica")  # no look-up of keys for each row
        small = [quote(name) for name, size in sizes.items() if size <= SMALL_BYTES]
        cursor.execute("; ".join(f"DELETE FROM {name}" for name in small))  # noqa: S608 - names of our own


def empty_sqlite(connection: BaseDatabaseWrapper, tables: list[str]) -> None:
    """Empty what has rows, without a look-up of keys for each of them."""
    quote = connection.ops.quote_name
    questions = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {quote(name)})" for name in tables)  # noqa: S608 - names of our own
    with (
        connection.constraint_checks_disabled(),
        transaction.atomic(using=connection.alias),
        connection.cursor() as cursor,
    ):
        cursor.execute(questions)
        for (name,) in cursor.fetchall():
            cursor.execute(f"DELETE FROM {quote(name)}")  # noqa: S608 - a name of our own
