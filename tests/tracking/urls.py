"""A host's pages: what is left of a parameter, who is being answered, and logging in by code, sync and async."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.contrib.auth import alogin, login, logout
from django.contrib.auth.models import User
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.db import transaction
from django.http import HttpResponse, JsonResponse
from django.urls import include, path, re_path
from django.views.decorators.csrf import csrf_exempt

from livereferrals.tracking.current import current_request
from livereferrals.tracking.models import ReferralHit

if TYPE_CHECKING:
    from django.http import HttpRequest

BACKEND = "django.contrib.auth.backends.ModelBackend"
ran: list[str] = []
"""Paths that a view was run for."""


@csrf_exempt
def echo(request: HttpRequest) -> JsonResponse:
    """Say what arrived."""
    ran.append(request.get_full_path())
    return JsonResponse(
        {"path": request.get_full_path(), "method": request.method, "body": request.body.decode("latin-1")}
    )


def seen(request: HttpRequest) -> dict[str, Any]:
    """What `request.referral` says."""
    referral = request.referral  # type: ignore[attr-defined] # ours
    return {
        "true": bool(referral),
        "visitor": referral.visitor and str(referral.visitor.pk),
        "hit": referral.hit and str(referral.hit.pk),
        "link": referral.link and referral.link.identifier,
        "partner": referral.partner and referral.partner.uid,
        "alias": bool(request.affiliate_visitor),  # type: ignore[attr-defined] # ours
        "token": referral.token(),
    }


def referral(request: HttpRequest) -> JsonResponse:
    return JsonResponse(seen(request))


async def async_referral(request: HttpRequest) -> JsonResponse:
    found = await request.referral.aget()  # type: ignore[attr-defined] # ours
    assert found is request.referral  # type: ignore[attr-defined] # ours
    return JsonResponse(seen(request))


def current(request: HttpRequest) -> JsonResponse:
    """Whether the current request is this one, here and in a thread that the view starts."""
    elsewhere: list[object] = []
    thread = threading.Thread(target=lambda: elsewhere.append(current_request()))
    thread.start()
    thread.join()
    return JsonResponse({"here": current_request() is request, "thread": elsewhere != [None]})


async def async_current(request: HttpRequest) -> JsonResponse:
    """The same on the event loop, after others have had their turn, in a thread and in a child task."""

    async def child() -> bool:
        return current_request() is request

    for _turn in range(5):
        await asyncio.sleep(0)
    return JsonResponse(
        {
            "here": current_request() is request,
            "thread": await sync_to_async(current_request)() is request,
            "task": await asyncio.create_task(child()),
        }
    )


def users_hits(user: User) -> int:
    return ReferralHit.objects.filter(user=user).count()


def log_in(request: HttpRequest, username: str) -> JsonResponse:
    """Log in by code, and say how many hits are the user's right after it."""
    user = User.objects.get(username=username)
    login(request, user, backend=BACKEND)
    referral = request.referral  # type: ignore[attr-defined] # ours
    return JsonResponse({"hits": users_hits(user), "owner": referral.visitor and referral.visitor.user_id})


async def async_log_in(request: HttpRequest, username: str) -> JsonResponse:
    """The same in an async view."""
    user = await User.objects.aget(username=username)
    await alogin(request, user, backend=BACKEND)
    referral = await request.referral.aget()  # type: ignore[attr-defined] # ours
    return JsonResponse(
        {"hits": await sync_to_async(users_hits)(user), "owner": referral.visitor and referral.visitor.user_id}
    )


def whose(request: HttpRequest) -> JsonResponse:
    """A page that looks at its user."""
    return JsonResponse({"user": request.user.username})


async def async_whose(request: HttpRequest) -> JsonResponse:
    """The same, without blocking."""
    return JsonResponse({"user": (await request.auser()).username})


def by_token(request: HttpRequest) -> JsonResponse:
    """A page whose host authenticates by itself, as Django REST framework does."""
    request.user = User.objects.get(username=request.headers["Authorization"])
    return JsonResponse({"user": request.user.username})


def close_account(request: HttpRequest) -> JsonResponse:
    """Delete the user, of which the request still holds the instance."""
    return JsonResponse({"deleted": User.objects.filter(username=request.user.get_username()).delete()[0]})


def log_in_and_fail(request: HttpRequest, username: str) -> JsonResponse:
    """Log in in a transaction that is rolled back, and tell it as an ordinary answer."""
    with transaction.atomic():
        request.session = SessionStore()  # which the roll-back cannot harm
        login(request, User.objects.get(username=username), backend=BACKEND)
        transaction.set_rollback(True)
    return JsonResponse({"user": request.user.get_username()})


def agreed(request: HttpRequest) -> JsonResponse:
    """Somebody says yes to the host's banner."""
    response = JsonResponse({})
    given = request.headers.get("X-Reference")  # as a script may send it
    tied = request.referral.grant(response, reference=given)  # type: ignore[attr-defined] # ours
    response.content = json.dumps({"tied": tied, **seen(request)})
    return response


async def async_agreed(request: HttpRequest) -> JsonResponse:
    response = JsonResponse({})
    tied = await request.referral.agrant(response)  # type: ignore[attr-defined] # ours
    await request.referral.aget()  # type: ignore[attr-defined] # ours
    response.content = json.dumps({"tied": tied, **seen(request)})
    return response


def log_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponse("bye")


urlpatterns = [
    path("referral/", referral),
    path("async-referral/", async_referral),
    path("current/", current),
    path("async-current/", async_current),
    path("in/<str:username>/", log_in),
    path("async-in/<str:username>/", async_log_in),
    path("out/", log_out),
    path("agreed/", csrf_exempt(agreed)),
    path("async-agreed/", async_agreed),
    path("whose/", whose),
    path("async-whose/", async_whose),
    path("by-token/", by_token),
    path("close-account/", close_account),
    path("in-and-fail/<str:username>/", log_in_and_fail),
    path("", include("tests.urls")),
    re_path(r"^(?!ref/).*$", echo),
]
