"""Feed tokens: who reads the feed, since when, and with how many connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from livereferrals.admin import tokens_pages
from livereferrals.admin.filters import PartnerFilter
from livereferrals.admin.styling import Styled
from livereferrals.admin.tools import Tool, ToolsAdmin
from livereferrals.streaming import token_use
from livereferrals.streaming.forms import TermsForm
from livereferrals.streaming.models import FeedToken

if TYPE_CHECKING:
    from django.contrib.admin.views.main import ChangeList
    from django.db.models import Model, QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern


def may_see(request: HttpRequest) -> bool:
    """Return whether the user may see the tokens, which are no secrets."""
    return request.user.has_perm("livereferrals.view_feedtoken") or request.user.has_perm(tokens_pages.PERMISSION)


def partner_tools(request: HttpRequest, uid: str) -> list[Tool]:
    """Return the button on a partner's page that leads to its tokens."""
    if not may_see(request):
        return []
    return [Tool(label=_("Feed tokens"), url=f"{reverse(tokens_pages.LIST)}?partner={uid}")]


class InUseFilter(admin.SimpleListFilter):
    """Tokens that still open the feed."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the two states."""
        return [("in_use", _("In use")), ("ended", _("Ended"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[FeedToken]) -> QuerySet[FeedToken]:
        """Filter by whether it has ended."""
        now = timezone.now()
        ended = Q(revoked_at__lte=now) | Q(expires_at__lte=now)
        if self.value() == "ended":
            return queryset.filter(ended)
        if self.value() == "in_use":
            return queryset.exclude(pk__in=FeedToken.objects.filter(ended).values("pk"))
        return queryset


@admin.register(FeedToken)
class FeedTokenAdmin(Styled, ToolsAdmin):
    """All tokens; what they open is made with one permission, `manage_tokens`."""

    form = TermsForm
    list_display = ["name", "reads", "state", "last_used_at", "open_now", "expires_at"]
    list_filter = [PartnerFilter, InUseFilter]
    list_select_related = ["partner"]
    list_per_page = 50
    search_fields = ["id", "name", "partner__name", "partner__uid"]
    search_help_text = _("A part of the token's name or id, or of the partner's name or uid.")
    ordering = ["-created_at"]
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    fieldsets = [
        (None, {"fields": ["name", "partner_name", "reads", "only_links", "last_day"]}),
        (_("Use"), {"fields": ["state", "last_used_at", "open_now", "begins_with", "created_at", "created_by"]}),
    ]
    readonly_fields = [
        "partner_name",
        "state",
        "last_used_at",
        "open_now",
        "begins_with",
        "created_at",
        "created_by",
    ]

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Return whether the list stands on the admin's first page."""
        return may_see(request)

    def has_view_permission(self, request: HttpRequest, obj: FeedToken | None = None) -> bool:
        """Return whether tokens may be looked at."""
        return may_see(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return whether tokens may be made."""
        return request.user.has_perm(tokens_pages.PERMISSION)

    def has_change_permission(self, request: HttpRequest, obj: FeedToken | None = None) -> bool:
        """Return whether tokens may be changed, rotated and revoked; what has ended stays as it was."""
        ended = obj is not None and obj.revoked_at is not None and obj.revoked_at <= timezone.now()
        return request.user.has_perm(tokens_pages.PERMISSION) and not ended

    def has_delete_permission(self, request: HttpRequest, obj: FeedToken | None = None) -> bool:
        """Return False: a token is revoked, so that it can still be seen who read what."""
        return False

    def get_fieldsets(self, request: HttpRequest, obj: FeedToken | None = None) -> Any:
        """Show the terms of a token that cannot be changed as plain text."""
        if obj is None or self.has_change_permission(request, obj):
            return self.fieldsets
        first = ["name", "partner_name", "scopes_in_words", "links_in_words", "expires_at"]
        return [(None, {"fields": first}), *self.fieldsets[1:]]

    def get_readonly_fields(self, request: HttpRequest, obj: FeedToken | None = None) -> list[str]:
        """Return what is only shown."""
        return [*self.readonly_fields, "scopes_in_words", "links_in_words"]

    def get_urls(self) -> list[URLPattern]:
        """Add the pages that rotate and revoke."""
        return [*tokens_pages.url_patterns(self), *super().get_urls()]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Make a token and show it, once."""
        return tokens_pages.add_page(self, request)

    def get_tools(self, request: HttpRequest, obj: Model) -> list[Tool]:
        """Offer to rotate and to revoke what has not ended."""
        if not isinstance(obj, FeedToken) or not self.has_change_permission(request, obj):
            return []
        found = [Tool(label=_("Revoke"), url=_page("revoke", obj))]
        if obj.revoked_at is None:
            found.insert(0, Tool(label=_("Rotate"), url=_page("rotate", obj)))
        return found

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Return the list with the open connections of the tokens on the page, read at once."""
        changelist = super().get_changelist_instance(request)
        counted = token_use.open_by_token(now=timezone.now())
        for token in changelist.result_list:
            token.lr_open = counted[token.pk]
        return changelist

    @admin.display(description=_("reads"))
    def reads(self, token: FeedToken) -> str:
        """Say whose events it reads."""
        return self.partner_name(token)

    @admin.display(description=_("Whose events"))
    def partner_name(self, token: FeedToken) -> str:
        """Say whose events it reads."""
        return str(token.partner) if token.partner is not None else str(_("Everything (the house)"))

    @admin.display(description=_("state"))
    def state(self, token: FeedToken) -> str:
        """Say whether it opens the feed."""
        return token_use.state_in_words(token, now=timezone.now())

    @admin.display(description=_("open now"))
    def open_now(self, token: Any) -> int:
        """Show how many connections live on it, in all processes."""
        if hasattr(token, "lr_open"):
            return int(token.lr_open)
        return token_use.open_by_token(now=timezone.now())[token.pk]

    @admin.display(description=_("Begins with"))
    def begins_with(self, token: FeedToken) -> str:
        """Show the part by which a token in a partner's hands is recognised."""
        return f"lrf_{token.pk}_"

    @admin.display(description=_("It may read"))
    def scopes_in_words(self, token: FeedToken) -> str:
        """Show the scopes."""
        return ", ".join(token.scopes)

    @admin.display(description=_("Only these links"))
    def links_in_words(self, token: FeedToken) -> str:
        """Show the links."""
        return str(TermsForm(instance=token).initial["only_links"] or _("All"))


def _page(name: str, token: FeedToken) -> str:
    return reverse(f"admin:livereferrals_feedtoken_{name}", args=[token.pk])
