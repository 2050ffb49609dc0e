"""The settings, by the system checks that `manage.py check --deploy` runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.core.checks import ERROR, WARNING, run_checks

from livereferrals.management.diagnosis.findings import Finding, error, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.checks import CheckMessage

ABOUT: Final = "Settings"


def checks() -> Iterator[Finding]:
    """Give each mistake that our system checks find, those for production included."""
    found = run_checks(tags=["livereferrals"], include_deployment_checks=True)
    doubts = [message for message in found if message.level >= WARNING and not message.is_silenced()]
    yield from map(_finding, doubts)
    if not doubts:
        yield ok(ABOUT, "manage.py check --deploy finds nothing about livereferrals.")


def _finding(message: CheckMessage) -> Finding:
    say = error if message.level >= ERROR else warning
    return say(ABOUT, f"{message.msg} ({message.id})", advice=message.hint or "See docs/settings.md.")
