"""Checks of the triggers."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Doubt
from django.db import router
from django.db.models import Model

from livereferrals import setting_types
from livereferrals.checks import paths, values
from livereferrals.exceptions import ConfigurationError
from livereferrals.tracking.attribution import FIRST_CLICK, LAST_CLICK
from livereferrals.tracking.models import Confirmation
from livereferrals.triggers import catalogue, receivers, registry
from livereferrals.triggers.catalogue import Problem
from livereferrals.triggers.declaration import UNSET

if TYPE_CHECKING:
    from collections.abc import Iterator

    from livereferrals.triggers.catalogue import Declared
    from livereferrals.triggers.registry import Resolved

IDS: Final = {"entry": "E002", "name": "E006", "signal": "E003", "receiver": "E004", "sender": "E005"}
HINTS: Final = {
    "entry": (
        'Trigger("User registered", signal="django.db.models.signals.post_save", '
        'receiver="livereferrals.triggers.object_created", sender="auth.User")'
    ),
    "name": "Give each trigger a name of its own, or remove one of the two.",
    "signal": 'Name a signal by its dotted path: signal="django.db.models.signals.post_save"',
    "receiver": 'Name a function by its dotted path: receiver="livereferrals.triggers.object_created"',
    "sender": 'Name a model, a dotted path, or no sender: sender="auth.User"',
}


def check_triggers(**kwargs: Any) -> list[CheckMessage]:
    """Find triggers that cannot be connected (E002 to E006), or not as they look (E011, E012, W004, W005, W015)."""
    try:
        declared, problems = catalogue.declared()
    except ConfigurationError as error:
        return [Error(str(error), hint=f'Write a list: "TRIGGERS": [{HINTS["entry"]}]', id="livereferrals.E002")]
    found = [_message(problem) for problem in problems]
    for entry in declared:
        faults = list(registry.problems_of(entry))
        found.extend(_message(problem) for problem in faults)
        found.extend(_options(entry))
        resolved = registry.resolve(entry) if not faults else None
        if resolved is not None and not isinstance(resolved, Problem):
            found.extend(_doubts(entry, resolved))
            found.extend(paths.doubts(entry, resolved))
    return found


def _message(problem: Problem) -> CheckMessage:
    return Error(
        f"{problem.place}: {problem.message}.", hint=HINTS[problem.part], id=f"livereferrals.{IDS[problem.part]}"
    )


def _options(entry: Declared) -> Iterator[CheckMessage]:
    """Find a window or a rule that cannot be used."""
    trigger = entry.trigger
    window: Any = trigger.window
    if window is not UNSET and window is not None and not (isinstance(window, timedelta) and window > timedelta(0)):
        yield Error(
            f"{entry.place}: the window of {trigger.name!r} is not a positive time: {window!r}.",
            hint="Write window=timedelta(days=30), or window=None for no limit.",
            id="livereferrals.E011",
        )
    problem = _rule_problem(trigger.attribution)
    if problem is not None:
        yield Error(
            f"{entry.place}: {trigger.attribution!r} is no rule of attribution: {problem}.",
            hint=f'Write attribution="{LAST_CLICK}", "{FIRST_CLICK}", or the dotted path of your own f(hits).',
            id="livereferrals.E012",
        )


def _rule_problem(rule: object) -> str | None:
    if rule is None:
        return None
    try:
        return values.rule_problem(setting_types.rule(rule))
    except ValueError as error:
        return str(error)


def _doubts(entry: Declared, resolved: Resolved) -> Iterator[CheckMessage]:
    """Find a sender that nobody sends (W004), and a trigger that confirms at each save (W005)."""
    trigger, sender = entry.trigger, resolved.sender
    if inspect.isclass(sender) and issubclass(sender, Model) and sender._meta.swapped:
        own = get_user_model()._meta.label if sender._meta.label == "auth.User" else sender._meta.swapped
        yield Doubt(
            f"{entry.place}: the sender of {trigger.name!r} is {sender._meta.label}, which {own} has replaced.",
            hint=f'Write sender="{own}"',
            id="livereferrals.W004",
        )
    if inspect.isclass(sender) and issubclass(sender, Model) and not sender._meta.abstract:
        theirs, ours = router.db_for_write(sender), router.db_for_write(Confirmation)
        if theirs != ours:
            yield Doubt(
                f"{entry.place}: {sender._meta.label} is written to {theirs!r}, and confirmations to {ours!r}: "
                "a crash between the two commits loses a confirmation, or makes one of what was rolled back.",
                hint=f'Have your DATABASE_ROUTERS send the app "livereferrals" to {theirs!r}.',
                id="livereferrals.W010",
            )
    if resolved.receiver is receivers.object_saved and trigger.once is False and trigger.reference is None:
        yield Doubt(
            f"{entry.place}: {trigger.name!r} confirms at each save of the same row.",
            hint='Name what makes it unique, for example reference="pk", or remove once=False.',
            id="livereferrals.W005",
        )
