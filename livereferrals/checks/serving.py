"""Checks of what serves the project: without ASGI, and our application around it, nothing is live."""

from __future__ import annotations

import re
from importlib.abc import InspectLoader
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from django.apps import apps
from django.core.checks import CheckMessage, Error, Info
from django.core.checks import Warning as Doubt
from django.core.management import get_commands
from django.urls import get_resolver

from livereferrals import conf

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

PLAIN_RUNSERVERS: Final = {"django.core", "django.contrib.staticfiles"}
"""The apps whose `runserver` is WSGI; anybody else's may be anything."""
IMPORTED: Final = re.compile(r"(?m)^(from livereferrals\.asgi import \w+\s*(#.*)?|\s*#.*)$")
"""What names our wrapper and wraps nothing: its import, under its own name, and comments."""
DASHBOARD: Final = "livereferrals_dashboard"
WRAPPING: Final = (
    "from livereferrals.asgi import referral_application, and below get_asgi_application: "
    "application = referral_application(get_asgi_application())"
)


def application_line() -> str:
    """Return the line that names the ASGI application, as `startproject` lays a project out."""
    package = str(conf.host("ROOT_URLCONF", "") or "").rpartition(".")[0] or "mysite"
    return f'ASGI_APPLICATION = "{package}.asgi.application"'


def check_asgi_application(**kwargs: Any) -> list[CheckMessage]:
    """Find daphne without an application to serve, or one that is nowhere (E013): its `runserver` stops."""
    path = str(conf.host("ASGI_APPLICATION", "") or "")
    if not path:
        if not apps.is_installed("daphne"):
            return []
        return [_no_application("ASGI_APPLICATION is not set, and daphne is installed.")]
    module = path.rpartition(".")[0]
    if _found(module) is None:
        return [_no_application(f"ASGI_APPLICATION is {path!r}, and there is no module {module!r}.")]
    return []


def _no_application(message: str) -> CheckMessage:
    return Error(message, hint=application_line(), id="livereferrals.E013")


def check_wrapping(**kwargs: Any) -> list[CheckMessage]:
    """Find an `asgi.py` that makes Django's application and does not put ours around it (W014).

    It is read and not imported, which would start what runs beside a server; the doctor asks the application itself.
    """
    path = str(conf.host("ASGI_APPLICATION", "") or "")
    module = path.rpartition(".")[0]
    source = _source(module)
    rest = IMPORTED.sub("", source)
    if "get_asgi_application" not in source or "livereferrals" in rest or "referral_application" in rest:
        return []
    return [
        Doubt(
            f"{module} does not wrap its application: no live pages, no feed over WebSocket, no deliveries.",
            hint=f"In {module.replace('.', '/')}.py: {WRAPPING}",
            id="livereferrals.W014",
        )
    ]


def _source(module: str) -> str:
    """Return the text of a module; empty where there is none to read."""
    spec = _found(module)
    if spec is None or not isinstance(spec.loader, InspectLoader):
        return ""
    try:
        return spec.loader.get_source(module) or ""
    except ImportError:  # it cannot be decoded: who imports it says so
        return ""


def _found(module: str) -> ModuleSpec | None:
    """Return where a module would be imported from; its parents are imported, which are the project's packages."""
    try:
        return find_spec(module)
    except (ImportError, ValueError):  # a parent that is none; an empty name, or a module that is no file's
        return None


def check_runserver(**kwargs: Any) -> list[CheckMessage]:
    """Say that `runserver` will not be live (I001): while debugging, where the dashboard is mounted."""
    if not conf.host("DEBUG") or get_commands().get("runserver") not in PLAIN_RUNSERVERS or not has_dashboard():
        return []
    return [
        Info(
            "manage.py runserver speaks WSGI here: the dashboard is polled, and nothing is live or delivered.",
            hint='INSTALLED_APPS = ["daphne", ...], before "django.contrib.staticfiles"; or start an ASGI server.',
            id="livereferrals.I001",
        )
    ]


def has_dashboard() -> bool:
    """Whether the project's URLs include the dashboard's."""
    return bool(conf.host("ROOT_URLCONF")) and DASHBOARD in get_resolver().app_dict
