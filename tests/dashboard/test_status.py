"""The status page and its JSON: the log, processes, workers and housekeeping, for staff alone."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from livereferrals.callbacks.processes import machine, this_process
from livereferrals.dashboard import system
from livereferrals.dashboard.beats import beat_of
from livereferrals.events import log
from livereferrals.events.models import Chore, Event, ProcessStatus
from tests.dashboard.makers import cursor_of, make_viewer, metrics, period_of
from tests.factories import make_event, make_partner, make_user

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries, Settings

pytestmark = pytest.mark.django_db
PAGE = reverse("livereferrals_dashboard:status")
JSON = reverse("livereferrals_dashboard:status_json")


def staff(*codenames: str) -> Client:
    client = Client()
    client.force_login(make_viewer(*codenames))
    return client


def partner_login() -> Client:
    client = Client()
    user = make_user()
    make_partner(user=user)
    client.force_login(user)
    return client


def said(name: str = "web-1:10:1", *, ago: timedelta = timedelta(0), **values: Any) -> ProcessStatus:
    now = timezone.now()
    defaults = {"kind": "server", "started_at": now - timedelta(hours=1), "seen_at": now - ago}
    return ProcessStatus.objects.create(id=name, **defaults | values)


def asked() -> Any:
    response = staff().get(JSON)
    assert response.status_code == 200
    return response.json()


def test_page_shows_log_processes_and_housekeeping() -> None:
    """dashboard-1, dashboard-2: numbers equal to the database at the page's cursor"""
    for _ in range(3):
        make_event()
    rolled = {"rollups": timezone.now().isoformat()}
    said(hub_seq=1, hub_lag=2, watchers=4, screens=2, behind={"t": 7}, worker=True, housekeeping=rolled)
    said("web-2:11:1", hub_seq=3, watchers=1, screens=1)
    Chore.objects.create(name="hits", done_at=timezone.now())
    page = staff().get(PAGE).content.decode()
    assert cursor_of(page) == str(log.bounds().newest_cursor)
    assert metrics(page) == {
        "head": "3",
        "unnumbered": "0",
        "lag": "2",
        "lost": "0",
        "watchers": "5",
        "screens": "3",
        "kept": "3",
    }
    assert "web-1 10" in page
    assert "server with worker" in page
    assert "1 (−2)" in page  # noqa: RUF001 - the sign that screens show
    assert "Old hits emptied of what is personal" in page
    assert "not yet" not in page
    assert "Needs attention" not in page


def test_json_says_the_same_as_the_page() -> None:
    """dashboard-1: for monitors, with a word that says whether something is wrong"""
    make_event()
    row = said(hub_seq=1, watchers=4, screens=2, worker=True)
    found = asked()
    assert (found["status"], found["problems"]) == ("ok", [])
    assert found["log"]["cursor"] == str(log.bounds().newest_cursor)
    assert (found["log"]["head"], found["lag"], found["watchers"], found["screens"]) == (1, 0, 4, 2)
    assert found["worker"]["heartbeat"] == row.seen_at.isoformat()
    assert found["channel_layer"]["crosses_processes"] is False
    assert [process["name"] for process in found["processes"]] == [row.pk]


def test_a_server_under_wsgi_is_told_from_one_that_is_live() -> None:
    """dashboard-1"""
    said(interface="wsgi")
    assert [process["interface"] for process in asked()["processes"]] == ["wsgi"]
    assert "server under WSGI, not live" in staff().get(PAGE).content.decode()


@pytest.mark.parametrize("url", [PAGE, JSON], ids=["page", "json"])
def test_only_staff_learn_how_the_system_stands(url: str) -> None:
    """dashboard-38: a partner's login, others and strangers do not"""
    assert staff().get(url).status_code == 200
    assert partner_login().get(url).status_code == 403
    other = Client()
    other.force_login(make_user(is_staff=True))
    assert other.get(url).status_code == 403
    stranger = Client().get(url)
    assert stranger.status_code == (401 if url == JSON else 302)
    assert "log" not in stranger.content.decode()


def test_empty_system_has_its_empty_states(settings: Settings) -> None:
    """dashboard-52"""
    settings.LIVEREFERRALS = {"CALLBACKS": {"WORKER": "off"}}
    page = staff().get(PAGE).content.decode()
    assert "No process has said anything yet" in page
    assert page.count("not yet") == 1
    assert metrics(page)["head"] == "0"


def test_events_without_a_number_are_counted_with_their_age() -> None:
    """dashboard-1: nobody sees them, so this is where it shows"""
    event = make_event()
    old = system._made_at(event.pk)
    assert abs(old - timezone.now()) < timedelta(minutes=5)
    Event.objects.update(seq=None, numbered_at=None)
    said(worker=True)
    found = asked()
    assert (found["log"]["unnumbered"], found["problems"]) == (1, [])
    found = system.look()
    late = system.System(
        **{name: getattr(found, name) for name in found.__slots__} | {"time": old + timedelta(minutes=2)}
    )
    assert "unnumbered" in late.problems


def test_missing_worker_is_a_problem_unless_none_is_wanted(settings: Settings) -> None:
    """dashboard-1: what a monitor wakes somebody for"""
    settings.LIVEREFERRALS = {"CALLBACKS": {"WORKER": "external"}}
    said(worker=False)
    assert asked()["problems"] == ["no-worker"]
    assert "No worker makes deliveries" in staff().get(PAGE).content.decode()
    row = said("worker-1:12:1", kind="worker", worker=True)
    assert asked()["problems"] == []
    ProcessStatus.objects.filter(pk=row.pk).update(seen_at=timezone.now() - timedelta(minutes=2))
    assert asked()["problems"] == ["no-worker"]


def test_dead_processes_are_told_from_living_ones() -> None:
    """dashboard-1: silent for long, or known to have ended on this machine; they count for nothing"""
    said(this_process(), watchers=1)
    said("far:1:1", ago=timedelta(minutes=1), watchers=10)
    said(f"{machine()}:999999999:1", watchers=100)
    found = asked()
    assert [process["alive"] for process in found["processes"]] == [True, False, False]
    assert found["watchers"] == 1
    page = staff().get(PAGE).content.decode()
    assert page.count('data-tone="bad">gone') == 2


def test_status_costs_few_queries_whatever_runs(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    """dashboard-1: none of them grows with the log"""
    for number in range(20):
        said(f"web:{number}:1")
    with django_assert_num_queries(5):
        system.look()


def test_page_is_read_anew_although_nothing_was_logged() -> None:
    """dashboard-4: what a process says of itself is no event, so the page has a beat"""
    client = staff()
    page = client.get(PAGE).content.decode()
    beat = beat_of("status", now=timezone.now())
    assert beat is not None
    start = int(period_of(page))
    assert (beat.start.timestamp() - start) % 5 == 0
    poll = {"cursor": cursor_of(page), "period": str(start - 5)}
    fresh = client.get(PAGE, poll, headers={"HX-Request": "true"})
    assert fresh.status_code == 200
    assert 'id="system"' in fresh.content.decode()
    assert beat_of("overview", now=timezone.now()) is None
