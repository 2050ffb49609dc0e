"""Which of the old rows' users still exist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterable


def known(values: Iterable[object], *, using: str) -> dict[object, Any]:
    """Return the primary keys of those users that exist, by the value that the old table has for them. One query."""
    wanted = {value: key for value in set(values) if value is not None and (key := _key(value)) is not None}
    if not wanted:
        return {}
    users = get_user_model()._base_manager.using(using)
    there = set(users.filter(pk__in=wanted.values()).values_list("pk", flat=True))
    return {value: key for value, key in wanted.items() if key in there}


def _key(value: object) -> Any:
    """Return the value as the user model's primary key: on SQLite a UUID comes as text."""
    try:
        return get_user_model()._meta.pk.to_python(value)
    except ValidationError:
        return None
