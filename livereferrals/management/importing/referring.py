"""What refers to rows, in tables of ours and of the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import ManyToManyRel, Q

from livereferrals.events.models import Event
from livereferrals.tracking.models import Visitor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django.db.models import Model, QuerySet

NOTHING = Q(pk__in=[])


def referring(
    model: type[Model], pks: Sequence[Any], *, but: Mapping[type[Model], Q], using: str
) -> dict[Any, set[str]]:
    """Return the names of the tables that refer to each of these rows; a query for each table that could.

    The database says each name once: a link may have had millions of hits since it was imported.

    Args:
        model: what the rows are.
        pks: which rows.
        but: what does not count, by model: what is to go together with the rows.
        using: the database.
    """
    found: dict[Any, set[str]] = {}

    def note(rows: QuerySet[Any], name: str) -> None:
        for pk in rows.order_by().values_list(name, flat=True).distinct():
            found.setdefault(pk, set()).add(str(rows.model._meta.verbose_name_plural))

    for relation in model._meta.get_fields(include_hidden=True):
        if not relation.auto_created or relation.concrete or isinstance(relation, ManyToManyRel):
            continue
        kind: Any = relation.related_model
        name = relation.field.attname  # type: ignore[union-attr] # a reverse relation has the field that makes it
        note(kind._base_manager.using(using).filter(**{f"{name}__in": pks}).exclude(but.get(kind, NOTHING)), name)
    if model is Visitor:
        # The log has no foreign keys: a claim since, and what was made of hits that were taken away by hand.
        note(Event.objects.using(using).filter(visitor__in=pks), "visitor")
    return found
