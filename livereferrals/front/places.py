"""Where links are: which path is a link's own URL, as the host's URL configuration says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import unquote

from django.conf.urls.i18n import is_language_prefix_patterns_used
from django.urls import Resolver404, get_resolver, resolve, reverse
from django.utils.functional import Promise
from django.utils.translation import get_language_from_path

from livereferrals import routes
from livereferrals.tracking import destinations, views

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LINK: Final = "livereferrals:link"
MOST_KEPT: Final = 4096
LONGEST_KEPT: Final = 200

T = TypeVar("T")


class Places:
    """The paths of links below one script name; made and asked while that is Django's script prefix."""

    def __init__(self, *, script_name: str, urlconf: str) -> None:
        self._script_name = script_name
        self._urlconf = urlconf
        self.below = _mount()
        """What the path of each link begins with; nothing where `livereferrals.urls` is not included (P-03)."""
        self._identifiers: dict[str, str | None] = {}
        self._are_links: dict[str, bool] = {}

    def obstacle(self) -> str | None:
        """Return why the URLs here are for Django to judge, or nothing."""
        if _is_translated(get_resolver(self._urlconf).url_patterns):
            return "URL patterns are translated"
        used, for_all = is_language_prefix_patterns_used(self._urlconf)
        if used and not for_all:
            return "URLs of the default language have no prefix"
        if used and self.below is not None and get_language_from_path(self.path_info(self.below)):
            return "links are below a language"
        return None

    def path_info(self, path: str) -> str:
        """Return a request's path below the script name."""
        return path.removeprefix(self._script_name)

    def identifier(self, path: str) -> str | None:
        """Return the identifier in a path that begins as links' do; nothing if a view of the host's answers there."""
        return _remembered(self._identifiers, path, self._resolved)

    def is_link(self, path_info: str) -> bool:
        """Whether this is a link's own URL, by whichever of the host's patterns."""
        return _remembered(self._are_links, path_info, destinations.is_link_path)

    def url(self, identifier: str) -> str | None:
        """Return a link's own URL, if there is one."""
        return None if self.below is None else reverse(LINK, args=[identifier])

    def _resolved(self, path: str) -> str | None:
        try:
            match = resolve(self.path_info(path), urlconf=self._urlconf)
        except Resolver404:
            return None
        if match.func is not views.link or match.args or match.kwargs.keys() != {"identifier"}:
            return None
        identifier: str = match.kwargs["identifier"]
        return identifier


def _remembered(kept: dict[str, T], path: str, judge: Callable[[str], T]) -> T:
    """Return what was judged of the path, now or before: resolving takes as long as all the rest of an answer."""
    try:
        return kept[path]
    except KeyError:
        found = judge(path)
    if len(path) <= LONGEST_KEPT:
        if len(kept) >= MOST_KEPT:
            kept.clear()
        kept[path] = found
    return found


def _mount() -> str | None:
    path = routes.path_of(LINK, "x")
    return None if path is None else unquote(path).removesuffix("x")


def _is_translated(patterns: Iterable[Any]) -> bool:
    """Whether a pattern's text depends on the language, which a middleware of the host's chooses."""
    return any(
        isinstance(getattr(each.pattern, name, None), Promise) for each in patterns for name in ("_route", "_regex")
    ) or any(_is_translated(getattr(each, "url_patterns", ())) for each in patterns)
