"""Partners: a name is enough; the page then shows what the partner can share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from livereferrals.admin import dashboards, standing
from livereferrals.admin.copying import partner_addresses
from livereferrals.admin.deleting import CarefulDeleteAdmin, Related, related
from livereferrals.admin.exporting import ExportAdmin
from livereferrals.admin.links import LinkInline
from livereferrals.admin.styling import Styled
from livereferrals.admin.subscriptions import SubscriptionInline
from livereferrals.admin.tokens import partner_tools
from livereferrals.admin.tools import Tool, ToolsAdmin, list_tool
from livereferrals.callbacks.models import Delivery, Subscription
from livereferrals.streaming.models import FeedToken
from livereferrals.tracking.models import Confirmation, Partner, ReferralHit, ReferralLink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.contrib.admin.views.main import ChangeList
    from django.db.models import Model
    from django.forms import ModelForm
    from django.http import HttpRequest, HttpResponse


@admin.register(Partner)
class PartnerAdmin(Styled, ExportAdmin, CarefulDeleteAdmin, ToolsAdmin):
    """Add asks for a name, nothing else (D-01); an inactive partner is told of in plain words (D-03)."""

    change_form_template = "admin/livereferrals/partner/change_form.html"
    switch_off_label = _("Deactivate it")
    list_display = ["name", "uid", "active", "hits", "confirmations", "failing"]
    list_filter = ["active"]
    list_per_page = 50
    search_fields = ["name", "uid", "links__identifier"]
    search_help_text = _(
        "A part of the name, the uid or the identifier of a link. "
        "The list shows hits and confirmations of the last 30 days, and deliveries that fail."
    )
    readonly_fields = ["uid", "created_at"]
    raw_id_fields = ["user"]
    actions = ["activate", "deactivate"]
    show_full_result_count = False
    export_columns = (
        "uid",
        "name",
        "active",
        "created_at",
        "hits_30_days",
        "confirmations_30_days",
        "deliveries_retrying",
        "deliveries_given_up_30_days",
    )

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Return the list with the numbers of the partners on the page, read at once (D-04)."""
        changelist = super().get_changelist_instance(request)
        numbers = standing.of_partners(list(changelist.result_list))
        for partner in changelist.result_list:
            partner.lr_standing = numbers[partner.pk]
        return changelist

    @admin.display(description=_("hits, 30 d"))
    def hits(self, partner: Any) -> int:
        """Show how often its links were followed."""
        return int(partner.lr_standing.hits)

    @admin.display(description=_("confirmed, 30 d"))
    def confirmations(self, partner: Any) -> int:
        """Show how often it succeeded."""
        return int(partner.lr_standing.confirmations)

    @admin.display(description=_("failing"))
    def failing(self, partner: Any) -> str:
        """Say what its server does not take."""
        found: standing.Standing = partner.lr_standing
        said = []
        if found.retrying:
            said.append(_("%(count)s being retried") % {"count": found.retrying})
        if found.given_up:
            said.append(_("%(count)s given up") % {"count": found.given_up})
        return ", ".join(said) or "-"

    def shown(self, request: HttpRequest, names: Any) -> list[str]:
        """Return the columns of the export: none is secret."""
        return list(names)

    def export_rows(self, rows: list[Partner]) -> Iterator[dict[str, object]]:
        """Give one row for each partner."""
        numbers = standing.of_partners(rows)
        for partner in rows:
            found = numbers[partner.pk]
            yield {
                "uid": partner.uid,
                "name": partner.name,
                "active": partner.active,
                "created_at": partner.created_at,
                "hits_30_days": found.hits,
                "confirmations_30_days": found.confirmations,
                "deliveries_retrying": found.retrying,
                "deliveries_given_up_30_days": found.given_up,
            }

    def get_tools(self, request: HttpRequest, obj: Model) -> list[Tool]:
        """Lead to what has happened with this partner."""
        uid = self._uid(obj)
        return [
            *list_tool(request, _("Hits"), "referralhit", partner=uid),
            *list_tool(request, _("Confirmations"), "confirmation", partner=uid),
            *list_tool(request, _("Deliveries"), "delivery", partner=uid),
            *partner_tools(request, uid),
            *dashboards.tools(request, "partner", uid),
        ]

    @staticmethod
    def _uid(obj: Any) -> str:
        return str(obj.uid)

    def kept_for(self, obj: Partner) -> list[Related]:
        """Return the successes and what was told of them."""
        return [
            *related(_("Confirmations"), Confirmation.objects.filter(partner=obj)),
            *related(_("Deliveries"), Delivery.objects.filter(subscription__partner=obj)),
        ]

    def going_with(self, obj: Partner) -> list[Related]:
        """Return what is the partner's alone."""
        return [
            *related(_("Links"), ReferralLink.objects.filter(partner=obj)),
            *related(_("Hits"), ReferralHit.objects.filter(partner=obj)),
            *related(_("Subscriptions"), Subscription.objects.filter(partner=obj)),
            *related(_("Feed tokens"), FeedToken.objects.filter(partner=obj)),
        ]

    def is_on(self, obj: Partner) -> bool:
        """Return whether the partner counts."""
        return obj.active

    def switch_off(self, obj: Partner) -> str:
        """Deactivate the partner."""
        obj.active = False
        obj.save(update_fields=["active"])
        return "active"

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
