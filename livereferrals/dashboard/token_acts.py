"""What is done with feed tokens on the dashboard: made, rotated, revoked; each asks first and is recorded.

A new token's secret stands in the answer to the form that made it and nowhere else: in no message, session, history or
log. Sending the form again makes no second one, because the form names the token's id.
"""

from __future__ import annotations

from functools import partial, update_wrapper
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from django import forms
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods

from livereferrals.callbacks.recording import record
from livereferrals.dashboard import access
from livereferrals.dashboard import tokens as tokens_page
from livereferrals.dashboard.acts import Question
from livereferrals.dashboard.addresses import address
from livereferrals.dashboard.pages import FOLDER, NoSuchSubjectError
from livereferrals.dashboard.policy import dashboard_headers
from livereferrals.dashboard.views import forbid, refuse_strangers
from livereferrals.exceptions import TokenExists
from livereferrals.streaming import token_commands, tokens
from livereferrals.streaming.forms import RotationForm, TermsForm, TokenIdField
from livereferrals.streaming.models import FeedToken
from livereferrals.streaming.protocol import SCOPES
from livereferrals.tracking.models import Partner

if TYPE_CHECKING:
    from collections.abc import Callable


class NewTokenForm(TermsForm):
    """What a token that is still to be made reads, and whose."""

    whose = forms.CharField(
        label=gettext_lazy("Partner"),
        required=False,
        max_length=200,
        help_text=gettext_lazy("The name or the uid of the partner whose events it reads."),
    )
    house = forms.BooleanField(
        label=gettext_lazy("Everything, of all partners"),
        required=False,
        help_text=gettext_lazy(
            "For your own systems only: such a token reads every partner's events and those without one."
        ),
    )
    token_id = TokenIdField()

    field_order = ("name", "whose", "house", "reads", "only_links", "last_day")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reads"].initial = list(SCOPES)

    def clean_whose(self) -> Partner | None:
        """Find the partner; of several that bear the name none."""
        text = self.cleaned_data["whose"].strip()
        if not text:
            return None
        found = list(Partner.objects.filter(Q(uid=text) | Q(name=text))[:2])
        if len(found) > 1:
            raise forms.ValidationError(_("Several partners bear this name. Give the uid of one of them."))
        if not found:
            raise forms.ValidationError(_("There is no such partner."))
        return found[0]

    def partner(self) -> Partner | None:
        """Return whose events it will read."""
        found: Partner | None = self.cleaned_data.get("whose")
        return found

    def clean(self) -> dict[str, Any]:
        """Ask for one of the two: a forgotten partner must not open everything."""
        cleaned = super().clean()
        if "whose" not in self.errors and (self.partner() is None) != bool(cleaned.get("house")):
            self.add_error("whose", _("Name a partner, or tick “Everything”: one of the two."))
        return cleaned


def token_view(act: str) -> Callable[..., HttpResponse]:
    """Return the view that makes (`new`), rotates (`rotate`) or revokes (`revoke`) a token."""
    return update_wrapper(partial(_view, act=act), _view)


# Without the whole request in one transaction: what an act commits is what its page shows.
@transaction.non_atomic_requests
@require_http_methods(["GET", "HEAD", "POST"])
@csrf_protect
@dashboard_headers
def _view(request: HttpRequest, subject: str = "", *, act: str) -> HttpResponse:
    """Ask, or do it. A partner's login never has the permission, whatever id is guessed."""
    refusal = refuse_strangers(request)
    if refusal is not None:
        return refusal
    rights = access.rights_of(request.user)
    if rights is None or not rights.is_staff or not rights.may(tokens_page.MANAGE):
        return forbid(request)
    if not subject:
        return _new(request)
    try:
        row = tokens_page.find(subject, rights)
    except NoSuchSubjectError:
        return render(request, f"{FOLDER}/missing.html", status=HTTPStatus.NOT_FOUND)
    return {"rotate": _rotate, "revoke": _revoke}[act](request, row)


@sensitive_variables("text")
def _new(request: HttpRequest) -> HttpResponse:
    form = NewTokenForm(request.POST or None, initial={"whose": request.GET.get("partner", "")})
    problem = ""
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            with transaction.atomic():
                row, text = tokens.issue(
                    name=values["name"],
                    partner=values["whose"],
                    scopes=values["reads"],
                    links=values["link_ids"],
                    expires_at=values["last_day"],
                    created_by=request.user,
                    token_id=values["token_id"],
                )
                record(request.user, [row], _("Made."), action="token.made")
            return _shown(request, row, text)
        except TokenExists:
            problem = _made_before()
    question = Question(
        title=_("Make a feed token"),
        text=(),
        button="" if problem else _("Make the token"),
        about=_("It is shown once, on the next page."),
        back=address("tokens"),
        problem=problem,
        form=None if problem else form,
    )
    return _ask(request, question)


@sensitive_variables("text")
def _rotate(request: HttpRequest, old: FeedToken) -> HttpResponse:
    form = RotationForm(request.POST or None)
    problem = "" if tokens_page.may_rotate(old) else _("It was revoked or rotated before. Make a new one.")
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            with transaction.atomic():
                row, text = tokens.rotate(
                    old, ends_at=values["last_day"], created_by=request.user, token_id=values["token_id"]
                )
                said = _("Rotated; the new token is %(id)s.") % {"id": row.pk}
                record(request.user, [old], said, action="token.rotated")
                record(request.user, [row], _("Made in place of %(id)s.") % {"id": old.pk}, action="token.made")
            return _shown(request, row, text)
        except (TokenExists, ValueError):
            # A form that was sent twice: the first has made it. Else somebody else was quicker.
            if FeedToken.objects.filter(pk=values["token_id"]).exists():
                problem = _made_before()
    question = Question(
        title=_("Rotate the feed token"),
        text=(
            _(
                "A new token is made that may read the same, and is shown once. The old one ends when you say so: leave "
                "the partner some days to switch over, or none if the token has got into wrong hands."
            ),
        ),
        button="" if problem else _("Rotate"),
        about=_about(old),
        back=address("tokens"),
        problem=problem,
        form=None if problem else form,
    )
    return _ask(request, question)


def _revoke(request: HttpRequest, token: FeedToken) -> HttpResponse:
    possible = tokens_page.may_revoke(token)
    if request.method == "POST" and possible:
        with transaction.atomic():
            tokens.revoke(token)
            record(request.user, [token], _("Revoked."), action="token.revoked")
        return HttpResponseRedirect(address("tokens"))
    question = Question(
        title=_("Revoke the feed token"),
        text=(
            _(
                "Whoever uses this token is cut off within ten seconds and cannot come back with it. This cannot be "
                "undone; a new token can be made at any time, and nothing that happened meanwhile is lost."
            ),
        ),
        button=_("Revoke") if possible else "",
        about=_about(token),
        back=address("tokens"),
        problem="" if possible else _("It was revoked before."),
    )
    return _ask(request, question)


@sensitive_variables("text", "commands")
def _shown(request: HttpRequest, row: FeedToken, text: str) -> HttpResponse:
    commands = token_commands.commands(request.build_absolute_uri(f"{address('overview')}feed/v1/"), text)
    context = {"token": row, "text": text, "commands": commands, "back": address("tokens")}
    return render(request, f"{FOLDER}/token.html", context)


def _ask(request: HttpRequest, question: Question) -> HttpResponse:
    status = HTTPStatus.CONFLICT if request.method == "POST" and question.problem else HTTPStatus.OK
    return render(request, f"{FOLDER}/ask_token.html", {"question": question, "form": question.form}, status=status)


def _about(row: FeedToken) -> str:
    whose = row.partner.name if row.partner is not None else _("Everything (the house)")
    return f"{row.name}, {whose} (lrf_{row.pk}_\N{HORIZONTAL ELLIPSIS})"


def _made_before() -> str:
    return _("This token had been made already; it is shown only once. If it was lost, rotate it.")
