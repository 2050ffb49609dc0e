"""Checks of the host project's own settings, as far as referrals need them."""

from __future__ import annotations

from typing import Any, Final

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Doubt
from django.db import connections, router
from django.urls import get_resolver
from django.utils.module_loading import import_string

from livereferrals import conf
from livereferrals.checks.serving import has_dashboard
from livereferrals.checks.values import usable
from livereferrals.events.models import Event

OURS: Final = "livereferrals.middleware.ReferralMiddleware"
SESSIONS: Final = "django.contrib.sessions.middleware.SessionMiddleware"
AUTHENTICATION: Final = "django.contrib.auth.middleware.AuthenticationMiddleware"
SQLITE_OPTIONS: Final = (
    '"OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20, '
    '"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"}'
)


def check_middleware(**kwargs: Any) -> list[CheckMessage]:
    """Find our middleware missing, twice, or where nobody is logged in yet (E007)."""
    paths = [str(path) for path in conf.host("MIDDLEWARE", ())]
    ours = _places(paths, OURS)
    before = max(_places(paths, SESSIONS) + _places(paths, AUTHENTICATION), default=-1)
    if not ours:
        return [_misplaced("ReferralMiddleware is missing in MIDDLEWARE: nothing is caught and nobody is found.")]
    found = []
    if len(ours) > 1:
        found.append(_misplaced("ReferralMiddleware stands twice in MIDDLEWARE."))
    if ours[0] < before:
        found.append(_misplaced("ReferralMiddleware stands before the session or authentication middleware."))
    return found


def _misplaced(message: str) -> CheckMessage:
    hint = f'MIDDLEWARE = [..., "{AUTHENTICATION}", "{OURS}"], once, in this order.'
    return Error(message, hint=hint, id="livereferrals.E007")


def _places(paths: list[str], wanted: str) -> list[int]:
    """Return where a middleware or a class derived from it stands."""
    base = import_string(wanted)
    return [index for index, path in enumerate(paths) if path == wanted or _is_derived(path, base)]


def _is_derived(path: str, base: type) -> bool:
    try:
        found = import_string(path)
    except ImportError:  # Django says so itself, at the first request
        return False
    return isinstance(found, type) and issubclass(found, base)


def check_urls(**kwargs: Any) -> list[CheckMessage]:
    """Find a project without the link URLs (W003), or without the dashboard's (W013)."""
    if not conf.host("ROOT_URLCONF"):
        return []
    found: list[CheckMessage] = []
    if "livereferrals" not in get_resolver().app_dict:
        message = "The links have no URL: livereferrals.urls is not included."
        hint = 'In urls.py: path("ref/", include("livereferrals.urls"))'
        found.append(Doubt(message, hint=hint, id="livereferrals.W003"))
    if not has_dashboard():
        message = "Dashboard and feed have no URL: livereferrals.dashboard.urls is not included."
        hint = 'In urls.py: path("referrals/", include("livereferrals.dashboard.urls"))'
        found.append(Doubt(message, hint=hint, id="livereferrals.W013"))
    return found


def check_authentication(**kwargs: Any) -> list[CheckMessage]:
    """Find a project in which nobody is ever logged in, or which keeps visitors in sessions and has none (W009)."""
    paths = [str(path) for path in conf.host("MIDDLEWARE", ())]
    if usable("VISITOR_CARRIER") == "session" and not _places(paths, SESSIONS):
        return [
            Doubt(
                "Visitors are to be kept in the session, and there is no session middleware: the cookie is used.",
                hint=f'MIDDLEWARE = ["{SESSIONS}", ...], or "VISITOR_CARRIER": "cookie" in {conf.ROOT}.',
                id="livereferrals.W009",
            )
        ]
    if _places(paths, AUTHENTICATION):
        return []
    return [
        Doubt(
            "There is no authentication middleware: no visitor is ever claimed by a user.",
            hint=f'MIDDLEWARE = [..., "{SESSIONS}", "{AUTHENTICATION}", "{OURS}"]',
            id="livereferrals.W009",
        )
    ]


def check_router(**kwargs: Any) -> list[CheckMessage]:
    """Find our tables in another database than the users, or in several (W010): nothing commits together then."""
    user_model = get_user_model()
    theirs = router.db_for_write(user_model)
    ours = {router.db_for_write(model) for model in apps.get_app_config("livereferrals").get_models()}
    if ours == {theirs}:
        return []
    return [
        Doubt(
            f"A database router sends livereferrals to {', '.join(map(repr, sorted(ours)))}, and users to {theirs!r}: "
            "what is owed to a partner does not commit together with what it is owed for, and a crash loses it.",
            hint=f'Have your DATABASE_ROUTERS send the app "livereferrals" to {theirs!r}.',
            id="livereferrals.W010",
        )
    ]


def check_sqlite(**kwargs: Any) -> list[CheckMessage]:
    """Find an SQLite that answers "database is locked" when two write at once (W011)."""
    alias = router.db_for_write(Event)
    database = connections.settings[alias]
    if not database["ENGINE"].endswith(("sqlite3", "spatialite")) or _is_in_memory(str(database["NAME"])):
        return []
    options = database.get("OPTIONS", {})
    wanted = {
        "transaction_mode IMMEDIATE": str(options.get("transaction_mode", "")).upper() == "IMMEDIATE",
        "journal_mode WAL": "WAL" in str(options.get("init_command", "")).upper(),
        "a timeout": "timeout" in options,
    }
    missing = [name for name, given in wanted.items() if not given]
    if not missing:
        return []
    return [
        Doubt(
            f"DATABASES[{alias!r}] is an SQLite without {' and '.join(missing)}: writers may get in one another's way.",
            hint=SQLITE_OPTIONS,
            id="livereferrals.W011",
        )
    ]


def _is_in_memory(name: str) -> bool:
    return name == ":memory:" or "mode=memory" in name
