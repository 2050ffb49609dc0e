from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connection, transaction
from django.utils import timezone

from livereferrals import ids
from livereferrals.events.models import Event
from livereferrals.signals import hit_recorded
from livereferrals.tracking.models import Origin, ReferralHit, Visitor
from livereferrals.tracking.recording import record_hit
from tests.factories import home_link, make_hit, make_link, make_partner, make_user, make_visitor
from tests.tracking.browsers import Statements

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.django_db
NOW = timezone.now()
HOUR = timedelta(hours=1)


@pytest.fixture
def told() -> Iterator[list[dict[str, Any]]]:
    """What the host is told by `hit_recorded`."""
    heard: list[dict[str, Any]] = []

    def hear(sender: object, **kwargs: Any) -> None:
        heard.append({"sender": sender} | kwargs)

    hit_recorded.connect(hear)
    yield heard
    hit_recorded.disconnect(hear)


def test_hit_visitor_and_event_are_recorded_together() -> None:
    """L-01, L-09"""
    link = make_link()
    hit = record_hit(
        link,
        now=NOW,
        entry_url="/x?a=1",
        user_agent="Mozilla/5.0 (iPhone) Mobile",
        referer="https://blog.example/post?x=1",
        ip="203.0.113.77",
        click_id="c-1",
        subs=["a", "b"],
        origin=Origin.API,
    )
    stored = ReferralHit.objects.get()
    assert stored == hit
    assert (stored.link, stored.partner, stored.visitor) == (link, link.partner, Visitor.objects.get())
    assert (stored.created_at, stored.entry_url, stored.ip, stored.device) == (NOW, "/x?a=1", "203.0.113.0", "mobile")
    assert (stored.click_id, stored.subs, stored.origin) == ("c-1", ["a", "b", "", "", ""], "api")
    assert (stored.user, stored.authenticated, stored.repeat, stored.self_referral) == (None, False, False, False)
    event = Event.objects.get()
    assert (event.type, event.data["hit"], event.seq) == ("hit", str(hit.pk), event.seq)


@pytest.mark.django_db(transaction=True)
def test_hit_is_one_transaction_of_three_statements_or_four() -> None:
    """L-10: 3 for a new visitor and for a known one, 4 for one that is gone"""
    link = make_link()
    with Statements() as statements:
        hit = record_hit(link)
    assert (len(statements.made), statements.transactions) == (3, 1)
    with Statements() as statements:
        record_hit(link, visitor=hit.visitor_id)
    assert (len(statements.made), statements.transactions) == (3, 1)
    with Statements() as statements:
        record_hit(link, visitor=ids.new_uuid())
    assert (len(statements.made), statements.transactions) == (4, 1)


@pytest.mark.django_db(transaction=True)
def test_host_is_told_after_the_commit(told: list[dict[str, Any]]) -> None:
    """`hit_recorded`: of a hit that stands, and of nothing else"""
    link, user = make_link(), make_user()
    with transaction.atomic():
        hit = record_hit(link, user=user)
        assert told == []
    assert told == [
        {"sender": ReferralHit, "signal": hit_recorded, "hit": hit, "link": link, "visitor": hit.visitor, "user": user}
    ]
    with transaction.atomic():
        record_hit(link)
        transaction.set_rollback(True)
    assert len(told) == 1
    assert (ReferralHit.objects.count(), Event.objects.count(), Visitor.objects.count()) == (1, 1, 1)


@pytest.mark.django_db(transaction=True)
def test_error_in_a_receiver_of_the_host_touches_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """`hit_recorded` is sent robustly"""

    def fail(sender: object, **kwargs: Any) -> None:
        raise ValueError("host's own")

    hit_recorded.connect(fail)
    try:
        record_hit(make_link())
    finally:
        hit_recorded.disconnect(fail)
    assert (ReferralHit.objects.count(), Event.objects.filter(seq=1).count()) == (1, 1)
    assert "host's own" in caplog.text


def test_every_follow_is_a_hit_and_those_inside_the_window_are_repeats(settings: Any) -> None:
    """L-39"""
    settings.LIVEREFERRALS = {"REPEAT_WINDOW": HOUR}
    link, other = make_link(), make_link()
    first = record_hit(link, now=NOW)
    visitor = first.visitor
    second = record_hit(link, visitor=visitor, now=NOW + HOUR - timedelta(seconds=1))
    elsewhere = record_hit(other, visitor=visitor, now=NOW + HOUR - timedelta(seconds=1))
    third = record_hit(link, visitor=visitor, now=NOW + 2 * HOUR)
    somebody = record_hit(link, now=NOW + 2 * HOUR)
    assert [hit.repeat for hit in (first, second, elsewhere, third, somebody)] == [False, True, False, False, False]
    assert ReferralHit.objects.filter(repeat=True).get() == second


def test_following_ones_own_link_is_flagged() -> None:
    """L-37, L-38"""
    ann, bob = make_user(), make_user()
    partners = home_link(make_partner(user=bob))
    anns = make_link(user=ann)
    assert record_hit(anns, user=ann).self_referral
    assert record_hit(partners, user=bob).self_referral
    assert not record_hit(anns, user=bob).self_referral
    assert not record_hit(partners, user=ann).self_referral
    assert not record_hit(anns).self_referral
    assert not record_hit(make_link(owner="house"), user=ann).self_referral


def test_hit_of_somebody_logged_in_has_the_user_at_once_and_is_no_claim() -> None:
    """C-08"""
    user = make_user()
    hit = record_hit(make_link(), user=user)
    assert (hit.user, hit.authenticated, hit.visitor and hit.visitor.user) == (user, True, user)
    assert not Event.objects.filter(type="claim").exists()


def test_visitor_of_somebody_else_is_never_used() -> None:
    """V-12, V-04: whoever is logged in, or nobody"""
    link, anns = make_link(), make_visitor(user=make_user())
    erased = make_visitor(claimed_at=NOW)
    for carried in (anns.pk, erased.pk, ids.new_uuid(), None):
        for user in (None, make_user()):
            hit = record_hit(link, visitor=carried, user=user)
            assert hit.visitor_id not in {anns.pk, erased.pk, carried}
            assert hit.user == user


def test_unclaimed_visitor_of_somebody_logged_in_is_claimed_first() -> None:
    """C-01, C-11: a login without the signal; the hits from before are the user's too"""
    user = make_user()
    before = record_hit(make_link())
    hit = record_hit(make_link(), visitor=before.visitor_id, user=user)
    before.refresh_from_db()
    assert hit.visitor == before.visitor
    assert (before.user, hit.user) == (user, user)
    assert Event.objects.get(type="claim").data["hits"] == 1


def test_visitor_given_as_a_row_stands_for_its_user() -> None:
    """Recording without HTTP"""
    user = make_user()
    anns = make_visitor(user=user)
    hit = record_hit(make_link(), visitor=anns)
    assert (hit.visitor, hit.user) == (anns, user)


def test_anonymous_and_deleted_users_count_as_none() -> None:
    """S-37, X-39"""
    gone = make_user()
    gone.delete()
    for user in (AnonymousUser(), gone):
        assert record_hit(make_link(), user=user).user is None


def test_texts_from_outside_are_cut_and_never_an_error() -> None:
    """L-09, X-13: longer than a column, with NUL, half of a surrogate pair"""
    for text in ("a" * 5000, "a\x00b", "a\ud800b", "é" * 3000):
        hit = record_hit(
            make_link(), entry_url=text, user_agent=text, referer=text, click_id=text, subs=[text] * 9, ip=text
        )
        hit.refresh_from_db()
        assert len(hit.entry_url) <= 2000
        assert len(hit.user_agent) <= 1000
        assert len(hit.sub5) <= 200
        assert "\x00" not in hit.referer
        assert hit.ip is None


def test_whole_address_and_none_are_kept_as_the_setting_says(settings: Any) -> None:
    """Y-01"""
    for mode, kept in (("truncate", "2001:db8:1::"), ("full", "2001:db8:1:2::3"), ("none", None)):
        settings.LIVEREFERRALS = {"IP": mode}
        assert record_hit(make_link(), ip="2001:db8:1:2::3").ip == kept


@pytest.mark.django_db(transaction=True)
@pytest.mark.publisher_thread
def test_many_follows_of_one_browser_at_once_are_one_hit_each() -> None:
    """L-11: none waits in vain, and none is locked out"""
    link = make_link()
    visitor = make_hit(link=make_link()).visitor
    assert visitor is not None
    errors: list[BaseException] = []

    def follow() -> None:
        try:
            record_hit(link, visitor=visitor.pk)
        except BaseException as error:  # noqa: BLE001 - told to the test
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=follow) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert ReferralHit.objects.filter(link=link, visitor=visitor).count() == 12
    assert ReferralHit.objects.filter(link=link, repeat=False).exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.publisher_thread
def test_hit_beside_a_login_is_the_users_whichever_comes_first() -> None:
    """C-14, V-12: no hit of the visitor is left without the user when both are done"""
    from livereferrals.tracking.claiming import claim

    user, link = make_user(), make_link()
    for _round in range(5):
        visitor = make_visitor()
        start = threading.Barrier(2)

        def follow(visitor: Visitor = visitor, start: threading.Barrier = start) -> None:
            start.wait()
            record_hit(link, visitor=visitor.pk)
            connection.close()

        def log_in(visitor: Visitor = visitor, start: threading.Barrier = start) -> None:
            start.wait()
            claim(Visitor.objects.get(pk=visitor.pk), user=user, now=timezone.now())
            connection.close()

        threads = [threading.Thread(target=follow), threading.Thread(target=log_in)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not ReferralHit.objects.filter(visitor=visitor, user=None).exists()
