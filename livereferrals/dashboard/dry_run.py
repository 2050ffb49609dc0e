"""The dry run: what attribution would say of a visitor or a user now. Reads only."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import transaction
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from livereferrals import api
from livereferrals.dashboard import access, confirmation, inspector, snapshots
from livereferrals.dashboard.addresses import address
from livereferrals.dashboard.pages import FOLDER
from livereferrals.dashboard.policy import dashboard_headers
from livereferrals.dashboard.views import forbid, refuse_strangers
from livereferrals.tracking import sentences
from livereferrals.tracking.models import Partner, Visitor
from livereferrals.triggers import catalogue

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from livereferrals.dashboard.tables import Table
    from livereferrals.tracking.sentences import Story


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What attribution would say."""

    story: Story
    hits: Table
    confirmation_url: str
    """Where the confirmation stands that there is already; empty: none."""


class DryRunForm(forms.Form):
    """Whom and what is asked for."""

    trigger = forms.ChoiceField(label=gettext_lazy("Trigger"))
    who = forms.CharField(
        label=gettext_lazy("Visitor or user"),
        max_length=200,
        help_text=gettext_lazy("The id of a visitor, or the login name or id of a user."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
    )
    reference = forms.CharField(
        label=gettext_lazy("Reference"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("Such as an order's number, to see whether it was confirmed before. May be left empty."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names: Any = self.fields["trigger"]
        names.choices = [(trigger.name, trigger.name) for trigger in catalogue.triggers()]

    def clean_who(self) -> Visitor | Any:
        """Find the person. At most three queries."""
        found = find_person(self.cleaned_data["who"].strip())
        if found is None:
            raise ValidationError(_("There is no visitor and no user of this name or id."))
        return found


def find_person(text: str) -> Visitor | Any:
    """Return the visitor of this id, else the user of this login name or id; `None` for neither."""
    return _visitor(text) or _user(text)


def _visitor(text: str) -> Visitor | None:
    try:
        return Visitor.objects.filter(pk=uuid.UUID(text)).first()
    except ValueError:
        return None


def _user(text: str) -> Any:
    """Return the user of this login name, else of this id."""
    model: Any = get_user_model()
    users = model._default_manager
    named = users.filter(**{model.USERNAME_FIELD: text}).first()
    if named is not None:
        return named
    try:
        return users.filter(pk=model._meta.pk.to_python(text)).first()
    except (ValidationError, OverflowError):
        return None


# No transaction of the host's around it: the reading opens its own, which refuses to write.
@transaction.non_atomic_requests
@require_safe
@dashboard_headers
def dry_run(request: HttpRequest) -> HttpResponse:
    """Ask, and show what attribution would say; nothing is written."""
    refusal = refuse_strangers(request)
    if refusal is not None:
        return refusal
    rights = access.rights_of(request.user)
    if rights is None or not inspector.may_try(rights):
        return forbid(request)
    form = DryRunForm(request.GET if "who" in request.GET else None)
    answer = _asked(**form.cleaned_data) if form.is_bound and form.is_valid() else None
    context = {"form": form, "answer": answer, "back": address("triggers")}
    return render(request, f"{FOLDER}/dry_run.html", context)


def _asked(*, trigger: str, who: Any, reference: str) -> Answer:
    given = {"visitor" if isinstance(who, Visitor) else "user": who}
    with snapshots.one_moment():
        result = api.attribute(trigger, **given, reference=reference or catalogue.next_reference(trigger))
        uids = sentences.partners_in(result.trace)
        names = dict(Partner.objects.filter(uid__in=uids).values_list("uid", "name"))
    story = sentences.told(result.trace, names=names)
    stands = result.confirmation
    return Answer(
        story=story,
        hits=confirmation.looked_at(story),
        confirmation_url=address("confirmation", stands.pk) if stands is not None else "",
    )
