"""Lists over tables of any size: nothing is counted to the end, and what is searched for has an index (D-21)."""

from __future__ import annotations

import uuid
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.paginator import Paginator
from django.db.models import Q

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

LISTED = 10_000
"""Rows that can be reached page by page; whoever looks for an older one filters or searches."""


class BoundedPaginator(Paginator):
    """Counts to `LISTED` and no further: a count of a million rows takes longer than a person waits."""

    @cached_property
    def counted(self) -> int:
        """How many rows there are, or `LISTED + 1` where there are more."""
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment] # the admin gives a queryset
        return rows.order_by().values("pk")[: LISTED + 1].count()

    @cached_property
    def count(self) -> int:
        """The number of rows that can be reached."""
        return min(self.counted, LISTED)

    @property
    def is_cut(self) -> bool:
        """Whether there are more rows than can be reached."""
        return self.counted > LISTED


class BigListAdmin(admin.ModelAdmin):
    """A list that answers at once over millions of rows: newest first, sorted by nothing else."""

    paginator = BoundedPaginator
    show_full_result_count = False
    list_per_page = 50
    list_max_show_all = 200
    # Counts beside the filters would read the table once for each.
    show_facets = admin.ShowFacets.NEVER
    sortable_by: ClassVar[tuple[str, ...]] = ()

    def found_by(self, text: str) -> Q:
        """Return what a search for this text finds; each condition has an index."""
        raise NotImplementedError

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Filter the list by the search box; `search_fields` only makes the box appear."""
        text = search_term.strip()
        return (queryset.filter(self.found_by(text)) if text else queryset), False


def as_uuid(text: str) -> uuid.UUID | None:
    """Return the id that the text spells, if it does."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def users_called(text: str) -> Q:
    """Match the users of this login name or e-mail address, as typed."""
    model = get_user_model()
    named = Q(**{model.USERNAME_FIELD: text})
    email = model.get_email_field_name()
    return named | Q(**{email: text}) if any(field.name == email for field in model._meta.fields) else named


def user_pks(text: str) -> list[Any]:
    """Return the users of this login name or e-mail address. One query."""
    return list(get_user_model()._default_manager.filter(users_called(text)).values_list("pk", flat=True)[:LISTED])
