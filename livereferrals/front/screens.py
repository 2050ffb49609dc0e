"""Screening of requests that the front answers: quickly by the shipped rules, else as the host's own say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils import timezone

from livereferrals import conf
from livereferrals.tracking import judging, screening

if TYPE_CHECKING:
    from livereferrals.front.asking import Asked

PURPOSES: Final = frozenset(name.lower().encode() for name in screening.PURPOSES)
UNMARKED: Final = (False, "")
MOST_KEPT: Final = 1024
LONGEST_KEPT: Final = 512


class Screen:
    """The shipped rules: looks at two headers, and knows the agents of most browsers from before."""

    def __init__(self) -> None:
        self._flags_bots = conf.settings.BOTS == "flag"
        self._skips_bots = conf.settings.BOTS == "skip"
        self._bot_patterns = conf.settings.BOT_PATTERNS
        self._bots: dict[str, bool] = {}

    def is_ahead(self, asked: Asked, _identifier: str) -> bool:
        """Whether a browser asks ahead of a click (L-32)."""
        headers = asked.headers
        if PURPOSES.isdisjoint(headers):
            return False
        return screening.is_prefetch({name: asked.text(name.lower().encode()) for name in screening.PURPOSES})

    def is_person(self, asked: Asked, _identifier: str) -> bool:
        """Whether the request may make a hit (L-33, L-36)."""
        if b"sec-fetch-dest" in asked.headers and screening.is_embedded(asked.text(b"sec-fetch-dest")):
            return False
        return not (self._skips_bots and self._is_bot(asked.text(b"user-agent")))

    def marks(self, asked: Asked, _identifier: str) -> tuple[bool, str]:
        """Return whether the hit is a program's (L-35), and which rule of the host's it is caught by, if any."""
        return (True, "") if self._flags_bots and self._is_bot(asked.text(b"user-agent")) else UNMARKED

    def _is_bot(self, agent: str) -> bool:
        """Whether the agent is a crawler's; text from outside takes no more room than the bounds say."""
        found = self._bots.get(agent)
        if found is None:
            found = screening.is_bot(agent, more=self._bot_patterns)
            if len(agent) <= LONGEST_KEPT:
                if len(self._bots) >= MOST_KEPT:
                    self._bots.clear()
                self._bots[agent] = found
        return found


class HostScreen(Screen):
    """What the host has switched off, replaced or added is asked as Django asks it."""

    def __init__(self) -> None:
        super().__init__()
        self._rules = judging.rules()

    def is_ahead(self, asked: Asked, identifier: str) -> bool:
        """Whether a browser asks ahead of a click."""
        return self._rules.prefetch(asked.follow(identifier, now=timezone.now()))

    def is_person(self, asked: Asked, identifier: str) -> bool:
        """Whether the request may make a hit."""
        follow = asked.follow(identifier, now=timezone.now())
        return not self._rules.embedded(follow) and not (self._skips_bots and self._rules.bot(follow))

    def marks(self, asked: Asked, identifier: str) -> tuple[bool, str]:
        """Return whether the hit is a program's, and which rule of the host's it is caught by, if any."""
        follow = asked.follow(identifier, now=timezone.now())
        return self._flags_bots and self._rules.bot(follow), self._rules.flagged_by(follow)


def screen() -> Screen:
    """Return the screen that the settings ask for: the quick one where no rule about requests is the host's."""
    rules = judging.rules()
    is_shipped = not rules.added and rules.changed.isdisjoint({"prefetch", "embedded", "bot"})
    return Screen() if is_shipped else HostScreen()
