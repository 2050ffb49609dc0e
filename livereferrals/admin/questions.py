"""The page that asks before something is done: what, to which rows, with which answers, and a way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.template.response import TemplateResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django import forms
    from django.contrib.admin import ModelAdmin
    from django.db.models import Model
    from django.http import HttpRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a page asks."""

    title: str
    text: Sequence[str]
    """What pressing the button does, in paragraphs."""
    button: str
    back: str
    """Where "Cancel" leads."""
    action: str = ""
    """Where the answer goes; nothing: to the page itself."""
    items: Sequence[str] = ()
    """What it is done to."""
    left_out: Sequence[str] = ()
    """What it is not done to, and why."""
    hidden: Sequence[tuple[str, str]] = ()
    form: forms.Form | None = None
    row: Model | None = None
    """For the way through the admin above the page."""


def ask(model_admin: ModelAdmin, request: HttpRequest, question: Question) -> TemplateResponse:
    """Show the page."""
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "title": question.title,
        "subtitle": str(question.row) if question.row is not None else None,
        "object": question.row,
        "question": question,
    }
    return TemplateResponse(request, "admin/livereferrals/question.html", context)
