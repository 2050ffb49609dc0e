"""Visitors and hits, to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from livereferrals.admin.looking import LookOnlyAdmin
from livereferrals.tracking.models import ReferralHit, Visitor

if TYPE_CHECKING:
    from django.http import HttpRequest

HIT_COLUMNS = ("created_at", "link", "partner", "entry_url", "repeat", "confirmed_at")
"""What a visitor's page shows of each hit."""


class HitInline(admin.TabularInline):
    """A visitor's hits on the visitor's page."""

    model = ReferralHit
    fields = HIT_COLUMNS
    readonly_fields = HIT_COLUMNS
    ordering = ["-created_at"]
    extra = 0
    max_num = 0
    can_delete = False
    show_change_link = True

    def has_view_permission(self, request: HttpRequest, obj: Visitor | None = None) -> bool:
        """Return whether the user may see hits."""
        return request.user.has_perm("livereferrals.view_referralhit")

    def has_change_permission(self, request: HttpRequest, obj: Visitor | None = None) -> bool:
        """Return False: what happened is not edited."""
        return False


@admin.register(Visitor)
class VisitorAdmin(LookOnlyAdmin):
    """Browsers that followed a link."""

    list_display = ["id", "user", "created_at", "claimed_at"]
    list_filter = ["created_at", ("claimed_at", admin.EmptyFieldListFilter)]
    list_select_related = ["user"]
    search_fields = ["=id", "=legacy_id", "=user__username"]
    inlines = [HitInline]


@admin.register(ReferralHit)
class HitAdmin(LookOnlyAdmin):
    """Followings of links."""

    list_display = ["created_at", "link", "partner", "visitor", "user", "repeat", "is_confirmed"]
    list_filter = [
        "created_at",
        ("confirmed_at", admin.EmptyFieldListFilter),
        "repeat",
        "self_referral",
        "bot",
        "partner",
    ]
    list_select_related = ["link", "partner", "visitor", "user"]
    search_fields = ["=id", "=visitor__id", "=link__identifier", "=user__username"]
    ordering = ["-created_at"]

    @admin.display(description=_("confirmed"), boolean=True)
    def is_confirmed(self, hit: ReferralHit) -> bool:
        """Whether the hit has a standing confirmation."""
        return hit.confirmed_at is not None
