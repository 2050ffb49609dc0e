"""Processes that say they live: servers and workers write their row by themselves, and take it away when they end."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from django.apps import apps
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_started
from django.db import DatabaseError
from django.test import Client, RequestFactory

from livereferrals.apps import WSGI_UID
from livereferrals.callbacks.processes import this_process
from livereferrals.events import log
from livereferrals.events.models import EventLog, ProcessStatus
from livereferrals.housekeeping import reporting
from livereferrals.housekeeping.reporting import Reporter
from livereferrals.streaming import processes
from livereferrals.streaming.processes import Life
from tests import forking
from tests.servers import host_server, server_environment
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_django import Settings

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _parted() -> Iterator[None]:
    yield
    processes.part()


def row() -> ProcessStatus:
    return ProcessStatus.objects.get(pk=this_process())


def test_who_has_feed_clients_is_a_server_under_asgi() -> None:
    """O-01: also where the hub is the first to say that the process lives; the doctor tells servers by it"""
    processes.write(hub_seq=6, watchers=1)
    assert (row().kind, row().interface, row().worker) == ("server", "asgi", False)
    processes.say_alive(Life(kind="worker", worker=True))
    processes.write(hub_seq=7, watchers=1)
    assert (row().kind, row().interface, row().hub_seq) == ("worker", "", 7)


def test_row_stays_when_the_last_feed_client_has_left() -> None:
    """dashboard-1: a process that says it lives is there whether anybody is connected or not"""
    log.load_log()
    processes.say_alive(Life(kind="server", worker=True, hub_seq=5, screens=2, chores={"rollups": "2026-05-01"}))
    processes.write(hub_seq=6, watchers=1, behind={"a": 3, "b": 0})
    found = row()
    assert (found.kind, found.worker, found.hub_seq, found.screens) == ("server", True, 6, 2)
    EventLog.objects.update(head=9)
    processes.write(hub_seq=6, watchers=1, behind={"a": 3, "b": 0})
    assert row().hub_lag == 3
    assert (found.watchers, found.behind, found.housekeeping) == (1, {"a": 3}, {"rollups": "2026-05-01"})
    processes.clear()
    found = row()
    assert (found.watchers, found.behind, found.hub_seq) == (0, {}, 6)
    processes.part()
    assert not ProcessStatus.objects.exists()


def test_reporter_says_it_again_and_takes_the_row_away() -> None:
    """dashboard-1"""
    told = iter(range(1, 1_000))
    reporter = Reporter(lambda: Life(kind="worker", worker=True, screens=next(told)), every_s=0.05)
    reporter.start()
    wait_until(lambda: ProcessStatus.objects.filter(screens__gte=3).exists(), what="The third heartbeat")
    assert row().kind == "worker"
    reporter.stop()
    assert not reporter.is_alive
    assert not ProcessStatus.objects.exists()


def test_reporter_outlives_a_database_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    """dashboard-1: it is told once, and the next heartbeat goes through"""
    failures = iter([True, True, False])

    def life() -> Life:
        if next(failures, False):
            raise DatabaseError("away")
        return Life(kind="server", worker=False)

    reporter = Reporter(life, every_s=0.05)
    reporter.start()
    wait_until(ProcessStatus.objects.exists, what="The row")
    reporter.stop()
    assert caplog.text.count("cannot say that it lives") == 1


def test_a_process_under_wsgi_says_so_at_its_first_request(settings: Settings) -> None:
    """dashboard-1: nothing is live there, which nobody else could tell; and it says nothing where nothing is to run"""
    answer: list[object] = []
    environ = RequestFactory().get("/page/").environ

    def start_response(status: str, headers: object, problem: object = None) -> Callable[[bytes], object]:
        answer.append(status)
        return answer.append

    def ask() -> None:
        WSGIHandler()(environ, start_response).close()

    def listens() -> bool:
        return any(key[0] == WSGI_UID for key, *_ in request_started.receivers)

    apps.get_app_config("livereferrals").ready()
    Client().get("/page/")
    assert listens()
    ask()
    assert not listens()
    assert not ProcessStatus.objects.exists()
    settings.LIVEREFERRALS = settings.LIVEREFERRALS | {"CALLBACKS": {"WORKER": "external"}}
    apps.get_app_config("livereferrals").ready()
    try:
        ask()
        wait_until(ProcessStatus.objects.exists, what="The row")
        assert (row().kind, row().interface) == ("server", "wsgi")
    finally:
        reporting.stop_in_server()
    assert not ProcessStatus.objects.exists()
    assert answer == ["200 OK", "200 OK"]


@pytest.mark.once
def test_server_and_worker_say_that_they_live_and_part_in_peace(tmp_path: Path) -> None:
    """dashboard-1: with nobody connected; the worker's heartbeat, and a SIGTERM that takes the row away"""
    with host_server("daphne", LIVEREFERRALS={"CALLBACKS": {"WORKER": "embedded"}}):
        wait_until(lambda: ProcessStatus.objects.filter(kind="server").exists(), what="The server")
        assert ProcessStatus.objects.get(kind="server").interface == "asgi"
        log = tmp_path / "worker.log"
        worker = forking.start(["django", "livereferrals", "worker"], environment=server_environment(), log=log)
        try:
            wait_until(lambda: ProcessStatus.objects.filter(kind="worker").exists(), what="The worker")
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait(240)
        assert not ProcessStatus.objects.filter(kind="worker").exists()
    assert not ProcessStatus.objects.exists()
