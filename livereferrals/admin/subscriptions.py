"""Subscriptions: the trigger from a drop-down, the callback URL checked where it is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.forms.models import BaseInlineFormSet
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _

from livereferrals.admin import archiving, previewing, subscription_headers
from livereferrals.admin.choices import ArchivedFilter, TriggerFilter
from livereferrals.admin.filters import PartnerFilter
from livereferrals.admin.serving import ServedAdmin
from livereferrals.admin.styling import Styled
from livereferrals.admin.subscription_headers import HeadersForm
from livereferrals.admin.tools import Tool
from livereferrals.callbacks import checking, placeholders
from livereferrals.callbacks.models import Method, Subscription
from livereferrals.triggers import catalogue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import Model, QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern
    from django.utils.safestring import SafeString


ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
SHOWN_URL = 60
"""Characters of an address that a list shows."""

DUPLICATE = _("This partner already has a subscription to this trigger.")


def trigger_choices(stored: str) -> list[tuple[str, str]]:
    """Return the triggers of the settings; a stored name that is no longer there stays selectable, and says so (D-10)."""
    choices = [("", "---------")]
    choices += [(trigger.name, trigger.label or trigger.name) for trigger in catalogue.triggers()]
    if stored and stored not in dict(choices):
        choices.append((stored, _("%(trigger)s (not in settings)") % {"trigger": stored}))
    return choices


def trigger_help() -> str:
    """Return what the settings say of each trigger that has a help text."""
    return " ".join(
        f"{trigger.label or trigger.name}: {trigger.help}" for trigger in catalogue.triggers() if trigger.help
    )


def with_placeholders(text: object) -> SafeString:
    """Return a field's help with the list of what may stand in an address."""
    return format_html(
        "{} <details class='lr-placeholders'><summary>{}</summary>{}</details>",
        text,
        _("What can be put into it"),
        format_html_join(" ", "<code>{{{}}}</code>", ((name,) for name in sorted(placeholders.MACROS))),
    )


def is_untold(url: str) -> bool:
    """Whether the URL is a good one in which nothing tells one confirmation from another."""
    template, _mistakes = placeholders.examine(url)
    return template is not None and not template.names & placeholders.IDENTIFYING


class SubscriptionForm(forms.ModelForm):
    """A subscription as staff edit it: every mistake is a message at its field (D-10, D-11, D-14)."""

    no_placeholder = forms.BooleanField(
        required=False,
        label=_("No placeholder needed"),
        help_text=_(
            "Only for GET: tick it if the partner really wants the same address called each time, "
            "although it cannot tell one confirmation from another."
        ),
    )

    places: Mapping[str, str] = {}
    """The fields at which the mistakes of others are told, by the names of those."""

    class Meta:
        model = Subscription
        fields = [
            "partner",
            "trigger",
            "callback_url",
            "method",
            "send_reversals",
            "reversal_url",
            "allow_plain_http",
            "timeout_s",
            "max_in_flight",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "trigger" in self.fields:
            self.fields["trigger"] = forms.ChoiceField(
                label=_("Trigger"), choices=trigger_choices(self.instance.trigger), help_text=trigger_help()
            )
        for name in {"callback_url", "reversal_url"} & self.fields.keys():
            self.fields[name].widget = forms.TextInput(attrs={"class": "vLargeTextField", "maxlength": 2000})
            self.fields[name].help_text = with_placeholders(self.fields[name].help_text)
        self.fields["no_placeholder"].initial = self._is_accepted()

    def _is_accepted(self) -> bool:
        """Whether a saved row already calls an address without a telling placeholder."""
        saved = self.instance
        return saved.pk is not None and saved.method == Method.GET and is_untold(saved.callback_url)

    def clean(self) -> dict[str, Any]:
        """Ask for the tick where a GET could not be told from the one before."""
        cleaned: dict[str, Any] = super().clean() or {}
        url = cleaned.get("callback_url")
        if url and cleaned.get("method") == Method.GET and not cleaned.get("no_placeholder") and is_untold(url):
            self.add_error(
                "no_placeholder",
                _(
                    "With GET the address should hold a placeholder such as {confirmation_id}. Tick here to save it as it is."
                ),
            )
        return cleaned

    def _post_clean(self) -> None:
        """Refuse a second subscription, at the trigger.

        Django leaves the constraint out, because its condition names a column that no form has.
        """
        super()._post_clean()  # type: ignore[misc] # Django's own hook, which the stubs leave out
        instance = self.instance
        if instance.partner_id is None or instance.archived_at is not None or "trigger" not in self.cleaned_data:
            return
        others = Subscription.objects.filter(partner=instance.partner_id, trigger=instance.trigger, archived_at=None)
        if others.exclude(pk=instance.pk).exists():
            self.add_error("trigger", DUPLICATE)

    def _update_errors(self, errors: ValidationError) -> None:
        """Tell of a field that is not on this page, which Django has no place for: a partner's page has a few of them."""
        placed: dict[str, list[Any]] = {}
        for name, found in errors.update_error_dict({}).items():
            name = self.places.get(name, name)
            if name in self.fields or name == NON_FIELD_ERRORS:
                placed.setdefault(name, []).extend(found)
            else:
                field: Any = Subscription._meta.get_field(name)
                told = [f"{field.verbose_name}: {message}" for message in ValidationError(found).messages]
                placed.setdefault(NON_FIELD_ERRORS, []).extend(told)
        super()._update_errors(ValidationError(placed))  # type: ignore[misc] # Django's own hook, which the stubs leave out


class SubscriptionPageForm(HeadersForm, SubscriptionForm):
    """The same on the subscription's own page, which has its headers too."""

    places = {"headers": subscription_headers.PLAIN}


class SubscriptionFormSet(BaseInlineFormSet):
    """The subscriptions on a partner's page; two new ones of one trigger are found before the database is asked."""

    def clean(self) -> None:
        """Refuse a trigger that is chosen twice."""
        super().clean()
        seen: set[str] = set()
        for form in self.forms:
            trigger = getattr(form, "cleaned_data", {}).get("trigger")
            if trigger and trigger in seen:
                form.add_error("trigger", DUPLICATE)
            if trigger:
                seen.add(trigger)


class SubscriptionInline(admin.StackedInline):
    """A partner's subscriptions on the partner's page."""

    model = Subscription
    form = SubscriptionForm
    formset = SubscriptionFormSet
    extra = 0
    can_delete = False
    show_change_link = True
    fields = ["trigger", "callback_url", "preview", "no_placeholder", "method"]
    readonly_fields = ["preview"]

    @admin.display(description=_("What is called"))
    def preview(self, subscription: Subscription) -> Any:
        """Show the address with sample values (D-16)."""
        return previewing.of_subscription(subscription)

    def get_queryset(self, request: HttpRequest) -> Any:
        """Leave archived ones out."""
        return super().get_queryset(request).filter(archived_at__isnull=True)


@admin.register(Subscription)
class SubscriptionAdmin(Styled, ServedAdmin):
    """All subscriptions."""

    form = SubscriptionPageForm
    list_display = ["trigger", "partner", "called", "endpoint_state", "archived_at"]
    list_filter = [PartnerFilter, TriggerFilter, "endpoint__state", ArchivedFilter]
    actions = ["archive"]
    list_select_related = ["partner", "endpoint"]
    search_fields = ["partner__name", "partner__uid", "trigger", "callback_url"]
    search_help_text = _("A part of the partner's name or uid, of the trigger or of the address.")
    autocomplete_fields = ["partner"]
    show_full_result_count = False
    fieldsets = [
        (None, {"fields": ["partner", "trigger"]}),
        (_("Where to call"), {"fields": ["callback_url", "preview", "no_placeholder", "method"]}),
        (_("When a confirmation is taken back"), {"fields": ["send_reversals", "reversal_url"]}),
        (_("Limits"), {"fields": ["timeout_s", "max_in_flight", "allow_plain_http"], "classes": ["collapse"]}),
        (_("Headers of your own"), {"fields": ["plain_headers", "secret_headers"], "classes": ["collapse"]}),
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: Subscription | None = None) -> list[str]:
        """Keep the partner and the trigger of what exists; plain HTTP needs a permission of its own."""
        fixed: list[str] = ["preview"]
        if obj is not None:
            fixed.append("partner")
        if not request.user.has_perm("livereferrals.allow_plain_http"):
            fixed.append("allow_plain_http")
        return fixed

    @admin.display(description=_("What is called"))
    def preview(self, subscription: Subscription) -> Any:
        """Show the address with sample values (D-16)."""
        return previewing.of_subscription(subscription)

    @admin.display(description=_("Headers"))
    def plain_headers(self, subscription: Subscription) -> str:
        """Show who may only look which headers go along."""
        return subscription_headers.shown(subscription, secret=False)

    @admin.display(description=_("Secret headers"))
    def secret_headers(self, subscription: Subscription) -> str:
        """Show who may only look the names of those that are secret."""
        return subscription_headers.shown(subscription, secret=True)

    @admin.display(description=_("callback URL"), ordering="callback_url")
    def called(self, subscription: Subscription) -> str:
        """Show the beginning of the address; the whole is on the row's page."""
        url = checking.in_ascii(subscription.callback_url)
        if not url:
            return str(_("feed only"))
        return f"{subscription.method} {url if len(url) <= SHOWN_URL else url[:SHOWN_URL] + ELLIPSIS}"

    @admin.display(description=_("state"), ordering="endpoint__state")
    def endpoint_state(self, subscription: Subscription) -> str:
        """Say whether its deliveries are made or held."""
        endpoint = getattr(subscription, "endpoint", None)
        return str(endpoint.get_state_display()) if endpoint is not None else "-"

    def has_delete_permission(self, request: HttpRequest, obj: Subscription | None = None) -> bool:
        """Return False for what has deliveries: it is archived instead."""
        if obj is not None and obj.deliveries.exists():
            return False
        return super().has_delete_permission(request, obj)

    def get_actions(self, request: HttpRequest) -> Any:
        """Leave Django's "Delete selected" out: subscriptions are archived."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    @admin.action(description=_("Archive the selected subscriptions"), permissions=["change"])
    def archive(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> HttpResponse | None:
        """Archive the selected subscriptions, after a question."""
        return archiving.archive(self, request, queryset)

    def get_urls(self) -> list[URLPattern]:
        """Add the preview and the question before archiving."""
        return [previewing.url_pattern(self), archiving.url_pattern(self), *super().get_urls()]

    def get_tools(self, request: HttpRequest, obj: Model) -> list[Tool]:
        """Offer what can be done with the endpoint, and to archive what is in use."""
        found = super().get_tools(request, obj)
        if isinstance(obj, Subscription) and obj.archived_at is None and self.has_change_permission(request, obj):
            found.append(Tool(label=_("Archive"), url=archiving.address(obj)))
        return found
