"""The front: from the scope of a GET to the answer of its link, without a thread.

The order of the questions is that of `tracking.views.link`; a test sends the same requests both ways and compares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.db import Error
from django.utils import timezone

from livereferrals.front import parameters
from livereferrals.front.leading import Follow, lead_on
from livereferrals.front.terms import terms_for
from livereferrals.tracking import targets
from livereferrals.tracking.link_cache import get_links

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from livereferrals.front.asking import Scope
    from livereferrals.front.terms import Terms

    Send = Callable[[Any], Awaitable[None]]

NO_VALUES: Final[Mapping[str, str]] = {}


async def answered(scope: Scope, send: Send) -> bool:
    """Answer the request if that can be done without Django; say whether it was. Nothing is received or sent else."""
    terms = terms_for(scope) if scope["method"] == "GET" else None
    if terms is None:
        return False
    path, query = scope["path"], scope.get("query_string", b"")
    if terms.places.below is not None and path.startswith(terms.places.below):
        identifier = terms.places.identifier(path)
        if identifier is not None and query.isascii():
            return await _link_answered(terms, identifier, scope, send)
    # Django answers 400 to a query that is no UTF-8; browsers escape it.
    elif query and terms.may_be_caught(query) and query.isascii():
        return await parameters.answered(terms, scope, send)
    return False


async def _link_answered(terms: Terms, identifier: str, scope: Scope, send: Send) -> bool:
    asked = terms.reading.asked(scope)
    if asked is None:
        return False
    if terms.screen.is_ahead(asked, identifier):
        await terms.answers[asked.secure].ahead(send)
        return True
    query = scope.get("query_string")
    values = targets.parameters(query) if query else NO_VALUES
    try:
        link = await get_links().afind(identifier)
    except Error:
        return False  # Django looks again, leads on and logs it (L-27)
    target = terms.target(asked, next_=values.get("next", ""), own="" if link is None else link.target)
    await lead_on(terms, Follow(asked, link, target, values, timezone.now()), send)
    return True
