"""The middleware: `request.referral`, the current request, and link parameters on any URL.

One class for both worlds. Under ASGI a request without a link parameter runs on the event loop alone: no thread is
taken and no query made (P-34).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from livereferrals import conf
from livereferrals.tracking import claiming, destinations, following, judging, targets, visitors
from livereferrals.tracking.current import answering
from livereferrals.tracking.referral import Referral

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping
    from datetime import datetime

    from django.http import HttpRequest, HttpResponse
    from django.http.response import HttpResponseBase

    from livereferrals.tracking.links import KnownLink, LinkLookup
    from livereferrals.tracking.models import ReferralLink


class ReferralMiddleware:
    """Sets `request.referral` and answers requests that carry a link parameter with a redirect to the clean URL."""

    sync_capable = True
    async_capable = True

    def __init__(
        self,
        get_response: Callable[[HttpRequest], HttpResponseBase] | Callable[[HttpRequest], Awaitable[HttpResponseBase]],
    ) -> None:
        self.get_response = get_response
        self.async_mode = iscoroutinefunction(get_response)
        if self.async_mode:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer the request; in async mode return the coroutine that does."""
        if self.async_mode:
            return self.__acall__(request)
        with answering(request):
            referral = attach(request)
            found = caught(request)
            response = answer(request, found) if found else None
            return finish(request, response or self.get_response(request), referral=referral)  # type: ignore[arg-type] # sync here

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        """Async form of `__call__`; a thread is taken only for a request with a link parameter."""
        with answering(request):
            referral = attach(request)
            found = caught(request)
            response = await sync_to_async(answer)(request, found) if found else None
            response = response or await self.get_response(request)  # type: ignore[misc] # async here
            if not is_unfinished(request, referral=referral):
                return response
            return await sync_to_async(finish)(request, response, referral=referral)


def attach(request: HttpRequest) -> Referral:
    """Put the lazy `referral` and its old alias on the request. No query."""
    referral = Referral(request)
    request.referral = referral  # type: ignore[attr-defined] # ours
    request.affiliate_visitor = SimpleLazyObject(lambda: referral.visitor)  # type: ignore[attr-defined] # the old name (V-10)
    return referral


def is_unfinished(request: HttpRequest, *, referral: Referral) -> bool:
    """Whether the way out has something to do. No query."""
    return referral.renewed or referral.old_cookie_used or claiming.is_left_to_claim(request)


def finish(request: HttpRequest, response: HttpResponseBase, *, referral: Referral) -> HttpResponseBase:
    """Return the response: what is left to claim claimed, and what the browser carries brought up to date."""
    if claiming.is_left_to_claim(request):
        claiming.claim_on_the_way_out(request)
    if referral.renewed and referral.visitor is not None:
        visitors.carry(request, response, referral.visitor)
    if referral.old_cookie_used:
        visitors.delete_old_cookie(response)
    return response


# --- link parameters ------------------------------------------------------------------------------------------------------


def caught(request: HttpRequest) -> dict[str, str]:
    """Return the request's parameters if one of them is a link's, else nothing. No query, no session (P-20, P-31)."""
    query = following.raw_query(request) if request.method == "GET" else b""
    if not query:
        return {}
    values = targets.parameters(query)
    if not values.keys() & conf.settings.PARAMETERS.keys():
        return {}
    return {} if request.path_info.startswith(conf.excluded_paths()) else values


def answer(request: HttpRequest, values: Mapping[str, str]) -> HttpResponse | None:
    """Return the redirect that a request with link parameters gets, or nothing where it passes. Up to six queries."""
    if destinations.is_link_path(request.path_info, urlconf=getattr(request, "urlconf", None)):
        return None  # there it means nothing (P-27)
    now = timezone.now()
    unknown: set[str] = set()
    for name in _named("link", values):
        lookup = following.link_of(values[name], now=now)
        if lookup.link is not None:
            return _redirect(request, name, lookup, values=values, kept=unknown, now=now)
        unknown.add(name)  # the host may use the word itself (P-04)
    for name in _named("partner", values):
        lookup = following.home_link_of(values[name], now=now)
        return _redirect(request, name, lookup, values=values, kept=unknown, now=now)
    return None


def _named(kind: str, values: Mapping[str, str]) -> list[str]:
    """Return the request's parameters that name this kind of thing, in the order of the setting."""
    return [name for name, named in conf.settings.PARAMETERS.items() if named == kind and name in values]


def _redirect(
    request: HttpRequest,
    name: str,
    lookup: LinkLookup[ReferralLink] | LinkLookup[KnownLink],
    *,
    values: Mapping[str, str],
    kept: Collection[str],
    now: datetime,
) -> HttpResponse:
    """Return the redirect to the URL without the parameters: with the hit, or by way of the link's own URL."""
    asked = following.asked(request, values[name], now=now)
    if judging.rules().prefetch(asked):
        return following.not_ahead_of_the_click()
    taken_off = [each for each in conf.settings.PARAMETERS if each not in kept]
    query = targets.without(following.raw_query(request), taken_off)
    target = targets.own_url(following.escaped_path(request), query)
    if lookup.counted is None or not following.is_person(asked):
        return following.redirect(target)
    hop = _link_url(request, lookup.counted) if conf.settings.PARAMETER_HOPS.get(name) == "link_url" else None
    # What is too long for `next`, or would lose there what it has to keep, goes straight.
    if hop is None or kept or len(target) > conf.settings.MAX_NEXT_LENGTH:
        return following.follow(request, lookup.counted, target=target, values=values, asked=asked)
    own_ids = {each: values[each] for each in following.OWN_IDS if each in values}
    return following.redirect(targets.with_query(hop, {"next": target} | own_ids))


def _link_url(request: HttpRequest, link: ReferralLink | KnownLink) -> str | None:
    """Return the link's own URL; nothing where the host has not included `livereferrals.urls` (P-03)."""
    try:
        return reverse("livereferrals:link", args=[link.identifier], urlconf=getattr(request, "urlconf", None))
    except NoReverseMatch:
        return None
