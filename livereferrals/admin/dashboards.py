"""Ways from the admin to the dashboard, for those who may see that, where the project has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.urls import NoReverseMatch
from django.utils.translation import gettext_lazy

from livereferrals.admin.tools import Tool
from livereferrals.dashboard.addresses import address

if TYPE_CHECKING:
    from django.http import HttpRequest

PERMISSION: Final = "livereferrals.view_dashboard"
LABEL: Final[Any] = gettext_lazy("Live dashboard")


def tools(request: HttpRequest, page: str, subject: object = "") -> list[Tool]:
    """Return the button that leads to a page of the dashboard."""
    if not request.user.has_perm(PERMISSION):
        return []
    try:
        return [Tool(label=LABEL, url=address(page, subject))]
    except NoReverseMatch:
        return []
