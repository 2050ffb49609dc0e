"""Asking visitors whether the partner who sent them may be remembered: switched on by CONSENT=1.

LIVEREFERRALS = {"CONSENT": "project.shop.consent.has_agreed"}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

COOKIE: Final = "shop_consent"
YES: Final = "yes"
NO: Final = "no"
REMEMBERED_S: Final = 180 * 86_400


def has_agreed(request: HttpRequest) -> bool | None:
    """Return what the visitor has said; nothing before they are asked."""
    said = request.COOKIES.get(COOKIE)
    return None if said is None else said == YES


def notice(request: HttpRequest) -> dict[str, bool]:
    """Tell templates whether to ask: nobody is asked twice, and nobody where the setting is off."""
    return {"asks_consent": settings.LIVEREFERRALS.get("CONSENT") is not None and COOKIE not in request.COOKIES}


@require_POST
def answer(request: HttpRequest) -> HttpResponse:
    """Keep the answer for half a year; a yes counts for the link that led here, a no takes back an earlier yes."""
    has_said_yes = request.POST.get("answer") == YES
    response = redirect("shop:home")
    response.set_cookie(
        COOKIE,
        YES if has_said_yes else NO,
        max_age=REMEMBERED_S,
        secure=request.is_secure(),
        httponly=True,
        samesite="Lax",
    )
    if has_said_yes:
        request.referral.grant(response)  # type: ignore[attr-defined] # the middleware's
    else:
        request.referral.forget(response)  # type: ignore[attr-defined] # the middleware's
    return response
