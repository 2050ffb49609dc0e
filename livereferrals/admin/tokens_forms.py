"""The form in which staff say what a new feed token is for, as the admin lays it out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.utils.translation import gettext_lazy as _

from livereferrals.streaming.forms import TermsForm, TokenIdField
from livereferrals.streaming.models import FeedToken
from livereferrals.streaming.protocol import SCOPES

if TYPE_CHECKING:
    from livereferrals.tracking.models import Partner


class NewTokenForm(TermsForm):
    """The same for a token that is still to be made, with whose events it reads."""

    house = forms.BooleanField(
        label=_("Everything, of all partners"),
        required=False,
        help_text=_("For your own systems only: such a token reads every partner's events and those without one."),
    )
    token_id = TokenIdField()

    field_order = ("name", "partner", "house", "reads", "only_links", "last_day")

    class Meta(TermsForm.Meta):
        fields = ["name", "partner"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        partner: Any = self.fields["partner"]
        column = FeedToken._meta.get_field("partner")
        partner.widget = AutocompleteSelect(column, admin.site, choices=partner.choices)
        partner.help_text = _("Whose events it reads.")
        self.fields["reads"].initial = list(SCOPES)

    def partner(self) -> Partner | None:
        """Return whose events it will read."""
        found: Partner | None = self.cleaned_data.get("partner")
        return found

    def clean(self) -> dict[str, Any]:
        """Ask for one of the two: a forgotten partner must not open everything."""
        cleaned = super().clean()
        if "partner" not in self.errors and (cleaned.get("partner") is None) != bool(cleaned.get("house")):
            self.add_error("partner", _("Choose a partner, or tick “Everything”: one of the two."))
        return cleaned
