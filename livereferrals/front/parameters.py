"""A link parameter on any URL: the redirect to the clean URL, with the hit or by way of the link's own URL.

The order of the questions is that of `tracking.middleware.answer`; a test sends the same requests both ways.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import Error
from django.utils import timezone

from livereferrals.front.leading import Follow, is_counted, lead_on
from livereferrals.front.terms import below
from livereferrals.tracking import following, targets
from livereferrals.tracking.link_cache import get_links

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from livereferrals.front.asking import Scope
    from livereferrals.front.terms import Terms
    from livereferrals.tracking.links import KnownLink

    Send = Callable[[Any], Awaitable[None]]


class Caught(NamedTuple):
    """The parameter that is acted on."""

    name: str
    link: KnownLink | None
    unknown: frozenset[str]
    """Parameters that stay: their values are no links, and the host may use the words itself (P-04)."""


async def answered(terms: Terms, scope: Scope, send: Send) -> bool:
    """Answer a request with a parameter that names a link or a partner; say whether it was one."""
    values = _values(terms, scope)
    asked = terms.reading.asked(scope) if values else None
    if asked is None:
        return False
    try:
        caught = await _caught(terms, values)
    except Error:
        return False  # Django looks again, and logs it (L-27)
    if caught is None:
        return False
    if terms.screen.is_ahead(asked, values[caught.name]):
        await terms.answers[asked.secure].ahead(send)
        return True
    query = targets.without(scope["query_string"], [name for name in terms.parameters if name not in caught.unknown])
    target = targets.own_url(following.as_it_came(scope["path"], raw=scope.get("raw_path")), query)
    follow = Follow(asked, caught.link, target, values, timezone.now())
    hop = _hop(terms, caught, follow)
    if hop is None:
        await lead_on(terms, follow, send)
    else:
        await terms.answers[asked.secure].redirect(send, hop.encode("ascii"))
    return True


def _values(terms: Terms, scope: Scope) -> Mapping[str, str]:
    """Return the parameters of the query if one of them is caught on this path, else nothing."""
    values = targets.parameters(scope["query_string"])
    path_info = terms.places.path_info(scope["path"])
    if values.keys().isdisjoint(terms.parameters) or path_info.startswith(terms.excluded):
        return {}
    with below(terms.script_name):
        return {} if terms.places.is_link(path_info) else values  # there it means nothing (P-27)


async def _caught(terms: Terms, values: Mapping[str, str]) -> Caught | None:
    """Return what a parameter names: a link that there is, else whatever the first one for partners says."""
    unknown: set[str] = set()
    for name in _named(terms, "link", values):
        link = await get_links().afind(values[name])
        if link is not None:
            return Caught(name, link, frozenset(unknown))
        unknown.add(name)
    for name in _named(terms, "partner", values):
        return Caught(name, await get_links().afind_home(values[name]), frozenset(unknown))
    return None


def _named(terms: Terms, kind: str, values: Mapping[str, str]) -> list[str]:
    return [name for name, named in terms.parameters.items() if named == kind and name in values]


def _hop(terms: Terms, caught: Caught, follow: Follow) -> str | None:
    """Return the link's own URL with the target as its `next`, where the parameter goes by way of it."""
    if caught.link is None or terms.hops.get(caught.name) != "link_url":
        return None
    # What is too long for `next`, or would lose there what it has to keep, goes straight.
    if caught.unknown or len(follow.target) > terms.max_next_length or not is_counted(terms, follow):
        return None
    with below(terms.script_name):
        url = terms.places.url(caught.link.identifier)
    if url is None:
        return None
    own_ids = {each: follow.values[each] for each in following.OWN_IDS if each in follow.values}
    return targets.with_query(url, {"next": follow.target} | own_ids)
