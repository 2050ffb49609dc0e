"""Where a follow leads, as the request, the settings and the host's URLs say. The rules on the text are in `targets`."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from django.urls import Resolver404, get_script_prefix, resolve
from django.utils.http import is_same_domain
from django.utils.translation import get_language_from_path, override

from livereferrals import conf
from livereferrals.tracking import targets
from livereferrals.tracking.targets import Site

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.http import HttpRequest


def settled(request: HttpRequest, candidates: Iterable[str]) -> str:
    """Return the first candidate that may be gone to, as it stands in `Location`, else the default (L-03, L-04).

    One click is one hit: a candidate that is a link's URL counts as absent, and link parameters are taken off (L-50).
    """
    return settled_on(site(request), candidates, urlconf=getattr(request, "urlconf", None))


def settled_on(known: Site, candidates: Iterable[str], *, urlconf: str | None = None) -> str:
    """Return the same for what is known of the site alone, where there is no request of Django's."""
    cleaned = (
        _without_parameters(each, site=known)
        for each in candidates
        if targets.may_redirect_to(each, site=known) and not _leads_to_link(each, urlconf=urlconf)
    )
    return targets.settled(cleaned, default=default_target(), site=known)


def site(request: HttpRequest) -> Site:
    """Return what the target's rules need to know of the request's site."""
    return Site(
        host=request.get_host(),
        secure=request.is_secure(),
        allowed_hosts=conf.settings.ALLOWED_REDIRECT_HOSTS,
        max_length=conf.settings.MAX_NEXT_LENGTH,
    )


def default_target() -> str:
    """Return `DEFAULT_REDIRECT`; behind a sub-path a path of this site is below it (L-52)."""
    wanted, prefix = conf.settings.DEFAULT_REDIRECT, get_script_prefix()
    if wanted.startswith((prefix, "//")) or not wanted.startswith("/"):
        return wanted
    return f"{prefix}{wanted[1:]}"


def is_link_path(path_info: str, *, urlconf: str | None = None) -> bool:
    """Whether a path, without script name, is a link's own URL, in whichever language the host prefixes it."""
    language = get_language_from_path(path_info)
    with override(language) if language else nullcontext():
        try:
            match = resolve(path_info, urlconf=urlconf)
        except Resolver404:
            return False
    return "livereferrals" in match.app_names


def _leads_to_link(target: str, *, urlconf: str | None) -> bool:
    """Whether an accepted target is a link's URL; on any host, since several may be served by this project."""
    prefix = get_script_prefix()
    below = (path.removeprefix(prefix) for path in targets.paths_of(target) if path.startswith(prefix))
    return any(is_link_path(f"/{path}", urlconf=urlconf) for path in below)


def _without_parameters(target: str, *, site: Site) -> str:
    """Take link parameters off a target of this project; on other hosts the words may mean something else (L-46)."""
    host = targets.host_of(target)
    if host and not is_same_domain(host.lower(), site.host.lower()) and not conf.is_served(host):
        return target
    return targets.stripped(target, conf.settings.PARAMETERS)
