"""What refers to rows, in tables of ours and of the host."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from django.db.models import ManyToManyRel, Q

from livereferrals.events.models import Event
from livereferrals.tracking.models import Visitor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django.db.models import Model

NOTHING = Q(pk__in=[])


def referring(
    model: type[Model], pks: Sequence[Any], *, but: Mapping[type[Model], Q], using: str
) -> dict[Any, Counter[str]]:
    """Return what refers to each of these rows, by the name of the table that does; a query for each table that could.

    Args:
        model: what the rows are.
        pks: which rows.
        but: what does not count, by model: what is to go together with the rows.
        using: the database.
    """
    found: dict[Any, Counter[str]] = {}

    def note(pk: Any, kind: type[Model]) -> None:
        found.setdefault(pk, Counter())[str(kind._meta.verbose_name_plural)] += 1

    for relation in model._meta.get_fields(include_hidden=True):
        if not relation.auto_created or relation.concrete or isinstance(relation, ManyToManyRel):
            continue
        kind: Any = relation.related_model
        name = relation.field.attname  # type: ignore[union-attr] # a reverse relation has the field that makes it
        rows = kind._base_manager.using(using).filter(**{f"{name}__in": pks}).exclude(but.get(kind, NOTHING))
        for pk in rows.values_list(name, flat=True):
            note(pk, kind)
    if model is Visitor:
        # The log has no foreign keys: a claim since, and what was made of hits that were taken away by hand.
        for pk in Event.objects.using(using).filter(visitor__in=pks).values_list("visitor", flat=True):
            note(pk, Event)
    return found
