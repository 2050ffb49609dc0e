"""Several processes, or threads, confirm the same at once, again and again."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Group, User
from django.db import connections, transaction

from livereferrals import api
from livereferrals.callbacks.models import Delivery
from livereferrals.events.models import Event, EventType
from livereferrals.tracking.models import Confirmation
from tests.factories import make_hit, make_user, make_visitor
from tests.forking import converse
from tests.servers import server_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import SimpleNamespace

    from tests.forking import Forked

pytestmark = [pytest.mark.usefixtures("shop"), pytest.mark.django_db(transaction=True)]
IS_SQLITE = "sqlite" in django_settings.DATABASES["default"]["ENGINE"]
RIVALS = 4
ROUNDS = 50


@contextlib.contextmanager
def rivals(log: Path) -> Iterator[list[Forked]]:
    """Start the processes, and end them."""
    running = [
        converse(["tests.triggers.rival_process", str(number)], environment=server_environment(), log=log)
        for number in range(RIVALS)
    ]
    try:
        assert [answer_of(process) for process in running] == ["ready"] * RIVALS, log.read_text()
        yield running
        assert [process.end() for process in running] == [0] * RIVALS, log.read_text()
    finally:
        for process in running:
            process.kill()


def answer_of(process: Forked) -> str:
    return process.stdout.readline().strip()


def tell(process: Forked, line: str) -> None:
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def make_people(world: SimpleNamespace) -> list[User]:
    """Make users who have each followed P's link."""
    people = [make_user() for _ in range(ROUNDS)]
    for user in people:
        make_hit(link=world.abc123, visitor=make_visitor(user=user))
    return people


def check_rounds(*, hosts: int) -> None:
    """Each round left one row of each kind, and every host's own row."""
    assert Confirmation.objects.count() == Delivery.objects.count() == ROUNDS
    assert Confirmation.objects.values("user").distinct().count() == ROUNDS
    assert Event.objects.filter(type=EventType.CONFIRMATION).count() == ROUNDS
    assert Group.objects.count() == ROUNDS * hosts


@pytest.mark.skipif(IS_SQLITE, reason="the threads below are SQLite's")
def test_of_processes_that_confirm_at_once_one_does(world: SimpleNamespace, tmp_path: Path) -> None:
    """S-45, X-23: fifty rounds, with a reference and without in turns: one row each, and the others are told which."""
    people = make_people(world)
    with rivals(tmp_path / "rivals.log") as running:
        for number, user in enumerate(people):
            for process in running:
                tell(process, f"{user.pk} A-{number}" if number % 2 else str(user.pk))
            answers = [answer_of(process).split() for process in running]
            other = "duplicate-reference" if number % 2 else "already-confirmed"
            assert sorted(reason for reason, _ in answers) == sorted(["confirmed"] + [other] * (RIVALS - 1))
            assert {pk for _, pk in answers} == {str(Confirmation.objects.get(user=user).pk)}
    check_rounds(hosts=RIVALS)


@pytest.mark.skipif(not IS_SQLITE, reason="the processes above are PostgreSQL's")
def test_of_threads_that_confirm_at_once_one_does(world: SimpleNamespace) -> None:
    """S-45: the same on SQLite, where one writer at a time waits for the other."""
    people = make_people(world)
    gate = threading.Barrier(RIVALS)
    told: dict[tuple[int, int], str] = {}

    def run(rival: int) -> None:
        try:
            for number, user in enumerate(people):
                gate.wait(60)
                with transaction.atomic():
                    reference = f"A-{number}" if number % 2 else None
                    told[number, rival] = str(api.confirm("Order paid", user=user, reference=reference).reason)
                    Group.objects.create(name=f"{rival} {number}")
        except BaseException:
            gate.abort()
            raise
        finally:
            connections.close_all()

    with ThreadPoolExecutor(RIVALS) as pool:
        list(pool.map(run, range(RIVALS)))
    for number in range(ROUNDS):
        other = "duplicate-reference" if number % 2 else "already-confirmed"
        answers = [told[number, rival] for rival in range(RIVALS)]
        assert sorted(answers) == sorted(["confirmed"] + [other] * (RIVALS - 1))
    check_rounds(hosts=RIVALS)
