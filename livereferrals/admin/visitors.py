"""Visitors and hits, to look at; and which hit would get a confirmation now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Q
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from livereferrals.admin import asking, erasures
from livereferrals.admin.choices import ClaimedFilter, ClaimedVisitorFilter, ConfirmedFilter, FlagFilter
from livereferrals.admin.exporting import ExportAdmin
from livereferrals.admin.filters import DayFilter, LinkFilter, PartnerFilter, link_pks
from livereferrals.admin.listing import as_uuid, user_pks
from livereferrals.admin.looking import PEOPLE, LookOnlyAdmin
from livereferrals.admin.styling import Styled
from livereferrals.admin.tools import Tool, ToolsAdmin
from livereferrals.tracking.models import ReferralHit, Visitor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Model, QuerySet
    from django.http import HttpRequest
    from django.urls import URLPattern

HIT_COLUMNS = ("created_at", "link", "partner", "entry_url", "repeat", "confirmed_at")
"""What a visitor's page shows of each hit."""
LATEST_HITS = 50
"""Hits on a visitor's page; the list of hits has the rest."""


class HitInline(admin.TabularInline):
    """A visitor's latest hits on the visitor's page."""

    model = ReferralHit
    fields = HIT_COLUMNS
    readonly_fields = HIT_COLUMNS
    verbose_name_plural = _("latest hits")
    extra = 0
    max_num = 0
    can_delete = False
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[ReferralHit]:
        """Read the latest hits of this visitor with what their rows show."""
        hits = super().get_queryset(request).select_related("link", "partner")
        visitor = as_uuid((request.resolver_match.kwargs if request.resolver_match else {}).get("object_id", ""))
        latest = hits.filter(visitor_id=visitor).order_by("-created_at")[:LATEST_HITS]
        return hits.filter(pk__in=[hit.pk for hit in latest]).order_by("-created_at")

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return whether the user may see hits."""
        return request.user.has_perm("livereferrals.view_referralhit")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return False: what happened is not edited."""
        return False


@admin.register(Visitor)
class VisitorAdmin(Styled, ToolsAdmin, LookOnlyAdmin):
    """Browsers that followed a link."""

    list_display = ["created_at", "id", "user", "claimed_at"]
    list_filter = [ClaimedVisitorFilter]
    list_select_related = ["user"]
    search_fields = ["id"]
    search_help_text = _("A visitor's id, its number from before an import, or a user's login name or e-mail address.")
    ordering = ["-id"]
    inlines = [HitInline]
    fieldsets = [(None, {"fields": ["id", "created_at", "user", "claimed_at", "legacy_id"]})]

    def found_by(self, text: str) -> Q:
        """Find by id, old number or user."""
        visitor = as_uuid(text)
        if visitor is not None:
            return Q(pk=visitor)
        by_user = Q(user_id__in=user_pks(text))
        is_number = text.isascii() and text.isdigit() and len(text) < 19
        return by_user | Q(legacy_id=int(text)) if is_number else by_user

    def get_urls(self) -> list[URLPattern]:
        """Add the page that says which hit would be credited, and the one that erases a person's data."""
        return [asking.url_pattern(self), erasures.url_pattern(self), *super().get_urls()]

    def get_tools(self, request: HttpRequest, obj: Model) -> list[Tool]:
        """Offer the question that people ask of a visitor (A-14), and the erasure of its user's data."""
        asked = [Tool(label=_("Which hit would get it?"), url=asking.address(obj))] if asking.may_ask(request) else []
        return [*asked, *erasures.tools(request, obj)]


@admin.register(ReferralHit)
class HitAdmin(Styled, ExportAdmin, LookOnlyAdmin):
    """Followings of links."""

    list_display = ["created_at", "link", "partner", "marks", "is_confirmed", "user", "visitor"]
    list_filter = [PartnerFilter, LinkFilter, DayFilter, ClaimedFilter, ConfirmedFilter, FlagFilter]
    list_select_related = ["partner", "user"]
    search_fields = ["id"]
    search_help_text = _(
        "The id of a hit or a visitor, a link's identifier, or a user's login name or e-mail address, as a whole."
    )
    ordering = ["-created_at"]
    guarded = {PEOPLE: frozenset({"visitor", "user", "ip"})}
    fieldsets = [
        (None, {"fields": ["id", "created_at", "link", "partner", "confirmed_at"]}),
        (_("Who"), {"fields": ["visitor", "user", "authenticated", "device", "user_agent", "ip"]}),
        (_("From where to where"), {"fields": ["referer", "entry_url"]}),
        (_("What the partner has sent along"), {"fields": ["click_id", "sub1", "sub2", "sub3", "sub4", "sub5"]}),
        (_("Marks"), {"fields": ["repeat", "self_referral", "bot", "flagged_by", "no_consent", "origin"]}),
    ]
    export_columns = (
        "id",
        "time",
        "link",
        "partner_uid",
        "partner",
        "visitor",
        "user",
        "leads_to",
        "referer",
        "device",
        "click_id",
        "sub1",
        "sub2",
        "sub3",
        "sub4",
        "sub5",
        "repeat",
        "self_referral",
        "bot",
        "flagged_by",
        "without_consent",
        "confirmed_at",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ReferralHit]:
        """Read links and visitors apart: joined, SQLite begins with them and sorts all hits, once it has statistics."""
        rows: QuerySet[ReferralHit] = super().get_queryset(request)
        return rows.prefetch_related("link", "visitor")

    def found_by(self, text: str) -> Q:
        """Find by hit, visitor, link or user."""
        found = as_uuid(text)
        if found is not None:
            return Q(pk=found) | Q(visitor_id=found)
        return Q(link_id__in=link_pks(text)) | Q(user_id__in=user_pks(text))

    @admin.display(description=_("confirmed"), boolean=True)
    def is_confirmed(self, hit: ReferralHit) -> bool:
        """Whether the hit has a standing confirmation."""
        return hit.confirmed_at is not None

    @admin.display(description=_("marks"))
    def marks(self, hit: ReferralHit) -> str:
        """Say what the hit is marked as."""
        flags = ("repeat", "self_referral", "bot", "no_consent")
        words = [str(_verbose(flag)) for flag in flags if getattr(hit, flag)]
        if hit.flagged_by:
            words.append(gettext("flagged by %(rule)s") % {"rule": hit.flagged_by})
        return ", ".join(words) or "-"

    def export_rows(self, rows: list[ReferralHit]) -> Iterator[dict[str, object]]:
        """Give one row for each hit."""
        for hit in rows:
            yield {
                "id": hit.pk,
                "time": hit.created_at,
                "link": hit.link.identifier,
                "partner_uid": hit.partner.uid if hit.partner else None,
                "partner": hit.partner,
                "visitor": hit.visitor_id,
                "user": hit.user,
                "leads_to": hit.entry_url,
                "referer": hit.referer,
                "device": hit.device,
                "click_id": hit.click_id,
                **{f"sub{number}": sub for number, sub in enumerate(hit.subs, 1)},
                "repeat": hit.repeat,
                "self_referral": hit.self_referral,
                "bot": hit.bot,
                "flagged_by": hit.flagged_by,
                "without_consent": hit.no_consent,
                "confirmed_at": hit.confirmed_at,
            }


def _verbose(name: str) -> Any:
    return ReferralHit._meta.get_field(name).verbose_name  # type: ignore[union-attr] # a plain column
