"""Names that are drawn by chance: one that is taken is drawn again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import IntegrityError, router, transaction

from livereferrals import ids

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import Model


def insert_drawn(
    row: Model, name: str, *, drawn: str | None, insert: Callable[[], None], is_taken: Callable[[str], bool]
) -> None:
    """Insert a row; where its `name` was drawn by chance and is taken, draw again (L-07). An own choice is not changed."""
    while True:
        try:
            with transaction.atomic(using=router.db_for_write(type(row), instance=row)):
                return insert()
        except IntegrityError:
            if drawn is None or getattr(row, name) != drawn or not is_taken(drawn):
                raise
        drawn = ids.random_identifier()
        setattr(row, name, drawn)
        row._state.adding = True
        if row._meta.auto_field is not None:
            row.pk = None
