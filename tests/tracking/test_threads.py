"""Hits of a threaded server: they share commits, as those of an event loop do."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection, connections, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from livereferrals.events.models import Event
from livereferrals.events.sequencer import number_events
from livereferrals.exceptions import HitNotRecordedError
from livereferrals.signals import hit_recorded
from livereferrals.tracking import group_commit
from livereferrals.tracking.desks import Limits
from livereferrals.tracking.group_commit import HitGroup
from livereferrals.tracking.link_cache import get_links
from livereferrals.tracking.models import ReferralHit, ReferralLink, Visitor
from tests.factories import make_link, make_user
from tests.tracking.drafting import make_draft

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.publisher_thread,
    pytest.mark.urls("tests.tracking.urls"),
]


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> Iterator[HitGroup]:
    """The process's group, whose threads end with the test."""
    made = HitGroup()
    monkeypatch.setattr(group_commit, "_group", made)
    get_links().drop()
    yield made
    made.close()
    get_links().close()
    get_links().drop()
    number_events()


def follow(found: list[Any]) -> None:
    """Follow the link as a thread of a server does."""
    found.append(Client().get("/ref/abc123"))
    connections.close_all()


def test_threads_share_commits_and_each_waits_for_its_own(group: HitGroup) -> None:
    """L-10, L-11: each browser carries its own visitor, whose hit is there"""
    make_link(identifier="abc123")
    found: list[Any] = []
    threads = [threading.Thread(target=follow, args=(found,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in found] == [302] * 8
    assert group._grouping._thread is not None
    assert len({answer.cookies["livereferrals_visitor"].value for answer in found}) == 8
    assert ReferralHit.objects.count() == Visitor.objects.count() == Event.objects.count() == 8


def test_visitor_that_comes_back_is_known(group: HitGroup) -> None:
    """V-02: and its second hit a repeat"""
    make_link(identifier="abc123")
    browser = Client()
    for _ in range(2):
        browser.get("/ref/abc123")
    assert Visitor.objects.count() == 1
    assert sorted(ReferralHit.objects.values_list("repeat", flat=True)) == [False, True]


def test_hit_of_a_transaction_ends_with_it(group: HitGroup) -> None:
    """L-10: a host that follows a link inside its own transaction takes it back with that"""
    make_link(identifier="abc123")
    with transaction.atomic():
        assert Client().get("/ref/abc123").status_code == 302
        assert ReferralHit.objects.count() == 1
        transaction.set_rollback(True)
    assert not ReferralHit.objects.exists()
    assert group._grouping._thread is None


def test_host_that_listens_is_told_in_its_requests_thread(group: HitGroup) -> None:
    """`hit_recorded`: as ever without the front"""
    make_link(identifier="abc123")
    told: list[int] = []

    def hear(**kwargs: object) -> None:
        told.append(threading.get_ident())

    hit_recorded.connect(hear)
    try:
        Client().get("/ref/abc123")
    finally:
        hit_recorded.disconnect(hear)
    assert told == [threading.get_ident()]


def test_thread_asks_the_database_for_nothing_itself(group: HitGroup) -> None:
    """P8: neither for the link nor for the hit, so that it needs no connection"""
    make_link(identifier="abc123")
    with CaptureQueriesContext(connection) as asked:
        for _ in range(2):
            assert Client().get("/ref/abc123").status_code == 302
    assert not [query["sql"] for query in asked.captured_queries]
    assert ReferralHit.objects.count() == 2


def test_somebody_logged_in_gets_a_hit_of_their_own(group: HitGroup) -> None:
    """C-08: which the request's own thread writes"""
    make_link(identifier="abc123")
    user = make_user()
    browser = Client()
    browser.force_login(user)
    assert browser.get("/ref/abc123").status_code == 302
    assert ReferralHit.objects.get().user == user
    assert group._grouping._thread is None


def test_link_that_is_gone_meanwhile_leads_on_without_a_hit(group: HitGroup, caplog: pytest.LogCaptureFixture) -> None:
    """L-26: for somebody logged in, and for anybody"""
    link = make_link(identifier="abc123")
    browser = Client()
    browser.force_login(make_user())
    get_links().find("abc123")
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {ReferralLink._meta.db_table}")  # noqa: S608 - past the signals, as somebody's SQL
    for each in (browser, Client()):
        answer = each.get("/ref/abc123?next=/x")
        assert (answer.status_code, answer["Location"]) == (302, "/x")
        assert "livereferrals_visitor" not in answer.cookies
    assert not ReferralHit.objects.exists()
    assert f"{link.identifier!r} is lost" in caplog.text


def test_link_that_is_switched_off_counts_no_more(group: HitGroup) -> None:
    """L-20: at once in this process"""
    link = make_link(identifier="abc123")
    assert Client().get("/ref/abc123").status_code == 302
    link.disabled = True
    link.save()
    assert Client().get("/ref/abc123").status_code == 302
    assert ReferralHit.objects.count() == 1


@pytest.mark.parametrize(("wanted", "status"), [("redirect", 302), ("unavailable", 503)])
def test_visitor_without_room_for_a_hit_is_led_on_or_asked_to_come_again(
    settings: Any, monkeypatch: pytest.MonkeyPatch, wanted: str, status: int
) -> None:
    """L-27: as `HITS_OVERLOAD` says; counted"""
    settings.LIVEREFERRALS = {"HITS_OVERLOAD": wanted}
    full = HitGroup(Limits(most=1, room=0, room_within_s=0.01))
    monkeypatch.setattr(group_commit, "_group", full)
    make_link(identifier="abc123")
    answer = Client().get("/ref/abc123")
    assert answer.status_code == status
    assert not answer.cookies
    assert full.losses.count == {"overload": 1}
    assert not ReferralHit.objects.exists()


def test_answer_that_does_not_come_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    """L-27: the visitor is led on, and the hit that had not begun is left out"""
    link = make_link(identifier="abc123")
    held, release = threading.Event(), threading.Event()
    group = HitGroup(Limits(most=1, room=100, patience_s=0.2))

    def hold(_attempts: object) -> list[Exception]:
        held.set()
        release.wait(60)
        return [ValueError("held")]

    group._grouping._work = hold  # somebody who holds up the database

    def ask() -> None:
        with pytest.raises(HitNotRecordedError, match="late"):
            group.record_from_thread(make_draft(link))

    holder = threading.Thread(target=ask)
    holder.start()
    assert held.wait(60)
    ask()
    holder.join(60)  # it is given up too, while it is held
    release.set()
    group.close()
    assert group.losses.count == {"late": 2}
    assert "abc123" in caplog.text
