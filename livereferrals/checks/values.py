"""Checks of the values in `LIVEREFERRALS`."""

from __future__ import annotations

import re
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, Final
from urllib.parse import urlsplit

from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Doubt

from livereferrals import conf
from livereferrals.exceptions import ConfigurationError
from livereferrals.tracking import rules
from livereferrals.tracking.targets import Site, may_redirect_to
from livereferrals.triggers import catalogue

PARAMETER: Final = re.compile(r"[A-Za-z0-9_.~-]+\Z", re.ASCII)
"""A name that stands in a URL as it is."""
COOKIE: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z", re.ASCII)
"""A cookie's name: a token (RFC 6265, 4.1.1)."""
HEARTBEATS_S: Final = (5, 30)
BROWSERS_KEEP_S: Final = 400 * 86_400
"""Seconds that browsers keep a cookie at most (RFC 6265bis, 5.5)."""
TIMES: Final = frozenset(
    {"REPEAT_WINDOW", "ATTRIBUTION_WINDOW", "COOKIE_MAX_AGE", "RETENTION", "FEED_RETENTION", "FEED_MAX_AGE"}
)
PATHS: Final = {
    "ATTRIBUTION": '"ATTRIBUTION": "last_click", or the dotted path of your own f(hits)',
    "CONSENT": '"CONSENT": "mysite.referrals.has_consent", a function of the request',
    "CLIENT_IP": '"CLIENT_IP": "mysite.referrals.client_ip", a function of the request',
    "SCREENING": '"SCREENING": {"embedded": None, "office": "mysite.referrals.is_office"}, functions of what is followed',
    "FEED_ACCESS": '"FEED_ACCESS": "mysite.referrals.feed_access", a function of the token and its grant',
    "FEED_EVENT_FIELDS": '"FEED_EVENT_FIELDS": "mysite.referrals.event_fields", a function of the entry',
}
"""Settings that name a function of the host's, and what to write."""


def usable(name: str) -> Any:
    """Return a setting's value, or its default where the value cannot be used, which another check says."""
    key = conf.settings.declared()[name]
    try:
        return key.read(conf.settings)
    except ConfigurationError:
        return key.default


def usable_callbacks(name: str) -> Any:
    """Return a setting of the callbacks, or its default where the value cannot be used."""
    key = conf.callbacks.declared()[name]
    try:
        return key.read(conf.callbacks)
    except ConfigurationError:
        return key.default


def check_values(**kwargs: Any) -> list[CheckMessage]:
    """Find values of the wrong type (E001), times that are none (E011), functions that are none (E012)."""
    return [_bad_value(error) for error in conf.problems()]


def check_rule(**kwargs: Any) -> list[CheckMessage]:
    """Find a rule of attribution that cannot be imported or called (E012)."""
    problem = rule_problem(usable("ATTRIBUTION"))
    if problem is None:
        return []
    message = f"{conf.ROOT}['ATTRIBUTION']: {problem}"
    return [Error(message, hint=f"Write {PATHS['ATTRIBUTION']}.", id="livereferrals.E012")]


def rule_problem(rule: str | None) -> str | None:
    """Return what is wrong with the dotted path of a rule, if it is one."""
    if not rules.is_path(rule):
        return None
    try:
        rules.load(str(rule))
    except Exception as error:  # noqa: BLE001 - it imports the host's modules, which may fail in any way
        return str(error)
    return None


def _bad_value(error: ConfigurationError) -> CheckMessage:
    name = error.key.rpartition("['")[2].removesuffix("']")
    number = "E011" if name in TIMES else "E012" if name in PATHS else "E001"
    hint = f"Write {PATHS[name]}." if name in PATHS else _default_hint(name)
    return Error(str(error), hint=error.hint or hint, id=f"livereferrals.{number}")


def _default_hint(name: str) -> str:
    """Return what to write: the default value, which is also what leaving the key out means."""
    for group, form in ((conf.settings, "{%r: %r}"), (conf.callbacks, '{"CALLBACKS": {%r: %r}}')):
        if name in group.declared():
            value = group.declared()[name].default
            return f"The default is: {conf.ROOT} = {form % (name, value)}"
    return f'Write a dict, for example: {conf.ROOT} = {{"TRIGGERS": []}}'


def check_unknown_keys(**kwargs: Any) -> list[CheckMessage]:
    """Find keys that nobody reads (W001)."""
    try:
        unknown = conf.unknown_keys()
    except ConfigurationError:
        return []
    return [Doubt(f"{key} is no setting.", hint=_nearest(key), id="livereferrals.W001") for key in unknown]


def _nearest(key: str) -> str:
    path, _, name = key.rpartition("[")
    name = name.strip("'\"]")
    known = conf.KNOWN_KEYS if path == conf.ROOT else frozenset(conf.callbacks.declared())
    near = get_close_matches(name.upper(), sorted(known), n=1)
    return f'Write "{near[0]}" instead of "{name}".' if near else f'Remove "{name}".'


def check_parameters(**kwargs: Any) -> list[CheckMessage]:
    """Find parameter names that cannot be caught (E008)."""
    return [
        Error(
            f"{conf.ROOT}['PARAMETERS'] names {name!r}, which cannot be a link's parameter.",
            hint='Use a plain name other than "next", for example: "PARAMETERS": {"ref": "link", "affiliate_id": "partner"}',
            id="livereferrals.E008",
        )
        for name in usable("PARAMETERS")
        if name == "next" or not PARAMETER.match(name)
    ]


def check_redirects(**kwargs: Any) -> list[CheckMessage]:
    """Find hosts and a default that would send visitors anywhere (E009)."""
    hosts = usable("ALLOWED_REDIRECT_HOSTS")
    found: list[CheckMessage] = [
        Error(
            f"{conf.ROOT}['ALLOWED_REDIRECT_HOSTS'] has {host!r}, which is not a host.",
            hint='Name hosts alone: "ALLOWED_REDIRECT_HOSTS": ["www.example.org", ".example.org"]',
            id="livereferrals.E009",
        )
        for host in hosts
        if "*" in host or "/" in host or ":" in host
    ]
    default = usable("DEFAULT_REDIRECT")
    if not may_redirect_to(default, site=Site(host=_own_host(), secure=False, allowed_hosts=hosts)):
        found.append(
            Error(
                f"{conf.ROOT}['DEFAULT_REDIRECT'] leads off the site: {default!r}.",
                hint='Use a path: "DEFAULT_REDIRECT": "/", or allow its host in "ALLOWED_REDIRECT_HOSTS".',
                id="livereferrals.E009",
            )
        )
    return found


def _own_host() -> str:
    try:
        return urlsplit(usable("BASE_URL") or "").netloc
    except ValueError:
        return ""


def check_cookie(**kwargs: Any) -> list[CheckMessage]:
    """Find cookie settings that browsers refuse (E010)."""
    name, is_secure = usable("COOKIE_NAME"), usable("COOKIE_SECURE") is True
    faults = (
        (not COOKIE.match(name), f"The cookie's name {name!r} has a bad character.", '"COOKIE_NAME": "my_visitor"'),
        (
            usable("COOKIE_SAMESITE") == "None" and not is_secure,
            "Browsers refuse a cookie with SameSite=None that is not Secure.",
            '"COOKIE_SAMESITE": "None", "COOKIE_SECURE": True',
        ),
        (
            name.startswith(("__Secure-", "__Host-")) and not is_secure,
            f"Browsers refuse a cookie named {name!r} that is not Secure.",
            '"COOKIE_SECURE": True',
        ),
        (
            name.startswith("__Host-") and (usable("COOKIE_DOMAIN") is not None or usable("COOKIE_PATH") != "/"),
            f"Browsers refuse a cookie named {name!r} with a domain or a path.",
            '"COOKIE_DOMAIN": None, "COOKIE_PATH": "/"',
        ),
    )
    return [
        Error(message, hint=f"Write in {conf.ROOT}: {text}", id="livereferrals.E010")
        for bad, message, text in faults
        if bad
    ]


def check_cookie_age(**kwargs: Any) -> list[CheckMessage]:
    """Find a cookie that is gone before the window ends, or longer than browsers keep it (W007)."""
    age_s, window = usable("COOKIE_MAX_AGE"), longest_window()
    if age_s > BROWSERS_KEEP_S:
        message = f"COOKIE_MAX_AGE is {age_s} seconds; browsers cut it to 400 days."
        return [Doubt(message, hint=f'Write "COOKIE_MAX_AGE": {BROWSERS_KEEP_S}', id="livereferrals.W007")]
    if window is None or age_s >= window.total_seconds():
        return []
    wanted = min(int(window.total_seconds()), BROWSERS_KEEP_S)
    message = f"The visitor's cookie lives {age_s} seconds, shorter than the longest attribution window ({window})."
    return [Doubt(message, hint=f'Write "COOKIE_MAX_AGE": {wanted}', id="livereferrals.W007")]


def check_heartbeat(**kwargs: Any) -> list[CheckMessage]:
    """Find heartbeats that proxies do not wait for, or that are mostly noise (E011)."""
    pause_s = usable("FEED_HEARTBEAT").total_seconds()
    if HEARTBEATS_S[0] <= pause_s <= HEARTBEATS_S[1]:
        return []
    return [
        Error(
            f"{conf.ROOT}['FEED_HEARTBEAT'] is {pause_s:g} seconds; from 5 to 30 it keeps connections alive.",
            hint='Write "FEED_HEARTBEAT": timedelta(seconds=20)',
            id="livereferrals.E011",
        )
    ]


def longest_window() -> timedelta | None:
    """Return the longest window that has an end, or `None`."""
    try:
        own = [each.trigger.window for each in catalogue.declared()[0]]
    except ConfigurationError:
        own = []
    windows = [usable("ATTRIBUTION_WINDOW"), *own]
    return max((each for each in windows if isinstance(each, timedelta)), default=None)
