"""What processes say of themselves and know of each other."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from livereferrals.callbacks.processes import machine, this_process
from livereferrals.events.models import ProcessStatus
from livereferrals.exceptions import FeedError
from livereferrals.streaming import processes, tokens
from livereferrals.streaming.places import Elsewhere, Places, places
from tests.streaming.conftest import make_reader

if TYPE_CHECKING:
    from tests.streaming.conftest import Reader

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the table each time."""
    monkeypatch.setattr(processes, "LOOK_EVERY_S", -1.0)


def said_by(name: str, connections: dict[str, int], *, ago_s: float = 0) -> ProcessStatus:
    now = timezone.now()
    return ProcessStatus.objects.create(
        id=name, kind="server", started_at=now, seen_at=now - timedelta(seconds=ago_s), connections=connections
    )


def test_connections_of_living_processes_count() -> None:
    """feed-47: of the token, and of all tokens of its partner; a dead process frees its places within 60 s"""
    reader = make_reader()
    second, stranger = make_reader(partner=reader.partner), make_reader()
    said_by("other:1:1", {reader.row.pk: 2, second.row.pk: 1, stranger.row.pk: 7})
    said_by("other:2:1", {reader.row.pk: 1})
    said_by("other:3:1", {reader.row.pk: 100}, ago_s=60)
    said_by(f"{machine()}:999999999:1", {reader.row.pk: 100})
    said_by(this_process(), {reader.row.pk: 100})
    assert processes.elsewhere(grant_of(reader)) == Elsewhere(token=3, partner=4)
    house = tokens.grant_of(tokens.issue(name="house")[0])
    assert processes.elsewhere(house) == Elsewhere()


def grant_of(reader: Reader) -> Any:
    return tokens.grant_of(reader.row)


def test_process_says_what_it_has_open_and_takes_its_row_away() -> None:
    """feed-47: the rows of those that were killed long ago go with the next that says something"""
    reader = make_reader()
    said_by("other:1:1", {}, ago_s=2 * 86_400)
    with places.taken(grant_of(reader), Elsewhere()):
        processes.write(hub_seq=5, watchers=1)
        processes.write(hub_seq=6, watchers=1)
        row = ProcessStatus.objects.get()
        assert (row.pk, row.hub_seq, row.watchers) == (this_process(), 6, 1)
        assert (row.kind, row.connections) == ("server", {reader.row.pk: 1})
    processes.clear()
    assert not ProcessStatus.objects.exists()


def test_row_of_a_process_with_a_worker_stays() -> None:
    """feed-47: the worker has more to say in it"""
    said_by(this_process(), {"t": 1})
    ProcessStatus.objects.update(worker=True)
    processes.clear()
    assert ProcessStatus.objects.get().connections == {}


def test_place_is_free_whatever_ends_its_holder(settings: Any) -> None:
    """feed-47"""
    settings.LIVEREFERRALS = {"FEED_LIMITS": {"connections_token": 1}}
    grant, own = grant_of(make_reader()), Places()
    for _ in range(2):
        with contextlib.suppress(KeyError), own.taken(grant, Elsewhere()):
            with pytest.raises(FeedError, match="1 connections open"):
                own.check(grant, Elsewhere())
            raise KeyError
    assert own.by_token() == {}
    with pytest.raises(FeedError):
        own.check(grant, Elsewhere(token=1))
