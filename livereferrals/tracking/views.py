"""The link URL: a hit, and on to where the link leads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpResponse, HttpResponseNotAllowed
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from livereferrals.tracking import destinations, following, judging, targets

if TYPE_CHECKING:
    from django.http import HttpRequest

METHODS: Final = ("GET", "HEAD", "OPTIONS")


# A POST is refused for its method, token or not (L-31). The hit's own transaction has to be committed before there is an
# answer (L-10); under `ATOMIC_REQUESTS` it would still be open.
@csrf_exempt
@login_not_required
@transaction.non_atomic_requests
def link(request: HttpRequest, identifier: str) -> HttpResponse:
    """Record a hit on the link and redirect to `next`, the link's own target or the default.

    A link that is unknown or does not count leads on all the same (L-20), and one whose database is away too (L-27).
    Five queries at most for a hit.
    """
    if request.method not in METHODS:
        return following.unkept(HttpResponseNotAllowed(METHODS))
    if request.method == "OPTIONS":
        return following.unkept(HttpResponse(headers={"Allow": ", ".join(METHODS)}))
    now = timezone.now()
    rules, asked = judging.rules(), following.asked(request, identifier, now=now)
    if rules.prefetch(asked):
        return following.not_ahead_of_the_click()
    values = targets.parameters(following.raw_query(request))
    lookup = following.link_of(identifier, now=now)
    own = lookup.link.target if lookup.link is not None else ""
    target = destinations.settled(request, [values.get("next", ""), own])
    if lookup.counted is None or rules.head(asked):
        return following.redirect(target)
    return following.follow(request, lookup.counted, target=target, values=values, asked=asked)
