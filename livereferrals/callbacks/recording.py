"""Who did it: the acts of staff in Django's admin log (D-27), where the host has one, and in the process' log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib.contenttypes.models import ContentType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import Model

logger = logging.getLogger(__name__)

CHANGE = 2
"""Django's flag of a change in the admin log."""
LONGEST_NAME = 200


def record(by: Any, rows: Sequence[Model], said: str, *, action: str, shown: str | None = None) -> None:
    """Write one entry for each row, in the caller's transaction; `by` is a user, or `None` for a command.

    `shown` stands for the rows' own names, where those must not be kept. One insert. A host without Django's admin has
    the line in the log of the process alone.
    """
    if not rows:
        return
    logger.info("%s", said, extra={"action": action, "by": getattr(by, "pk", None), "rows": [row.pk for row in rows]})
    if by is None or not apps.is_installed("django.contrib.admin"):
        return
    entries = apps.get_model("admin", "LogEntry")
    kind = ContentType.objects.get_for_model(type(rows[0]))
    entries.objects.bulk_create(
        entries(
            user_id=by.pk,
            content_type=kind,
            object_id=str(row.pk),
            object_repr=(str(row) if shown is None else shown)[:LONGEST_NAME],
            action_flag=CHANGE,
            change_message=said,
        )
        for row in rows
    )
