"""Following a link over HTTP: what the request says, the hit, and the redirect that answers it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote

from django.core.handlers.asgi import ASGIRequest
from django.db import Error, IntegrityError
from django.http import HttpResponse, HttpResponseRedirect
from django.utils.encoding import escape_uri_path

from livereferrals import conf
from livereferrals.exceptions import HitNotRecordedError
from livereferrals.tracking import consent, judging, links, losses, privacy, recording, references, visitors
from livereferrals.tracking.drafts import HitDraft
from livereferrals.tracking.group_commit import get_group
from livereferrals.tracking.link_cache import get_links
from livereferrals.tracking.links import KnownLink
from livereferrals.tracking.models import ReferralLink, Visitor
from livereferrals.tracking.screening import Follow

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from django.http import HttpRequest

    from livereferrals.tracking.links import LinkLookup

logger = logging.getLogger(__name__)

SUBS: Final = ("sub1", "sub2", "sub3", "sub4", "sub5")
OWN_IDS: Final = ("click_id", *SUBS)
"""Parameters beside the link's that are kept on the hit (L-13, P-35)."""


def link_of(identifier: str, *, now: datetime) -> LinkLookup[ReferralLink] | LinkLookup[KnownLink]:
    """Return the link of an identifier; where the database does not answer, log it and go on as for an unknown one (L-27)."""
    return _looked_up(get_links().find, links.find_link, identifier, now=now)


def home_link_of(uid: str, *, now: datetime) -> LinkLookup[ReferralLink] | LinkLookup[KnownLink]:
    """Return the home link of the partner of this uid; otherwise as `link_of`."""
    return _looked_up(get_links().find_home, links.find_partner_link, uid, now=now)


def _looked_up(
    in_memory: Callable[[str], KnownLink | None],
    query: Callable[..., LinkLookup[ReferralLink]],
    name: str,
    *,
    now: datetime,
) -> LinkLookup[ReferralLink] | LinkLookup[KnownLink]:
    """Look in memory where the hit is left to the group too: then the request's thread asks the database for nothing."""
    try:
        if get_group().takes_from_threads:
            return links.looked_up(in_memory(name), now=now)
        return query(name, now=now)
    except Error as error:
        reason = losses.why(error)
        losses.count(reason, 1)  # most likely: few follow what was never a link
        facts = {"action": "hit.lost", "reason": str(reason)}
        logger.exception("The link %r could not be looked up.", name, extra=facts)
        return links.UNKNOWN


def asked(request: HttpRequest, identifier: str, *, now: datetime) -> Follow:
    """Return what the rules of screening are asked about."""
    return Follow(
        link=identifier,
        method=request.method or "",
        headers=request.headers,
        ip=client_ip(request),
        now=now,
    )


def is_person(asked: Follow) -> bool:
    """Whether the request may make a hit: nobody's crawler that is to be skipped, no part of another page (L-33, L-36)."""
    rules = judging.rules()
    if rules.embedded(asked):
        return False
    return conf.settings.BOTS != "skip" or not rules.bot(asked)


def follow(
    request: HttpRequest, link: ReferralLink | KnownLink, *, target: str, values: Mapping[str, str], asked: Follow
) -> HttpResponse:
    """Record the hit and return the redirect to the target, with the visitor's cookie.

    The target is settled before, and the answer is made after the commit: no hit is followed by an error (L-49), no
    answer by a lost hit (L-10). A hit that cannot be written is logged, and its visitor led on without a cookie.
    """
    request.get_host()  # a host that Django rejects is its 400, and no hit
    if not is_person(asked):
        return redirect(target)
    may_be_known = consent.answer(request)
    try:
        followed = _record(request, link, target=target, values=values, asked=asked, may_be_known=may_be_known is True)
    except HitNotRecordedError as error:  # which the group has told of
        is_refused = error.reason == losses.HitLoss.OVERLOAD and conf.settings.HITS_OVERLOAD == "unavailable"
        return come_again() if is_refused else redirect(target)
    except Error as error:
        # Gone, full, or the link was deleted in between: the visitor shall still get where the link leads (L-26, L-27).
        losses.tell({(losses.why(error), link.identifier): 1}, error=error)
        return redirect(target)
    if may_be_known is None:
        target = references.added(target, followed.hit, host=request.get_host())
    response = redirect(target)
    if followed.visitor is not None:
        visitors.carry(request, response, followed.visitor)
    else:
        visitors.forget(request, response)
    return response


class _Followed(NamedTuple):
    hit: uuid.UUID
    visitor: Visitor | None
    """Whom the browser is to carry; nobody without consent."""


def _record(
    request: HttpRequest,
    link: ReferralLink | KnownLink,
    *,
    target: str,
    values: Mapping[str, str],
    asked: Follow,
    may_be_known: bool,
) -> _Followed:
    """Record the hit and return it with whom the browser is to carry; nobody without consent."""
    rules = judging.rules()
    carried = visitors.carried(request) if may_be_known else None
    user = visitors.request_person(request) if may_be_known else None
    draft = HitDraft(
        link=link if isinstance(link, KnownLink) else KnownLink.of(link),
        visitor=None if carried is None else carried.id,
        now=asked.now,
        entry_url=target,
        user_agent=asked.user_agent,
        referer=request.headers.get("Referer", ""),
        ip=asked.ip,
        click_id=values.get("click_id", ""),
        subs=[values.get(name, "") for name in SUBS],
        bot=conf.settings.BOTS == "flag" and rules.bot(asked),
        flagged_by=rules.flagged_by(asked),
        consent=may_be_known,
    )
    group = get_group()
    if user is None and group.takes_from_threads:
        recorded = group.record_from_thread(draft)
        visitor_id = recorded.visitor_id
        return _Followed(recorded.hit_id, None if visitor_id is None else Visitor(pk=visitor_id))
    row = link if isinstance(link, ReferralLink) else _row(link)
    hit = recording.record_hit(**draft._asdict() | {"link": row, "user": user})
    return _Followed(hit.pk, hit.visitor)


def _row(known: KnownLink) -> ReferralLink:
    """Return the row of a link, for somebody who is logged in. One query."""
    try:
        return ReferralLink.objects.select_related("partner", "user").get(pk=known.id)
    except ReferralLink.DoesNotExist:
        raise IntegrityError(f"The link {known.identifier!r} is gone.") from None


def client_ip(request: HttpRequest) -> str | None:
    """Return the client's address as the host's hook or its number of proxies says (V-13)."""
    try:
        hook = conf.settings.CLIENT_IP
        if hook is not None:
            found = hook(request)
            return None if found is None else str(found)
    except Exception:
        # The host's own code: an unknown address is no reason to lose a hit.
        logger.exception("CLIENT_IP failed; the address is not kept.", extra={"action": "address.failed"})
        return None
    return privacy.client_address(
        request.META.get("REMOTE_ADDR") or "",
        forwarded=request.headers.get("X-Forwarded-For", ""),
        trusted_proxies=conf.settings.TRUSTED_PROXIES,
    )


# --- answers --------------------------------------------------------------------------------------------------------------


def not_ahead_of_the_click() -> HttpResponse:
    """Return the answer to a prefetch: one that browsers drop, so that the click itself comes here (L-32)."""
    return unkept(HttpResponse(status=503))


def come_again() -> HttpResponse:
    """Return the answer to a follow for whose hit there is no room, where the host wants no visitor without one."""
    return unkept(HttpResponse(status=503, headers={"Retry-After": "5"}))


def redirect(target: str) -> HttpResponse:
    """Return an empty 302 to a settled target, which no cache keeps and no crawler follows on (L-02, L-12)."""
    response = HttpResponseRedirect("/")
    # Set here and not above, where Django refuses what is longer than 16 KiB with an error: after the hit.
    response["Location"] = target
    response["X-Robots-Tag"] = "noindex, nofollow"
    return unkept(response)


def unkept(response: HttpResponse) -> HttpResponse:
    """Return the response, marked so that no cache keeps it: two browsers behind one get two hits."""
    response["Cache-Control"] = "private, no-store"
    return response


# --- the request as it came -----------------------------------------------------------------------------------------------


def raw_query(request: HttpRequest) -> bytes:
    """Return the query as it came, byte for byte; Django's own keeps it decoded."""
    if isinstance(request, ASGIRequest):
        query: Any = request.scope.get("query_string", b"")
        return query if isinstance(query, bytes) else str(query).encode()
    # PEP 3333: text of bytes, one character each.
    return str(request.META.get("QUERY_STRING", "")).encode("latin-1", "replace")


def escaped_path(request: HttpRequest) -> str:
    """Return the path of the request, script name included, escaped: `%3F` in it is not taken for a query (X-16)."""
    return as_it_came(request.path, raw=request.scope.get("raw_path") if isinstance(request, ASGIRequest) else None)


def as_it_came(path: str, *, raw: bytes | None) -> str:
    """Return a decoded path escaped.

    An ASGI server tells the path as it came; it is used unless a middleware has changed the decoded one.
    """
    told = (raw or b"").decode("latin-1")
    return told if told and unquote(told) == path else escape_uri_path(path)
