"""Races, fifty rounds of each: real processes on PostgreSQL, threads on SQLite."""

from __future__ import annotations

import threading
import uuid
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.db import connection

from livereferrals.events.models import Event
from livereferrals.tracking.models import ReferralHit, Visitor
from tests.factories import make_hit, make_link, make_user, make_visitor
from tests.forking import converse
from tests.servers import server_environment
from tests.tracking import rounds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.publisher_thread]

ROUNDS = 50
RIVALS = 3


class Rival:
    """One that takes part: a process, which has read everything it needs before the first round."""

    def __init__(self, act: str, whose: str) -> None:
        log = Path(settings.SCRATCH) / "rounds.log"
        self.process = converse(["tests.tracking.rounds", act, whose], environment=server_environment(), log=log)

    def start(self, line: str) -> Callable[[], str]:
        """Begin a turn; the function given waits for its end."""
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return lambda: self.process.stdout.readline().strip()

    def end(self) -> None:
        """Let the process end by itself."""
        assert self.process.end() == 0


class ThreadRival:
    """The same as a thread, where one process has the database to itself."""

    def __init__(self, act: str, whose: str) -> None:
        self.act: Any = getattr(rounds, act)
        self.whose = whose

    def start(self, line: str) -> Callable[[], str]:
        """Begin a turn; the function given waits for its end."""
        said: list[str] = []

        def take_turn() -> None:
            try:
                said.append(self.act(line, whose=self.whose))
            finally:
                connection.close()

        thread = threading.Thread(target=take_turn)
        thread.start()

        def wait() -> str:
            thread.join()
            return said[0] if said else "failed"

        return wait

    def end(self) -> None:
        """Nothing is left over."""


@contextmanager
def rivals(act: str, *whose: str) -> Iterator[list[Any]]:
    """Give one rival for each name, ready to start."""
    kind: Any = Rival if connection.vendor == "postgresql" else ThreadRival
    with ExitStack() as stack:
        found = [kind(act, name) for name in whose]
        for rival in found:
            stack.callback(rival.end)
        yield found


def all_at_once(rivals: list[Any], line: str) -> list[str]:
    waits = [rival.start(line) for rival in rivals]
    return [wait() for wait in waits]


def test_one_browser_that_logs_in_twice_at_once_is_claimed_once() -> None:
    """C-14: one claim, one event, in each of fifty rounds"""
    users = [make_user() for _ in range(RIVALS)]
    with rivals("claim", *(str(user.pk) for user in users)) as racing:
        for number in range(1, ROUNDS + 1):
            visitor = make_visitor()
            make_hit(visitor=visitor, user=None)
            said = all_at_once(racing, str(visitor.pk))
            assert sorted(said) == ["False"] * (RIVALS - 1) + ["True"]
            winner = users[said.index("True")]
            assert Visitor.objects.get(pk=visitor.pk).user == ReferralHit.objects.get(visitor=visitor).user == winner
            assert Event.objects.filter(type="claim").count() == number


@pytest.mark.parametrize("same_browser", [False, True])
def test_clients_that_follow_at_once_have_a_hit_each(same_browser: bool) -> None:
    """L-11: none is locked out, in each of fifty rounds"""
    make_link(identifier="abc123")
    visitor = make_visitor()
    line = str(visitor.pk) if same_browser else "-"
    with rivals("hit", *["abc123"] * RIVALS) as racing:
        for number in range(1, ROUNDS + 1):
            said = [uuid.UUID(text) for text in all_at_once(racing, line)]
            assert set(said) == {visitor.pk} if same_browser else len(set(said)) == RIVALS
            assert ReferralHit.objects.count() == Event.objects.filter(type="hit").count() == number * RIVALS
