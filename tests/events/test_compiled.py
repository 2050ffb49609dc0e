"""Queries of Django's that are compiled once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import connection

from livereferrals.events.compiled import Compiled
from livereferrals.tracking.models import Partner
from tests.factories import make_partner

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.django_db


def asked(statement: Compiled, **values: object) -> Sequence[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement.sql, statement.parameters(**values))
        return list(cursor.fetchall())


def test_marks_are_replaced_and_other_values_are_kept() -> None:
    """P17: one statement serves every value of its marks."""
    first, second = make_partner(name="First"), make_partner(name="Second")
    make_partner(name="Third", active=False)
    rows = Partner.objects.filter(name="the name", active=True).values_list("id", "name")
    statement = Compiled(rows, using="default", name="the name")
    assert statement.columns == ["id", "name"]
    assert asked(statement, name="First") == [(first.pk, "First")]
    assert asked(statement, name="Second") == [(second.pk, "Second")]
    assert asked(statement, name="Third") == []


def test_value_that_is_not_given_is_an_error() -> None:
    """P17: a mark never goes to the database as if it were a value."""
    statement = Compiled(Partner.objects.filter(name="the name"), using="default", name="the name")
    with pytest.raises(KeyError, match="name"):
        statement.parameters()


def test_mark_that_the_query_does_not_hold_is_an_error() -> None:
    """P17: what is meant to be a mark, and is not recognised as one, would stand there for good."""
    with pytest.raises(ValueError, match="no mark of active"):
        Compiled(Partner.objects.filter(name="the name"), using="default", name="the name", active=1)
