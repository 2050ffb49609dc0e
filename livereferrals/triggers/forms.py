"""What staff are asked before they take a confirmation back: the same in admin and dashboard (D-22)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy as _

from livereferrals.tracking.amounts import Money
from livereferrals.tracking.models import ReversalReason
from livereferrals.tracking.reasons import ReversalOutcome
from livereferrals.tracking.sentences import money_of
from livereferrals.triggers import reversing

if TYPE_CHECKING:
    from livereferrals.tracking.models import Confirmation
    from livereferrals.triggers.reversing import Reversed


class ReversalForm(forms.Form):
    """Why, and how much of it."""

    reason = forms.ChoiceField(
        label=_("Reason"),
        choices=[("", "---------"), *ReversalReason.choices],
        help_text=_("The partner sees it."),
    )
    amount = forms.DecimalField(
        label=_("Only a part"),
        required=False,
        min_value=0,
        localize=False,
        help_text=_("Leave it empty to reverse all of it."),
    )
    note = forms.CharField(
        label=_("Note"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "cols": 60}),
        help_text=_("For your colleagues; the partner never sees it."),
    )

    def __init__(self, *args: Any, parts: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not parts:
            # Whoever may not see the amount is not asked for a part of it.
            del self.fields["amount"]

    def take_back(self, confirmation: Confirmation, *, by: Any) -> Reversed | None:
        """Take the confirmation back as the form says; nothing where it has to be filled in anew, which it then says."""
        values = self.cleaned_data
        wish = reversing.Wish(
            reason=reversing.read_reason(values["reason"]), note=values["note"], amount=values.get("amount"), by=by
        )
        try:
            result = reversing.reverse(confirmation.pk, wish)
        except ValueError as error:
            self.add_error("amount" if "amount" in self.fields else None, str(error))
            return None
        if result.reason == ReversalOutcome.EXCEEDS_AMOUNT:
            self.add_error(
                "amount", _("There is only %(left)s left to reverse.") % {"left": money_of(left(confirmation))}
            )
            return None
        return result


def left(confirmation: Confirmation) -> Money:
    """Return what has not been taken back yet."""
    micros = confirmation.amount_micros
    return Money(
        micros=None if micros is None else micros - confirmation.reversed_micros, currency=confirmation.currency
    )
