"""Writing many deliveries with few statements: those that end alike are written together."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from django.db.models import Case, DateTimeField, Value, When

from livereferrals.callbacks.models import Delivery
from livereferrals.callbacks.transactions import alias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import Q

ALIKE: Final = ("state", "lease_token", "last_status", "last_outcome", "end_reason", "finished_at")


def store(rows: Iterable[Delivery], *, among: Q) -> None:
    """Write state, outcome and due time of these rows, as far as they are still `among` what the caller owns.

    One statement for each combination of values: nearly all results of a turn say the same.
    """
    groups: dict[tuple[object, ...], list[Delivery]] = defaultdict(list)
    for row in rows:
        groups[tuple(getattr(row, name) for name in ALIKE)].append(row)
    for values, members in groups.items():
        changed = dict(zip(ALIKE, values, strict=True))
        if members[0].finished_at is None:
            # Each waits for a time of its own.
            whens = [When(pk=row.pk, then=Value(row.due_at)) for row in members]
            changed["due_at"] = Case(*whens, output_field=DateTimeField())
        Delivery.objects.using(alias()).filter(among, pk__in=[row.pk for row in members]).update(**changed)
