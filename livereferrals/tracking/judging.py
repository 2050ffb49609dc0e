"""Screening as the settings say: the shipped rules, the host's own in their place, and those that it has added.

Rules are pure functions of what they are given, and are asked on the event loop and inside transactions: one that makes
queries or calls other servers holds everybody up. They are imported and put together once for each change of settings.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from django.core.signals import setting_changed

from livereferrals import conf
from livereferrals.exceptions import ConfigurationError
from livereferrals.tracking import screening

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from livereferrals.tracking.screening import Follow

    FollowRule = Callable[[Follow], bool]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules in force; one that is switched off says no to everything."""

    head: FollowRule
    """Whether only the headers are asked for: led on without a hit."""
    prefetch: FollowRule
    """Whether a browser asks ahead of the click: refused, so that the click itself comes."""
    embedded: FollowRule
    """Whether a page loads the link as one of its parts: led on without a hit."""
    bot: FollowRule
    """Whether a program follows: the setting `BOTS` says what becomes of it."""
    self_referral: Callable[..., bool]
    """Asked as `screening.is_self_referral`, of somebody logged in and again at a login: the hit is marked."""
    repeat: Callable[..., bool]
    """Asked as `screening.is_repeat`, of a visitor who is known: the hit is marked."""
    added: tuple[tuple[str, FollowRule], ...]
    """The host's further rules with their names: what one of them says yes to is kept, and never counted or credited."""
    changed: frozenset[str]
    """The shipped rules that are off or replaced."""

    def flagged_by(self, follow: Follow) -> str:
        """Return the name of the first added rule that says yes, or nothing."""
        return next((name for name, rule in self.added if rule(follow)), "")


@cache
def rules() -> Rules:
    """Return the rules in force. A setting that cannot be used is logged, and the shipped rules hold."""
    try:
        own = conf.settings.SCREENING
    except ConfigurationError:
        # `manage.py check` has said it; visitors are led on whatever a setting says.
        logger.exception("SCREENING cannot be used; the shipped rules hold.", extra={"action": "screening.failed"})
        own = {}
    shipped = _shipped()
    chosen: dict[str, Any] = {name: _chosen(name, own, rule) for name, rule in shipped.items()}
    added = tuple(
        (name, _guarded(name, rule)) for name, rule in own.items() if name not in shipped and rule is not None
    )
    return Rules(added=added, changed=frozenset(own.keys() & shipped.keys()), **chosen)


def _shipped() -> dict[str, Callable[..., bool]]:
    patterns = conf.settings.BOT_PATTERNS
    return {
        "head": lambda follow: follow.method == "HEAD",
        "prefetch": lambda follow: screening.is_prefetch(follow.headers),
        "embedded": lambda follow: screening.is_embedded(follow.headers.get("Sec-Fetch-Dest", "")),
        "bot": lambda follow: screening.is_bot(follow.user_agent, more=patterns),
        "self_referral": screening.is_self_referral,
        "repeat": screening.is_repeat,
    }


def _chosen(
    name: str, own: Mapping[str, Callable[..., Any] | None], shipped: Callable[..., bool]
) -> Callable[..., bool]:
    if name not in own:
        return shipped
    rule = own[name]
    return _never if rule is None else _guarded(name, rule)


def _never(*args: object, **kwargs: object) -> bool:
    return False


def _guarded(name: str, rule: Callable[..., Any]) -> Callable[..., bool]:
    """Return the host's rule such that an error in it is a no, and logged: nobody's click is lost for its sake."""

    def asked(*args: Any, **kwargs: Any) -> bool:
        try:
            return bool(rule(*args, **kwargs))
        except Exception:
            logger.exception(
                "The screening rule %r failed, which counts as a no.", name, extra={"action": "screening.failed"}
            )
            return False

    return asked


def _forget(**kwargs: object) -> None:
    rules.cache_clear()


setting_changed.connect(_forget, dispatch_uid="livereferrals.screening")
