"""How links are answered as long as the settings stay as they are: read once, and kept until one changes."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from http.cookies import CookieError
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.asgi import get_script_prefix
from django.core.signals import setting_changed
from django.urls import get_script_prefix as current_script_prefix
from django.urls import set_script_prefix
from django.utils.encoding import iri_to_uri

from livereferrals import conf
from livereferrals.front import hosting
from livereferrals.front.answers import Answers
from livereferrals.front.asking import Reading
from livereferrals.front.places import Places
from livereferrals.front.screens import screen
from livereferrals.tracking import destinations
from livereferrals.tracking.targets import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from livereferrals.front.asking import Asked, Scope

logger = logging.getLogger(__name__)

MOST_KEPT: Final = 1024
LONGEST_KEPT: Final = 512
MOST_SCRIPT_NAMES: Final = 16


class Terms:
    """What the settings say, with what has been judged under them; below one script name."""

    def __init__(self, *, script_name: str, urlconf: str) -> None:
        own = conf.settings
        self.script_name = script_name
        self.places = Places(script_name=script_name, urlconf=urlconf)
        self.reading = Reading()
        self.answers = {secure: Answers(secure=secure) for secure in (False, True)}
        self.default = iri_to_uri(destinations.default_target())
        self.parameters = own.PARAMETERS if hosting.catches_parameters() else {}
        self.hops = own.PARAMETER_HOPS
        self.excluded = (*conf.excluded_paths(), *conf.file_paths())
        self.max_next_length = own.MAX_NEXT_LENGTH
        self.refuses_when_full = own.HITS_OVERLOAD == "unavailable"
        self.screen = screen()
        self._allowed_hosts = own.ALLOWED_REDIRECT_HOSTS
        self._names = tuple(name.encode() for name in self.parameters)
        self._targets: dict[tuple[str, str, str, bool], str] = {}

    def may_be_caught(self, query: bytes) -> bool:
        """Whether one of the parameters can stand in the query: a quick look for the many that have none."""
        return any(name in query for name in self._names) or (b"%" in query and bool(self._names))

    def target(self, asked: Asked, *, next_: str, own: str) -> str:
        """Return where a link leads: `next`, the link's own target or the default (L-03, L-04)."""
        if not next_ and not own:
            return self.default
        key = (next_, own, asked.host, asked.secure)
        found = self._targets.get(key)
        if found is None:
            site = Site(
                host=asked.host,
                secure=asked.secure,
                allowed_hosts=self._allowed_hosts,
                max_length=self.max_next_length,
            )
            with below(self.script_name):
                found = destinations.settled_on(site, [next_, own])
            _keep(self._targets, key, found, length=len(next_) + len(own))
        return found


def _keep(kept: dict[Any, Any], key: object, found: object, *, length: int) -> None:
    """Remember what was judged; text from outside takes no more room than the bounds say."""
    if length <= LONGEST_KEPT:
        if len(kept) >= MOST_KEPT:
            kept.clear()
        kept[key] = found


# --- what is in force -----------------------------------------------------------------------------------------------------

_in_force: dict[tuple[str, str], Terms | None] = {}


def terms_for(scope: Scope) -> Terms | None:
    """Return the terms for a request, or nothing where all of them are for Django to answer."""
    # Read each time, as Django does: a test may put another one in its place without a word.
    key = (get_script_prefix(scope), conf.host("ROOT_URLCONF"))
    try:
        return _in_force[key]
    except KeyError:
        if len(_in_force) >= MOST_SCRIPT_NAMES:
            _in_force.clear()
        return _in_force.setdefault(key, _made(*key))


def _made(script_name: str, urlconf: str) -> Terms | None:
    try:
        obstacle = hosting.obstacle()
        if obstacle is None:
            with below(script_name):
                terms = Terms(script_name=script_name, urlconf=urlconf)
                obstacle = terms.places.obstacle()
            if obstacle is None:
                return terms
    except (ImproperlyConfigured, CookieError, ValueError) as error:  # `manage.py check` has told it
        obstacle = str(error)
    logger.info("Django answers all links: %s.", obstacle, extra={"action": "front.off"})
    return None


@contextmanager
def below(script_name: str) -> Iterator[None]:
    """Make Django's script prefix what its own handler makes it for such a request, inside the block."""
    before = current_script_prefix()
    set_script_prefix(script_name)
    try:
        yield
    finally:
        set_script_prefix(before)


def _forget(**kwargs: object) -> None:
    _in_force.clear()


setting_changed.connect(_forget, dispatch_uid="livereferrals.front")
