"""Pages that can be looked at and not changed: what happened stays as it happened (D-20)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from livereferrals.admin.listing import BigListAdmin

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from django.db.models import Model
    from django.http import HttpRequest

PEOPLE = "livereferrals.view_visitor"
"""Who may know which person it was."""
AMOUNTS = "livereferrals.view_amounts"
"""Who may know what it was worth."""


class LookOnlyAdmin(BigListAdmin):
    """No add, no change, no delete, whatever permissions the user has."""

    guarded: ClassVar[Mapping[str, frozenset[str]]] = {}
    """Permissions, and the columns that are absent without them."""

    def shown(self, request: HttpRequest, names: Iterable[Any]) -> list[str]:
        """Return those of the columns that the user may see."""
        hidden = {
            name
            for permission, columns in self.guarded.items()
            if not request.user.has_perm(permission)
            for name in columns
        }
        return [name for name in names if name not in hidden]

    def get_list_display(self, request: HttpRequest) -> Any:
        """Leave out what the user may not see."""
        return self.shown(request, self.list_display)

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Leave out what the user may not see."""
        return [
            (title, {**options, "fields": self.shown(request, options["fields"])})
            for title, options in super().get_fieldsets(request, obj)
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Return every field: nothing here is edited."""
        return [name for _title, options in self.fieldsets or [] for name in options["fields"]]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: these rows are made by what happens."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return False: what happened is not edited."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return False: erasure and reversal are acts of their own."""
        return False
