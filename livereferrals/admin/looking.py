"""Pages that can be looked at and not changed: what happened stays as it happened (D-20)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin

if TYPE_CHECKING:
    from django.db.models import Model
    from django.http import HttpRequest


class LookOnlyAdmin(admin.ModelAdmin):
    """No add, no change, no delete, whatever permissions the user has."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: these rows are made by what happens."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return False: what happened is not edited."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return False: erasure and reversal are acts of their own."""
        return False
