"""The event log, to look at."""

from __future__ import annotations

from django.contrib import admin

from livereferrals.admin.looking import LookOnlyAdmin
from livereferrals.events.models import Event

SHOWN = (
    "seq",
    "id",
    "type",
    "occurred_at",
    "numbered_at",
    "partner",
    "link",
    "link_identifier",
    "visitor",
    "data",
)
"""What an event's page shows."""


@admin.register(Event)
class EventAdmin(LookOnlyAdmin):
    """What the feed and the dashboard read, newest first."""

    list_display = ["seq", "type", "occurred_at", "partner", "link_identifier"]
    list_filter = ["type", "occurred_at"]
    search_fields = ["=id", "=partner", "=link_identifier"]
    ordering = ["-seq"]
    # The user's key stays out: who somebody is, the confirmation's own page says to those who may know.
    fields = SHOWN
    readonly_fields = SHOWN
