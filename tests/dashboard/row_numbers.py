"""Numbers of the database's rows, made so large that each can be told from every other number on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import connection, models

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST: Final = 1_700_000_000
"""Of ten digits, and below the largest number of the user's table."""
APART: Final = 1_000_003


def begin() -> None:
    """Number the rows of each table from now on as no other table does."""
    for place, model in enumerate(_numbered()):
        table, last = model._meta.db_table, FIRST + place * APART
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("SELECT setval(pg_get_serial_sequence(%s, 'id'), %s)", [table, last])
            else:
                cursor.execute("DELETE FROM sqlite_sequence WHERE name = %s", [table])
                cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (%s, %s)", [table, last])


def used() -> set[str]:
    """Return the numbers of all rows, as a page would write them."""
    pks = {pk for model in _numbered() for pk in model._base_manager.filter(pk__gt=FIRST).values_list("pk", flat=True)}
    return {text for pk in pks for text in (str(pk), f"{pk:,}")}


def _numbered() -> Iterator[type[models.Model]]:
    for model in (get_user_model(), *apps.get_app_config("livereferrals").get_models()):
        if isinstance(model._meta.pk, models.AutoField):
            yield model
