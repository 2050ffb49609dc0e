"""Checks of projects that have moved from one of the older packages."""

from __future__ import annotations

from typing import Any, Final

from django.core.checks import CheckMessage
from django.core.checks import Warning as Doubt

from livereferrals import conf
from livereferrals.exceptions import ConfigurationError

OLD_MIDDLEWARE: Final = (
    "hype.middleware.AnonymousReferralMiddleware",
    "hype.middleware.ReferralLinkMiddleware",
    "affiliations.middleware.AffiliateVisitorsRegistrationMiddleware",
)
OURS: Final = "livereferrals.middleware.ReferralMiddleware"


def check_old_settings(**kwargs: Any) -> list[CheckMessage]:
    """Find an old setting that says something else than the new one, which wins (W002)."""
    try:
        written = conf.settings.raw()
    except ConfigurationError:
        return []
    return [
        Doubt(
            f"{conf.ROOT}[{name!r}] is {written[name]!r}, and an older package's setting says {old!r}, which is not read.",
            hint=f'Remove {conf.OLD_NAMES[name]}, or write "{name}": {old!r} in {conf.ROOT}.',
            id="livereferrals.W002",
        )
        for name, old in conf.old_values().items()
        if name in written and not _agree(name, written[name], old)
    ]


def _agree(name: str, new: object, old: object) -> bool:
    """Whether the two mean the same; a value that cannot be used is another check's."""
    parse = conf.settings.declared()[name].parse
    try:
        return bool(parse(new) == parse(old))
    except ValueError:
        return new == old


def check_old_middleware(**kwargs: Any) -> list[CheckMessage]:
    """Find an older package's middleware at work beside ours: every follow would count twice (W006)."""
    paths = [str(path) for path in conf.host("MIDDLEWARE", ())]
    return [
        Doubt(
            f"{path} still stands in MIDDLEWARE: each follow is counted by the older package too.",
            hint=f'Remove "{path}"; "{OURS}" does its work. The older app may stay until its rows are imported.',
            id="livereferrals.W006",
        )
        for path in OLD_MIDDLEWARE
        if path in paths
    ]
