"""What staff are asked before they act on endpoints: the same in admin and dashboard."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from livereferrals.callbacks import holding, replaying


class PauseForm(forms.Form):
    """Why, for the colleagues."""

    reason = forms.CharField(
        label=_("Reason"),
        required=False,
        max_length=holding.LONGEST_REASON,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text=_("Your colleagues see it beside the endpoint."),
    )


def _moment() -> forms.DateTimeInput:
    """Return the browser's own field for a day and a time."""
    return forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")


class ReplayForm(forms.Form):
    """Which deliveries, and how fast."""

    since = forms.DateTimeField(label=_("From"), widget=_moment())
    until = forms.DateTimeField(
        label=_("To"),
        widget=_moment(),
        help_text=_("When the confirmations were made, not when they were sent."),
    )
    with_delivered = forms.BooleanField(
        label=_("Delivered ones too"),
        required=False,
        help_text=_(
            "Without it only those that were given up. With it the partner gets again what it has already, with the same ids."
        ),
    )
    per_second = forms.IntegerField(
        label=_("Calls a second"),
        initial=replaying.USUAL_RATE,
        min_value=replaying.RATES[0],
        max_value=replaying.RATES[1],
        help_text=_("Not more than this, and never faster than the partner's server takes them."),
    )

    def span(self, subscription: int) -> replaying.Span:
        """Return what was asked for; the form is valid."""
        values = self.cleaned_data
        return replaying.Span(
            subscription=subscription,
            since=values["since"],
            until=values["until"],
            with_delivered=values["with_delivered"],
        )
