"""Links: on the partner's page and on a list of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from livereferrals.admin import picturing
from livereferrals.admin.copying import copy_button, link_path
from livereferrals.admin.deleting import CarefulDeleteAdmin, Related, related
from livereferrals.admin.listing import BoundedPaginator
from livereferrals.admin.styling import Styled
from livereferrals.admin.tools import Tool, ToolsAdmin, list_tool
from livereferrals.callbacks.models import Delivery
from livereferrals.tracking.models import Confirmation, ReferralHit, ReferralLink

if TYPE_CHECKING:
    from django.db.models import Model
    from django.http import HttpRequest
    from django.urls import URLPattern
    from django.utils.safestring import SafeString


class LinkForm(forms.ModelForm):
    """A link as staff edit it (D-05)."""

    class Meta:
        model = ReferralLink
        fields = ["name", "identifier", "target", "disabled", "drop_pending", "starts_at", "expires_at", "notes"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.home and "identifier" in self.fields:
            # A partner's uid always leads somewhere (L-08).
            self.fields["identifier"].disabled = True

    def clean(self) -> dict[str, Any]:
        """Refuse an end that lies before the start."""
        cleaned: dict[str, Any] = super().clean() or {}
        starts_at, expires_at = cleaned.get("starts_at"), cleaned.get("expires_at")
        if starts_at and expires_at and expires_at <= starts_at:
            raise ValidationError({"expires_at": _("The end must be after the start.")})
        return cleaned


class NarrowLinkForm(LinkForm):
    """The same in a table, whose columns must fit beside each other."""

    class Meta(LinkForm.Meta):
        widgets: ClassVar = {
            "name": forms.TextInput(attrs={"size": 16}),
            "identifier": forms.TextInput(attrs={"size": 10}),
            "target": forms.TextInput(attrs={"size": 16}),
        }


class LinkInline(admin.TabularInline):
    """A partner's links on the partner's page."""

    model = ReferralLink
    form = NarrowLinkForm
    fields = ["name", "identifier", "target", "disabled", "address"]
    readonly_fields = ["address"]
    extra = 0
    show_change_link = True
    can_delete = False
    view_on_site = False

    @admin.display(description=_("address"))
    def address(self, link: ReferralLink) -> SafeString | str:
        """Show the link's path with a copy button; the browser completes it with the site's name."""
        path = link_path(link.identifier) if not link._state.adding else None
        return copy_button(path) if path else "-"


@admin.register(ReferralLink)
class LinkAdmin(Styled, CarefulDeleteAdmin, ToolsAdmin):
    """Links of partners, users and the house."""

    form = LinkForm
    paginator = BoundedPaginator
    # "View on site" would follow the link, and staff looking at it would count.
    view_on_site = False
    switch_off_label = _("Disable it")
    list_display = ["identifier", "name", "owner_name", "disabled", "expires_at", "address"]
    list_filter = ["disabled", "owner"]
    list_select_related = ["partner", "user"]
    search_fields = ["identifier", "name", "partner__name", "partner__uid"]
    autocomplete_fields = ["partner"]
    raw_id_fields = ["user"]
    search_help_text = _("A part of the identifier, of the link's name, or of the partner's name or uid.")
    readonly_fields = ["address", "picture", "created_at", "updated_at"]
    show_full_result_count = False
    fieldsets = [
        (None, {"fields": ["name", "identifier", "address", "target"]}),
        (
            _("Whose link it is"),
            {
                "fields": ["partner", "user"],
                "description": _("Choose a partner or a user, or neither for a link of the house."),
            },
        ),
        (_("When it counts"), {"fields": ["disabled", "drop_pending", "starts_at", "expires_at"]}),
        (_("Notes"), {"fields": ["notes", "created_at", "updated_at"]}),
    ]

    def get_fieldsets(self, request: HttpRequest, obj: ReferralLink | None = None) -> Any:
        """Show the address and its picture once there is a link to have them."""
        first, *others = super().get_fieldsets(request, obj)
        if obj is None:
            others[-1] = (_("Notes"), {"fields": ["notes"]})
            return [(None, {"fields": ["name", "identifier", "target"]}), *others]
        picture = [] if link_path(obj.identifier) is None else ["picture"]
        others[0] = (others[0][0], {"fields": others[0][1]["fields"]})
        return [(None, {"fields": [*first[1]["fields"], *picture]}), *others]

    def get_readonly_fields(self, request: HttpRequest, obj: ReferralLink | None = None) -> list[str]:
        """Keep the owner as it is once the link exists: hits refer to it."""
        fixed = list(self.readonly_fields)
        if obj is not None:
            fixed += ["partner", "user"]
        return fixed

    @admin.display(description=_("owner"), ordering="owner")
    def owner_name(self, link: ReferralLink) -> str:
        """Say whose link it is."""
        return str(link.partner or link.user or link.get_owner_display())

    @admin.display(description=_("address"))
    def address(self, link: ReferralLink) -> SafeString | str:
        """Show the link's path with a copy button."""
        path = link_path(link.identifier) if not link._state.adding else None
        return copy_button(path) if path else "-"

    @admin.display(description=_("QR code"))
    def picture(self, link: ReferralLink) -> SafeString:
        """Show the address as a picture for print."""
        return picturing.shown(link)

    def get_urls(self) -> list[URLPattern]:
        """Add the picture."""
        return [picturing.url_pattern(self), *super().get_urls()]

    def get_tools(self, request: HttpRequest, obj: Model) -> list[Tool]:
        """Lead to the link's hits."""
        return list_tool(request, _("Hits"), "referralhit", link=str(obj))

    def has_delete_permission(self, request: HttpRequest, obj: ReferralLink | None = None) -> bool:
        """Return False for a partner's home link, which goes with the partner alone (L-08)."""
        return super().has_delete_permission(request, obj) and not (obj is not None and obj.home)

    def kept_for(self, obj: ReferralLink) -> list[Related]:
        """Return the confirmations that were credited to the link's hits, and what was told of them."""
        return [
            *related(_("Confirmations"), Confirmation.objects.filter(hit__link=obj)),
            *related(_("Deliveries"), Delivery.objects.filter(confirmation__hit__link=obj)),
        ]

    def going_with(self, obj: ReferralLink) -> list[Related]:
        """Return the link's hits."""
        return related(_("Hits"), ReferralHit.objects.filter(link=obj))

    def is_on(self, obj: ReferralLink) -> bool:
        """Return whether the link counts."""
        return not obj.disabled

    def switch_off(self, obj: ReferralLink) -> str:
        """Disable the link."""
        obj.disabled = True
        obj.save(update_fields=["disabled", "updated_at"])
        return "disabled"
