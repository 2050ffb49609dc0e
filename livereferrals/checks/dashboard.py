"""Checks of what a host adds to the dashboard."""

from __future__ import annotations

from typing import Any, Final

from django.apps import apps
from django.core.checks import CheckMessage, Error
from django.utils.module_loading import import_string

from livereferrals import conf, routes
from livereferrals.checks.serving import has_dashboard
from livereferrals.checks.values import usable
from livereferrals.dashboard import access
from livereferrals.dashboard.columns import ExtraColumn

COLUMNS: Final = (
    f'{conf.ROOT} = {{"DASHBOARD_COLUMNS": {{"partners": ["mysite.referrals.tier"]}}}}, each an ExtraColumn'
)


def check_columns(**kwargs: Any) -> list[CheckMessage]:
    """Find columns of lists that are none, of a wrong kind, or twice under one key (E015)."""
    declared = usable("DASHBOARD_COLUMNS")
    if not declared:
        return []
    # Here, because a worker or a command that checks nothing needs no page of the dashboard.
    from livereferrals.dashboard import catalogue

    lists = sorted(page.name for page in catalogue.PAGES if page.exports)
    found: list[CheckMessage] = []
    for name, paths in declared.items():
        if name not in lists:
            found.append(_column_error(f"there is no list {name!r}; there are {', '.join(lists)}"))
            continue
        found += [_column_error(f"{path!r} {problem}") for path in paths if (problem := _problem(path))]
        found += [_column_error(f"{name!r} has two columns {key!r}") for key in _twice(paths)]
    return found


def _column_error(problem: str) -> CheckMessage:
    return Error(f"{conf.ROOT}['DASHBOARD_COLUMNS']: {problem}.", hint=COLUMNS, id="livereferrals.E015")


def _problem(path: str) -> str:
    column = _loaded(path)
    if isinstance(column, Exception):
        return f"cannot be imported: {column}"
    if not isinstance(column, ExtraColumn):
        return "is no livereferrals.dashboard.columns.ExtraColumn"
    if column.needs and column.needs not in access.CODENAMES:
        return f"needs {column.needs!r}, which is no codename of the dashboard"
    return ""


def _twice(paths: tuple[str, ...]) -> list[str]:
    keys = [column.key for column in map(_loaded, paths) if isinstance(column, ExtraColumn)]
    return sorted({key for key in keys if keys.count(key) > 1})


def _loaded(path: str) -> object:
    try:
        return import_string(path)
    except Exception as error:  # noqa: BLE001 - it imports the host's modules, which may fail in any way
        return error


def check_apps(**kwargs: Any) -> list[CheckMessage]:
    """Find the dashboard without the app whose template tags its pages load (E017)."""
    if apps.is_installed("django_htmx") or not has_dashboard():
        return []
    return [
        Error(
            "django_htmx is not in INSTALLED_APPS: every page of the dashboard fails.",
            hint='INSTALLED_APPS = [..., "django_htmx", "livereferrals"]',
            id="livereferrals.E017",
        )
    ]


def check_navigation(**kwargs: Any) -> list[CheckMessage]:
    """Find entries in the bar that lead nowhere (E016)."""
    return [
        Error(
            f"{conf.ROOT}['DASHBOARD_NAVIGATION']: there is no URL {entry.url_name!r} without arguments.",
            hint='Name a URL: "DASHBOARD_NAVIGATION": [{"label": "Shop", "url_name": "shop:orders", '
            '"permission": "shop.view_order"}]',
            id="livereferrals.E016",
        )
        for entry in usable("DASHBOARD_NAVIGATION")
        if conf.host("ROOT_URLCONF") and routes.path_of(entry.url_name) is None
    ]
