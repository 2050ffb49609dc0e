"""Partners: a name is enough; the page then shows what the partner can share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from livereferrals.admin.copying import CopyMedia, partner_addresses
from livereferrals.admin.links import LinkInline
from livereferrals.admin.subscriptions import SubscriptionInline
from livereferrals.tracking.models import Partner

if TYPE_CHECKING:
    from django.forms import ModelForm
    from django.http import HttpRequest, HttpResponse


@admin.register(Partner)
class PartnerAdmin(CopyMedia, admin.ModelAdmin):
    """Add asks for a name, nothing else (D-01); an inactive partner is told of in plain words (D-03)."""

    change_form_template = "admin/livereferrals/partner/change_form.html"
    list_display = ["name", "uid", "active", "created_at"]
    list_filter = ["active"]
    search_fields = ["name", "uid", "links__identifier"]
    readonly_fields = ["uid", "created_at"]
    raw_id_fields = ["user"]
    actions = ["activate", "deactivate"]
    show_full_result_count = False

    def get_fieldsets(self, request: HttpRequest, obj: Partner | None = None) -> Any:
        """Ask for the name alone at first."""
        if obj is None:
            return [(None, {"fields": ["name"]})]
        return [
            (None, {"fields": ["name", "uid", "active"]}),
            (_("More"), {"fields": ["user", "notes", "created_at"], "classes": ["collapse"]}),
        ]

    def get_inlines(self, request: HttpRequest, obj: Partner | None) -> Any:
        """Show links and subscriptions once there is a partner to have them."""
        return [] if obj is None else [SubscriptionInline, LinkInline]

    def save_model(self, request: HttpRequest, obj: Partner, form: ModelForm[Partner], change: bool) -> None:  # noqa: FBT001 - Django's signature
        """Save; the "Activate" button also makes the partner active."""
        if "_activate" in request.POST:
            obj.active = True
        super().save_model(request, obj, form, change)

    def response_add(self, request: HttpRequest, obj: Partner, post_url_continue: str | None = None) -> HttpResponse:
        """Go on to the partner's page, which shows the uid and the links to copy."""
        if "_addanother" in request.POST or "_popup" in request.POST or not self.has_change_permission(request, obj):
            return super().response_add(request, obj, post_url_continue)
        self.message_user(
            request, _("%(partner)s was added. Below is what it can share.") % {"partner": obj}, messages.SUCCESS
        )
        return HttpResponseRedirect(reverse("admin:livereferrals_partner_change", args=[obj.pk]))

    def response_change(self, request: HttpRequest, obj: Partner) -> HttpResponse:
        """Say so when the partner has subscriptions and cannot earn by them yet."""
        if "_activate" in request.POST:
            self.message_user(request, _("%(partner)s is active now.") % {"partner": obj}, messages.SUCCESS)
            return HttpResponseRedirect(request.get_full_path())
        if not obj.active and obj.subscriptions.filter(archived_at__isnull=True).exists():
            self.message_user(
                request,
                _("%(partner)s has subscriptions but is not active: its links count nothing yet.") % {"partner": obj},
                messages.WARNING,
            )
        return super().response_change(request, obj)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the partner's page with its addresses."""
        partner = self.get_object(request, object_id)
        context = {
            **(extra_context or {}),
            "lr_addresses": partner_addresses(request, partner.uid) if partner is not None else [],
            "lr_inactive": partner is not None and not partner.active,
        }
        return super().change_view(request, object_id, form_url, context)

    @admin.action(description=_("Activate the selected partners"), permissions=["change"])
    def activate(self, request: HttpRequest, queryset: Any) -> None:
        """Make the selected partners active."""
        self._switch(request, queryset, active=True)

    @admin.action(description=_("Deactivate the selected partners"), permissions=["change"])
    def deactivate(self, request: HttpRequest, queryset: Any) -> None:
        """Make the selected partners inactive."""
        self._switch(request, queryset, active=False)

    def _switch(self, request: HttpRequest, queryset: Any, *, active: bool) -> None:
        changed = 0
        for partner in queryset.exclude(active=active):
            partner.active = active
            partner.save(update_fields=["active"])
            self.log_change(request, partner, [{"changed": {"fields": ["active"]}}])
            changed += 1
        self.message_user(request, _("%(count)s partners were changed.") % {"count": changed}, messages.SUCCESS)
