"""Taking a confirmation back from its page: asks by GET, is done by POST, needs its permission, is recorded."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from django.db import transaction
from django.http import HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from livereferrals.callbacks.recording import record
from livereferrals.dashboard import access, confirmation, views
from livereferrals.dashboard.acts import Question
from livereferrals.dashboard.addresses import address
from livereferrals.dashboard.pages import FOLDER, NoSuchSubjectError
from livereferrals.dashboard.policy import dashboard_headers
from livereferrals.tracking.models import Confirmation, ReversalReason
from livereferrals.tracking.sentences import money_of
from livereferrals.triggers.forms import ReversalForm, left

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from livereferrals.dashboard.access import Rights


# Without the whole request in one transaction: what an act commits is what its page shows.
@transaction.non_atomic_requests
@require_http_methods(["GET", "HEAD", "POST"])
@csrf_protect
@dashboard_headers
def reverse_view(request: HttpRequest, subject: object) -> HttpResponse:
    """Ask why a confirmation is to be taken back, or take it back."""
    refusal = views.refuse_strangers(request)
    if refusal is not None:
        return refusal
    rights = access.rights_of(request.user)
    # A partner's login never has this permission here, whatever id is guessed.
    if rights is None or not rights.is_staff or not rights.may(confirmation.REVERSE):
        return views.forbid(request)
    try:
        row = confirmation.find(str(subject), rights)
    except NoSuchSubjectError:
        return render(request, f"{FOLDER}/missing.html", status=HTTPStatus.NOT_FOUND)
    return _ask_or_do(request, row, rights)


def _ask_or_do(request: HttpRequest, row: Confirmation, rights: Rights) -> HttpResponse:
    parts = rights.amounts and row.amount_micros is not None
    form = ReversalForm(request.POST or None, parts=parts)
    back = address("confirmation", row.pk)
    if request.method == "POST" and form.is_valid() and row.reversed_at is None and _do(request, row, form):
        return HttpResponseRedirect(back)
    row.refresh_from_db(fields=["reversed_at", "reversed_micros"])
    is_gone = row.reversed_at is not None
    text = [gettext("The partner is told. It cannot be undone.")]
    if parts:
        text.append(gettext("Left to reverse: %(left)s.") % {"left": money_of(left(row))})
    question = Question(
        title=gettext("Reverse the confirmation"),
        text=(gettext("It had been reversed before."),) if is_gone else tuple(text),
        button="" if is_gone else gettext("Reverse"),
        about=str(row),
        back=back,
        form=None if is_gone else form,
    )
    status = HTTPStatus.CONFLICT if request.method == "POST" else HTTPStatus.OK
    return render(request, f"{FOLDER}/ask.html", {"question": question, "form": question.form}, status=status)


def _do(request: HttpRequest, row: Confirmation, form: ReversalForm) -> bool:
    """Take it back and record who did it, both or neither; return whether this did it."""
    with transaction.atomic():
        result = form.take_back(row, by=request.user)
        if result is None or not result.created:
            return False
        reason = ReversalReason(form.cleaned_data["reason"]).label
        said = gettext("Reversed: %(reason)s.") % {"reason": reason}
        record(request.user, [row], said, action="confirmation.reversed")
    return True
