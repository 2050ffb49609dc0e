"""Buttons at the top of a row's page, for those who may use them (D-25)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib import admin
from django.urls import reverse

if TYPE_CHECKING:
    from django.db.models import Model
    from django.http import HttpRequest, HttpResponse


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A button that leads to a page."""

    label: Any
    url: str


class ToolsAdmin(admin.ModelAdmin):
    """Shows the tools of a row on its page."""

    def get_tools(self, request: HttpRequest, obj: Model) -> list[Tool]:
        """Return the buttons that work for this user."""
        return []

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the page with its buttons."""
        obj = None if object_id is None else self.get_object(request, object_id)
        context = {"lr_tools": [] if obj is None else self.get_tools(request, obj), **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, context)


def list_tool(request: HttpRequest, label: Any, model: str, **filters: str) -> list[Tool]:
    """Return the button that leads to a filtered list, if the user may see that list."""
    if not request.user.has_perm(f"livereferrals.view_{model}"):
        return []
    return [Tool(label=label, url=f"{reverse(f'admin:livereferrals_{model}_changelist')}?{urlencode(filters)}")]
