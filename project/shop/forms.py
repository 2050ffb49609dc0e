"""The forms of the shop."""

from __future__ import annotations

from django import forms

from project.shop.catalogue import CURRENCY, TEAS


class BuyForm(forms.Form):
    """Which tea. Nothing chosen means the first one."""

    tea = forms.ChoiceField(
        choices=[(tea.slug, f"{tea.name}, {tea.price} {CURRENCY}") for tea in TEAS.values()],
        widget=forms.RadioSelect,
        required=False,
    )

    def clean_tea(self) -> str:
        """Return the chosen tea's slug, else the first one's."""
        return self.cleaned_data["tea"] or next(iter(TEAS))
