"""Settings: their names, types, defaults and old names. The only module that reads `django.conf.settings`.

    from livereferrals import conf
    conf.settings.ATTRIBUTION_WINDOW        # a timedelta, or None

Values are read when used, parsed once and dropped when a test overrides them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from django.conf import settings as django_settings
from django.core.signals import setting_changed

from livereferrals.conf import older
from livereferrals.conf.host_project import file_paths as file_paths
from livereferrals.conf.host_project import host as host
from livereferrals.conf.host_project import is_served as is_served
from livereferrals.conf.host_project import proxy_tls_header as proxy_tls_header
from livereferrals.conf.older import OLD_NAMES as OLD_NAMES
from livereferrals.conf.older import OLD_SETTINGS as OLD_SETTINGS
from livereferrals.conf.older import old_cookie_name as old_cookie_name
from livereferrals.exceptions import ConfigurationError
from livereferrals.feed_limits import FeedLimits, feed_limits
from livereferrals.navigation import NavigationEntry, navigation
from livereferrals.setting_types import (
    Group,
    Setting,
    emails,
    flag,
    hook,
    one_of,
    optional_flag,
    optional_span,
    optional_text,
    optional_texts,
    patterns,
    ports,
    rule,
    rules_by_name,
    span,
    span_of_at_least,
    spans,
    text,
    text_lists,
    texts,
    whole,
    words,
)

ROOT: Final = "LIVEREFERRALS"
# --- the keys -------------------------------------------------------------------------------------------------------------


class RootGroup(Group):
    """The dict `LIVEREFERRALS` itself."""

    path = ROOT

    def raw(self) -> Mapping[str, Any]:
        """Return the dict as the host wrote it."""
        value = getattr(django_settings, ROOT, {})
        if not isinstance(value, Mapping):
            raise ConfigurationError(ROOT, f"expected a dict, got {value!r}")
        return value


class CallbackSettings(RootGroup):
    """The keys of the sub-dict `CALLBACKS`."""

    path = f"{ROOT}['CALLBACKS']"

    WORKER = Setting("embedded", one_of("embedded", "external", "off"))
    """Where deliveries are made: in the server process, in `manage.py livereferrals worker`, or nowhere."""
    ALLOW = Setting[tuple[str, ...]]((), texts)
    """Host names, `*.suffix` or networks, each with optional `:port`, that may be called although private."""
    BLOCK = Setting[tuple[str, ...]]((), texts)
    """Host names, `*.suffix` or networks that are never called; wins over `ALLOW`."""
    PORTS = Setting[tuple[int, ...]]((80, 443, 8080, 8443), ports)
    """TCP ports that may be called."""
    RETRY_SCHEDULE = Setting[tuple[timedelta, ...]](
        tuple(
            timedelta(seconds=seconds) for seconds in (10, 30, 120, 600, 1800, 7200, 18000, 36000, 50400, 64800, 79200)
        ),
        spans,
    )
    """Waits after the first, second ... failure; one more attempt than waits, about 72 hours in all."""
    HOLD_DAYS = Setting(14, whole(1, 365))
    """Days after which a delivery on hold expires."""
    CONCURRENCY = Setting(200, whole(1, 10_000))
    """Requests at the same time in one worker."""
    PER_ORIGIN = Setting(64, whole(1, 10_000))
    """Requests at the same time to one scheme, host and port in one worker."""
    SHUTDOWN_GRACE = Setting(timedelta(seconds=20), span)
    """How long a stopping worker waits for requests in flight."""
    CA_BUNDLE = Setting[str | None](None, optional_text)
    """Path of further certificate authorities to trust."""
    ALERT_EMAILS = Setting[tuple[str, ...]]((), emails)
    """Who is written to when an endpoint needs somebody."""
    PROXY = Setting[str | None](None, optional_text)
    """The forward proxy that callbacks go through; those of the environment are ignored."""
    DOCS_URL = Setting("https://github.com/livereferrals/livereferrals", text)
    """Address in the User-Agent that tells partners what called them."""

    def raw(self) -> Mapping[str, Any]:
        """Return the sub-dict as the host wrote it."""
        value = super().raw().get("CALLBACKS", {})
        if not isinstance(value, Mapping):
            raise ConfigurationError(self.path, f"expected a dict, got {value!r}")
        return value


class Settings(RootGroup):
    """The keys of `LIVEREFERRALS`; `TRIGGERS` has its own reader because two settings are joined in it."""

    BASE_URL = Setting[str | None](None, optional_text)
    """Scheme and host for absolute URLs made without a request."""
    FAST_LINKS = Setting(default=True, parse=flag)
    """Whether `referral_application` answers links before Django's request stack."""
    PARAMETERS = Setting[dict[str, str]](
        {"ref": "link", "affiliate_id": "partner"}, words(("link", "partner")), old=older.parameters
    )
    """Query parameters caught on any URL, and what their value names."""
    PARAMETER_HOPS = Setting[dict[str, str]]({"ref": "link_url"}, words(("link_url", "direct")), old=older.hops)
    """Parameters that go through the link's URL; all others are one redirect."""
    EXCLUDE_PATHS = Setting[tuple[str, ...] | None](None, optional_texts)
    """Beginnings of paths on which no parameter is caught; `None`: those of static files and uploads."""
    DEFAULT_REDIRECT = Setting("/", text)
    """Where a link leads without a usable `next` and without a target of its own."""
    ALLOWED_REDIRECT_HOSTS = Setting[tuple[str, ...]]((), texts)
    """Further hosts that `next` may name; `.example.org` means its sub-domains too."""
    MAX_NEXT_LENGTH = Setting(8192, whole(1, 65_536))
    """A longer `next` counts as absent."""
    COOKIE_NAME = Setting("livereferrals_visitor", text, old=older.hype("COOKIE_KEY"))
    """Name of the visitor's cookie."""
    COOKIE_MAX_AGE = Setting(31_536_000, whole(1, 2**31 - 1), old=older.hype("COOKIE_MAX_AGE"))
    """Seconds that the visitor's cookie lives."""
    COOKIE_DOMAIN = Setting[str | None](None, optional_text)
    """Domain of the visitor's cookie."""
    COOKIE_PATH = Setting("/", text)
    """Path of the visitor's cookie."""
    COOKIE_SAMESITE = Setting("Lax", one_of("Lax", "Strict", "None"))
    """SameSite of the visitor's cookie."""
    COOKIE_HTTPONLY = Setting(default=True, parse=flag, old=older.hype("COOKIE_HTTPONLY"))
    """HttpOnly of the visitor's cookie."""
    COOKIE_SECURE = Setting[bool | None](None, optional_flag)
    """Secure of the visitor's cookie; `None`: as the request."""
    VISITOR_CARRIER = Setting("cookie", one_of("cookie", "session"))
    """Where a browser's visitor is kept: in a cookie of its own, or in the host's session."""
    SESSION_KEY = Setting("affiliate_visitor_id", text, old=older.session_key)
    """Key of the visitor's id in the session."""
    CONSENT = Setting[Callable[..., Any] | None](None, hook)
    """Dotted path of `f(request) -> bool | None`: whether the visitor may be known again; `None`: not asked yet."""
    RESPECT_GPC = Setting(default=False, parse=flag)
    """Whether the browser's `Sec-GPC: 1` refuses consent."""
    BOTS = Setting("skip", one_of("skip", "flag", "count"))
    """What a crawler's follow makes: no hit, a hit that never counts, or a hit like anybody's."""
    BOT_PATTERNS = Setting[tuple[re.Pattern[str], ...]]((), patterns)
    """User agents that are crawlers too: texts, or compiled regular expressions."""
    SCREENING = Setting[dict[str, Callable[..., Any] | None]](
        {}, rules_by_name("head", "prefetch", "embedded", "bot", "self_referral", "repeat")
    )
    """Rules of screening by their names: `None` switches a shipped one off, a function replaces it or is a further one."""
    SELF_REFERRALS = Setting("flag", one_of("flag", "allow"))
    """Whether the hits of somebody on a link of its own may be credited."""
    REPEAT_WINDOW = Setting(timedelta(hours=24), span)
    """A second follow of one link by one visitor inside it is a repeat."""
    ATTRIBUTION = Setting("last_click", rule)
    """Which eligible hit is credited: `last_click`, `first_click`, or the dotted path of `f(hits) -> hit | None`."""
    ATTRIBUTION_WINDOW = Setting[timedelta | None](timedelta(days=90), optional_span)
    """How old a hit may be to be credited; `None`: no limit."""
    IP = Setting("truncate", one_of("truncate", "full", "none"))
    """What is kept of a visitor's address."""
    RETENTION = Setting[timedelta | None](timedelta(days=400), optional_span)
    """How long what is personal in hits is kept, and visitors of nobody; `None`: for ever."""
    TRUSTED_PROXIES = Setting(0, whole(0, 100))
    """How many proxies of the host's stand in front of it, each adding an entry to `X-Forwarded-For`."""
    CLIENT_IP = Setting[Callable[..., Any] | None](None, hook)
    """Dotted path of `f(request) -> str | None`: the client's address."""
    REDACT_PARAMETERS = Setting[tuple[str, ...]](
        ("token", "key", "password", "code", "email", "signature", "session"), texts
    )
    """Query parameters that are never stored with a URL, whatever their case."""
    HITS_OVERLOAD = Setting("redirect", one_of("redirect", "unavailable"))
    """What a visitor gets whose hit finds no room in time: the way on without a hit, or 503 so as to come again."""
    DEFAULT_CURRENCY = Setting[str | None](None, optional_text)
    """ISO 4217 code for amounts without a currency."""
    TRIGGER_ERRORS = Setting("log", one_of("log", "raise"))
    """What happens to an error in a receiver; tests of a host project want `raise`."""
    FEED_RETENTION = Setting(timedelta(days=7), span_of_at_least(timedelta(hours=24)))
    """How long events can be resumed."""
    FEED_HEARTBEAT = Setting(timedelta(seconds=20), span)
    """Pause after which a quiet connection gets a heartbeat."""
    FEED_POLL_INTERVAL = Setting(timedelta(seconds=1), span)
    """How often a hub looks by itself when no hint comes."""
    FEED_LIMITS = Setting(FeedLimits(), feed_limits)
    """The feed protocol's numbers."""
    FEED_ALLOWED_ORIGINS = Setting[tuple[str, ...] | None](None, lambda value: None if value is None else texts(value))
    """Origins whose pages may open the feed; `None`: any."""
    FEED_REQUIRE_TLS = Setting(default=False, parse=flag)
    """Refuse feed connections that are not over TLS."""
    FEED_TICKET_AGE = Setting(timedelta(seconds=60), span)
    """How long a ticket can be used to connect."""
    FEED_MAX_AGE = Setting(timedelta(hours=12), span)
    """Age at which a feed connection is ended."""
    FEED_DRAIN = Setting(timedelta(seconds=15), span)
    """Bound on draining the requests and connections of a stopping process."""
    FEED_ACCESS = Setting[Callable[..., Any] | None](None, hook)
    """Dotted path of `f(token, grant) -> Grant | None`: what a feed token may read."""
    FEED_EVENT_FIELDS = Setting[Callable[..., Any] | None](None, hook)
    """Dotted path of `f(entry) -> dict | None`: the host's own fields of an event."""
    DASHBOARD_COLUMNS = Setting[dict[str, tuple[str, ...]]]({}, text_lists)
    """Dotted paths of the host's own columns (`ExtraColumn`), by the name of the list."""
    DASHBOARD_NAVIGATION = Setting[tuple[NavigationEntry, ...]]((), navigation)
    """The host's own entries in the bar: dicts with `label`, `url_name` and, where wanted, `permission`."""

    def trigger_entries(self) -> list[tuple[str, object]]:
        """Return each declared trigger with the place that declares it, new settings first (S-01, S-02).

        Raises:
            ConfigurationError: one of the two settings is not a list.
        """
        entries: list[tuple[str, object]] = []
        places = (
            (f"{ROOT}['TRIGGERS']", self.raw().get("TRIGGERS", ())),
            ("AFFILIATE_TRIGGERS", getattr(django_settings, "AFFILIATE_TRIGGERS", ())),
        )
        for place, declared in places:
            if isinstance(declared, (str, Mapping)) or not isinstance(declared, Sequence):
                raise ConfigurationError(place, f"expected a list of triggers, got {declared!r}")
            entries.extend((f"{place}[{index}]", entry) for index, entry in enumerate(declared))
        return entries


settings = Settings()
callbacks = CallbackSettings()


def old_values() -> dict[str, object]:
    """Return what the older packages' settings say, by the new names."""
    found = {name: key.old() for name, key in Settings.declared().items() if key.old is not None}
    return {name: value for name, value in found.items() if value is not None}


def old_settings() -> tuple[str, ...]:
    """Return the names of the older packages' settings that are there."""
    return tuple(name for name in OLD_SETTINGS if hasattr(django_settings, name))


def excluded_paths() -> tuple[str, ...]:
    """Return the beginnings of paths, below the script name, on which no parameter is caught (P-28)."""
    own = settings.EXCLUDE_PATHS
    return own if own is not None else file_paths()


KNOWN_KEYS: Final = frozenset({*Settings.declared(), "TRIGGERS", "CALLBACKS"})


def problems() -> list[ConfigurationError]:
    """Return an error for each value that cannot be used; reads no database."""
    found: dict[str, ConfigurationError] = {}
    for group in (settings, callbacks):
        for key in group.declared().values():
            try:
                key.read(group)
            except ConfigurationError as error:
                # A dict that is none is found again with each of its keys.
                found.setdefault(error.key, error)
    return list(found.values())


def unknown_keys() -> list[str]:
    """Return the keys that the host wrote and nobody reads, as `LIVEREFERRALS['NAME']`."""
    pairs: tuple[tuple[Group, frozenset[str]], ...] = (
        (settings, KNOWN_KEYS),
        (callbacks, frozenset(CallbackSettings.declared())),
    )
    return [f"{group.path}[{name!r}]" for group, known in pairs for name in group.raw() if name not in known]


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == ROOT or setting in OLD_SETTINGS:
        settings.forget()
        callbacks.forget()


setting_changed.connect(_forget, dispatch_uid="livereferrals.conf")
