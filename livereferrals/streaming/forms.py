"""What is asked of people who make feed tokens: the same in admin and dashboard."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from livereferrals import times
from livereferrals.streaming import tokens
from livereferrals.streaming.models import FeedToken
from livereferrals.streaming.protocol import SCOPE_TYPES, SCOPES
from livereferrals.tracking.models import Partner, ReferralLink

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection
    from datetime import date

READS: Final = {
    "hits": _("Hits: somebody followed a link"),
    "claims": _("Claims: a visitor logged in and is a user now"),
    "confirmations": _("Confirmations and what is taken back of them"),
    "deliveries": _("Deliveries: whether callbacks arrived"),
    "amounts": _("Amounts of money; without this they are left empty"),
}
"""The scopes in plain words, in the protocol's order."""


def end_of(day: date) -> datetime:
    """Return the moment at which a day of the project's time zone is over."""
    return times.as_stored(timezone.make_aware(datetime.combine(day + timedelta(days=1), time.min)))


class FutureDayField(forms.DateField):
    """A day from today on, picked in the browser's own calendar; its value is the day's end."""

    widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")

    def prepare_value(self, value: Any) -> Any:
        """Show a stored moment as its last whole day."""
        if isinstance(value, datetime):
            return times.day_of(value - timedelta(microseconds=1))
        return super().prepare_value(value)

    def clean(self, value: Any) -> datetime | None:
        """Return the end of the day, if it is not over yet."""
        day = super().clean(value)
        if day is None:
            return None
        if day < times.today():
            raise forms.ValidationError(_("This day is over. Choose a later one, or leave it empty."))
        return end_of(day)


class TermsForm(forms.ModelForm):  # type: ignore[type-arg] # generic for the type checker alone
    """A token's name and what it reads."""

    reads = forms.MultipleChoiceField(
        label=_("It may read"),
        choices=[(scope, READS[scope]) for scope in SCOPES],
        widget=forms.CheckboxSelectMultiple(attrs={"class": "lr-choices"}),
    )
    only_links = forms.CharField(
        label=_("Only these links"),
        required=False,
        widget=forms.TextInput(attrs={"class": "vLargeTextField"}),
        help_text=_("Identifiers of links, with spaces between them. Empty: all of its links."),
    )
    last_day = FutureDayField(
        label=_("Last day"), required=False, help_text=_("The token stops working after this day. Empty: never.")
    )

    class Meta:
        model = FeedToken
        fields = ["name"]
        widgets = {"name": forms.TextInput(attrs={"class": "vTextField"})}
        help_texts = {"name": _("What it is for, as your colleagues will read it, such as “warehouse import”.")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        token: FeedToken = self.instance
        if not token._state.adding:
            self.initial.update(
                reads=token.scopes, only_links=" ".join(_identifiers(token.links or ())), last_day=token.expires_at
            )

    def clean_reads(self) -> list[str]:
        """Refuse what allows no event at all."""
        reads: list[str] = self.cleaned_data["reads"]
        if not any(scope in SCOPE_TYPES for scope in reads):
            raise forms.ValidationError(_("Choose at least one kind of event."))
        return reads

    def partner(self) -> Partner | None:
        """Return whose events it reads; `None`: everybody's."""
        token: FeedToken = self.instance
        return token.partner

    def clean(self) -> dict[str, Any]:
        """Find the links, which must be the partner's."""
        cleaned: dict[str, Any] = super().clean() or {}
        wanted = set(re.split(r"[\s,]+", cleaned.get("only_links") or "")) - {""}
        cleaned["link_ids"] = self._found(wanted) if wanted else None
        return cleaned

    def _found(self, identifiers: Collection[str]) -> list[uuid.UUID]:
        links = ReferralLink.objects.filter(identifier__in=identifiers)
        if (partner := self.partner()) is not None:
            links = links.filter(partner=partner)
        known = dict(links.values_list("identifier", "pk"))
        if unknown := sorted(set(identifiers) - known.keys()):
            said = _("The partner has no link “%(identifier)s”.")
            self.add_error("only_links", forms.ValidationError(said, params={"identifier": unknown[0]}))
        return list(known.values())

    def save(self, commit: bool = True) -> FeedToken:  # noqa: FBT001, FBT002 - Django's signature
        """Write the terms to the row."""
        token: FeedToken = self.instance
        token.scopes = self.cleaned_data["reads"]
        links = self.cleaned_data["link_ids"]
        token.links = None if links is None else [str(link) for link in links]
        token.expires_at = self.cleaned_data["last_day"]
        saved: FeedToken = super().save(commit)
        return saved


class TokenIdField(forms.RegexField):
    """The id of a token that is still to be made: a form that is sent twice names the same one and makes one token."""

    def __init__(self) -> None:
        super().__init__(regex=r"^[A-Za-z0-9]{12}\Z", widget=forms.HiddenInput, initial=tokens.new_id)


class RotationForm(forms.Form):
    """When the old token ends."""

    last_day = FutureDayField(
        label=_("The old token still works until"),
        required=False,
        help_text=_("The end of this day. Empty: it ends at once, and whoever uses it is cut off within seconds."),
    )
    token_id = TokenIdField()


def _identifiers(links: Collection[str]) -> list[str]:
    return list(ReferralLink.objects.filter(pk__in=links).order_by("identifier").values_list("identifier", flat=True))
