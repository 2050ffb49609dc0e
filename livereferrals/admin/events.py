"""The event log, to look at."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from livereferrals.admin.filters import EventPartnerFilter, LinkFilter, link_pks
from livereferrals.admin.listing import as_uuid
from livereferrals.admin.looking import PEOPLE, LookOnlyAdmin
from livereferrals.admin.styling import Styled
from livereferrals.events.models import Event


class EventLinkFilter(LinkFilter):
    """The events of one link; the log has its id without a foreign key."""

    path = "link"


@admin.register(Event)
class EventAdmin(Styled, LookOnlyAdmin):
    """What the feed and the dashboard read, newest first."""

    list_display = ["seq", "type", "occurred_at", "partner", "link_identifier"]
    list_filter = ["type", EventPartnerFilter, EventLinkFilter]
    search_fields = ["id"]
    search_help_text = _("The id of an event, a partner's uid or a link's identifier, as a whole.")
    ordering = ["-seq"]
    guarded = {PEOPLE: frozenset({"visitor"})}
    # The user's key stays out: who somebody is, the confirmation's own page says to those who may know.
    fieldsets = [
        (
            None,
            {
                "fields": [
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
                ]
            },
        )
    ]

    def found_by(self, text: str) -> Q:
        """Find by event, partner or link."""
        found = as_uuid(text)
        if found is not None:
            return Q(pk=found)
        return Q(partner=text) | Q(link__in=link_pks(text))
