from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection, transaction
from django.http import HttpRequest
from django.test import Client
from django.utils import timezone

from livereferrals.events import wire
from livereferrals.events.log import load_log
from livereferrals.events.models import Event
from livereferrals.signals import referral_claimed
from livereferrals.tracking.claiming import claim
from livereferrals.tracking.models import Confirmation, ReferralHit, Visitor
from livereferrals.tracking.referral import Referral
from tests.factories import (
    PASSWORD,
    home_link,
    make_confirmation,
    make_hit,
    make_link,
    make_partner,
    make_user,
    make_visitor,
)
from tests.tracking.away import away
from tests.tracking.browsers import COOKIE, Browser, Statements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import SimpleNamespace

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.tracking.urls")]
LOG_IN = ["/in/bob/", "/async-in/bob/"]


@pytest.fixture
def told() -> Iterator[list[dict[str, Any]]]:
    """What the host is told by `referral_claimed`."""
    heard: list[dict[str, Any]] = []

    def hear(sender: object, **kwargs: Any) -> None:
        heard.append(kwargs)

    referral_claimed.connect(hear)
    yield heard
    referral_claimed.disconnect(hear)


def claims() -> list[Event]:
    return list(Event.objects.filter(type="claim").order_by("id"))


@pytest.mark.parametrize("path", LOG_IN)
def test_login_claims_all_hits_with_one_event_for_each_partner(
    world: SimpleNamespace, browser: Browser, path: str
) -> None:
    """C-01, C-02, C-09: code after `login()` and `alogin()` in the same view sees it"""
    for identifier in ("abc123", "qqq777", "abc123", "house1"):
        browser.get(f"/ref/{identifier}")
    visitor = Visitor.objects.get()
    assert browser.get(path).json() == {"hits": 4, "owner": world.bob.pk}
    visitor.refresh_from_db()
    assert visitor.user == world.bob
    assert visitor.claimed_at is not None
    assert ReferralHit.objects.filter(user=world.bob).count() == 4
    assert {event.partner: event.data for event in claims()} == {
        uid: {"visitor": str(visitor.pk), "user": wire.user_hash(str(world.bob.pk), key=key), "hits": hits}
        for uid, key, hits in [
            ("moox6esi", world.p.user_key, 2),
            ("zk41pp0q", world.q.user_key, 1),
            ("", load_log().house_key, 1),
        ]
    }


def test_login_through_the_hosts_form_claims(world: SimpleNamespace, browser: Browser) -> None:
    """C-01, C-16: the cookie is kept, and says that the visitor is claimed"""
    browser.get("/ref/abc123")
    before = browser.carried
    browser.log_in(world.bob)
    assert ReferralHit.objects.get().user == world.bob
    assert before is not None
    assert browser.carried is not None
    assert browser.carried.id == before.id


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", LOG_IN)
def test_cookie_is_renewed_at_the_claim_and_then_costs_no_query(
    world: SimpleNamespace, browser: Browser, path: str
) -> None:
    """C-02, C-11: once only, whatever the number of logins"""
    browser.get("/ref/abc123")
    assert COOKIE in browser.get(path).cookies
    assert browser.carried is not None
    assert browser.carried.claimed
    again = browser.get(path)
    assert COOKIE not in again.cookies
    assert len(claims()) == 1
    request = HttpRequest()
    request.COOKIES[COOKIE] = browser.cookie or ""
    with Statements() as statements:
        user_logged_in.send(sender=User, request=request, user=world.bob)
    assert [sql for sql in statements.made if "livereferrals" in sql] == []


def test_two_devices_are_both_the_users(
    world: SimpleNamespace, browser: Browser, new_browser: Callable[[], Browser]
) -> None:
    """C-03: and the referral of either device knows the hits of both"""
    phone = new_browser()
    browser.get("/ref/abc123")
    phone.get("/ref/qqq777")
    assert browser.get("/in/bob/").json()["hits"] == 1
    assert phone.get("/in/bob/").json()["hits"] == 2
    assert Visitor.objects.filter(user=world.bob).count() == 2
    assert browser.get("/referral/").json()["link"] == "qqq777"


def test_referral_looks_at_the_other_devices_right_after_the_login(world: SimpleNamespace, browser: Browser) -> None:
    """C-02, C-03: also where it was asked before"""
    browser.get("/ref/abc123")
    make_hit(user=world.bob, link=world.qqq777)
    request = HttpRequest()
    request.COOKIES[COOKIE] = browser.cookie or ""
    request.referral = referral = Referral(request)  # type: ignore[attr-defined] # ours
    assert referral.link == world.abc123
    user_logged_in.send(sender=User, request=request, user=world.bob)
    request.user = world.bob
    assert referral.link == world.qqq777


@pytest.mark.parametrize("log_out", [True, False], ids=["C-04 logs out", "C-06 switches"])
@pytest.mark.parametrize("path", LOG_IN)
def test_on_a_shared_computer_nothing_of_anns_becomes_bobs(
    world: SimpleNamespace, browser: Browser, path: str, log_out: bool
) -> None:
    """C-04, C-06"""
    browser.get("/ref/abc123")
    browser.get("/in/ann/")
    if log_out:
        browser.get("/out/")
    assert browser.get(path).json() == {"hits": 0, "owner": world.ann.pk}
    assert ReferralHit.objects.get().user == world.ann
    assert len(claims()) == 1
    said = browser.get("/referral/").json()
    assert (said["hit"], said["link"]) == (None, None)


def test_hit_between_two_users_is_the_second_ones(world: SimpleNamespace, browser: Browser) -> None:
    """C-05"""
    browser.get("/ref/abc123")
    browser.get("/in/ann/")
    browser.get("/out/")
    browser.get("/ref/qqq777")
    assert browser.get("/in/bob/").json()["hits"] == 1
    assert ReferralHit.objects.get(user=world.bob).link == world.qqq777
    assert ReferralHit.objects.get(user=world.ann).link == world.abc123


@pytest.mark.django_db(transaction=True)
def test_sign_up_that_logs_in_claims_in_the_same_request(world: SimpleNamespace, browser: Browser) -> None:
    """C-07"""
    browser.get("/ref/abc123")
    response = browser.post("/signup/", data={"username": "new", "password1": PASSWORD, "password2": PASSWORD})
    assert response.status_code == 302
    assert ReferralHit.objects.get().user == User.objects.get(username="new")
    assert len(claims()) == 1
    assert browser.carried is not None
    assert browser.carried.claimed


def test_login_without_a_browser_claims_nothing(world: SimpleNamespace) -> None:
    """C-10"""
    make_hit()
    user_logged_in.send(sender=User, request=None, user=world.bob)
    user_logged_in.send(sender=User, request=object(), user=world.bob)
    Client().force_login(world.bob)
    request = HttpRequest()
    request.session = SessionStore()
    login(request, world.bob, backend="django.contrib.auth.backends.ModelBackend")
    assert claims() == []
    assert not ReferralHit.objects.filter(user=world.bob).exists()


def test_claim_works_without_the_middleware(world: SimpleNamespace, browser: Browser) -> None:
    """C-10: a request that has only its cookie"""
    browser.get("/ref/abc123")
    request = HttpRequest()
    request.COOKIES[COOKIE] = browser.cookie or ""
    user_logged_in.send(sender=User, request=request, user=world.bob)
    assert ReferralHit.objects.get().user == world.bob


def test_visitor_that_is_gone_is_no_error_at_login(
    world: SimpleNamespace, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    """V-04, C-13"""
    browser.get("/ref/abc123")
    ReferralHit.objects.all().delete()
    Visitor.objects.all().delete()
    assert browser.get("/in/bob/").json() == {"hits": 0, "owner": None}
    assert caplog.records == []


@pytest.mark.django_db(transaction=True)
def test_login_that_rolls_back_claims_nothing(world: SimpleNamespace, told: list[dict[str, Any]]) -> None:
    """C-12: and its browser's cookie is not renewed"""
    browser = Browser("wsgi")
    browser.get("/ref/abc123")
    request = HttpRequest()
    request.COOKIES[COOKIE] = browser.cookie or ""
    request.referral = Referral(request)  # type: ignore[attr-defined] # ours
    with transaction.atomic():
        user_logged_in.send(sender=User, request=request, user=world.bob)
        assert ReferralHit.objects.get().user == world.bob
        transaction.set_rollback(True)
    assert (ReferralHit.objects.get().user, claims(), told) == (None, [], [])
    assert not request.referral.renewed  # type: ignore[attr-defined] # ours


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", LOG_IN)
def test_error_in_a_claim_never_stops_a_login(
    world: SimpleNamespace, browser: Browser, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """C-13: it is logged, and nothing of the claim is left"""
    browser.get("/ref/abc123")
    with away(Event):
        response = browser.get(path)
    assert response.status_code == 200
    assert browser.client.session["_auth_user_id"] == str(world.bob.pk)
    assert Visitor.objects.get().user is None
    assert ReferralHit.objects.get().user is None
    (record,) = [each for each in caplog.records if each.name == "livereferrals.tracking.claiming"]
    assert record.levelname == "ERROR"
    assert record.exc_info
    # The next login makes up for it.
    browser.get("/out/")
    browser.get(path)
    assert ReferralHit.objects.get().user == world.bob


@pytest.mark.django_db(transaction=True)
def test_error_in_a_claim_leaves_the_hosts_transaction_usable(world: SimpleNamespace) -> None:
    """C-13"""
    browser = Browser("wsgi")
    browser.get("/ref/abc123")
    request = HttpRequest()
    request.COOKIES[COOKIE] = browser.cookie or ""
    with away(Event), transaction.atomic():
        user_logged_in.send(sender=User, request=request, user=world.bob)
        make_user(username="carol")
    assert User.objects.filter(username="carol").exists()
    assert ReferralHit.objects.get().user is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.publisher_thread
def test_one_browser_that_logs_in_twice_at_once_claims_once(told: list[dict[str, Any]]) -> None:
    """C-14"""
    visitor = make_visitor()
    make_hit(visitor=visitor, user=None)
    users = [make_user() for _ in range(8)]
    start = threading.Barrier(len(users))
    done: list[tuple[User, bool]] = []

    def log_in(user: User) -> None:
        start.wait()
        done.append((user, claim(Visitor.objects.get(pk=visitor.pk), user=user, now=timezone.now())))
        connection.close()

    threads = [threading.Thread(target=log_in, args=[user]) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [user for user, claimed in done if claimed]
    assert len(done) == len(users)
    assert ReferralHit.objects.get().user == Visitor.objects.get().user == winner
    assert len(claims()) == len(told) == 1


@pytest.mark.django_db(transaction=True)
def test_host_is_told_after_the_commit(told: list[dict[str, Any]]) -> None:
    """C-15"""
    visitor, user = make_visitor(), make_user()
    hits = [make_hit(visitor=visitor, user=None) for _ in range(2)]
    with transaction.atomic():
        assert claim(visitor, user=user, now=timezone.now())
        assert told == []
    assert told == [{"signal": referral_claimed, "visitor": visitor, "user": user, "hits": hits}]
    assert not claim(visitor, user=make_user(), now=timezone.now())
    assert len(told) == 1


def test_claim_flags_hits_on_the_users_own_links() -> None:
    """L-37, L-38"""
    ann = make_user()
    visitor = make_visitor()
    own = make_hit(link=make_link(user=ann), visitor=visitor)
    partners = make_hit(link=home_link(make_partner(user=ann)), visitor=visitor)
    other = make_hit(visitor=visitor)
    claim(visitor, user=ann, now=timezone.now())
    flagged = set(ReferralHit.objects.filter(self_referral=True).values_list("pk", flat=True))
    assert flagged == {own.pk, partners.pk}
    assert ReferralHit.objects.get(pk=other.pk).user == ann


def test_visitor_that_was_claimed_and_erased_is_never_claimed_again() -> None:
    """C-14, Y-03"""
    visitor = make_visitor(claimed_at=timezone.now())
    assert not claim(visitor, user=make_user(), now=timezone.now())


def test_hits_that_have_a_user_already_keep_it() -> None:
    """V-12"""
    ann, visitor = make_user(), make_visitor()
    anns = make_hit(visitor=visitor, user=ann)
    claim(visitor, user=make_user(), now=timezone.now())
    assert ReferralHit.objects.get(pk=anns.pk).user == ann
    assert claims() == []


def test_confirmations_from_before_the_claim_are_the_users_too() -> None:
    """C-17"""
    bob, visitor = make_user(), make_visitor()
    hit = make_hit(visitor=visitor)
    registered = make_confirmation(hit=hit, trigger="User registered", once=True)
    paid = make_confirmation(hit=hit, reference="A-1")
    claim(visitor, user=bob, now=timezone.now())
    for confirmation in (registered, paid):
        confirmation.refresh_from_db()
        assert confirmation.user == bob
    assert registered.once


def test_second_once_confirmation_of_a_user_stands_without_the_mark() -> None:
    """C-17, S-40: the constraint allows a user one marked row of a trigger"""
    bob, visitor = make_user(), make_visitor()
    first = make_confirmation(hit=make_hit(user=bob), trigger="User registered", once=True)
    hit = make_hit(visitor=visitor)
    second = make_confirmation(hit=hit, trigger="User registered", once=True)
    reversed_ = make_confirmation(hit=make_hit(user=bob), trigger="Trial", once=True, reversed_at=timezone.now())
    trial = make_confirmation(hit=hit, trigger="Trial", once=True)
    assert claim(visitor, user=bob, now=timezone.now())
    assert Confirmation.objects.filter(user=bob).count() == 4
    marked = set(Confirmation.objects.filter(user=bob, once=True).values_list("pk", flat=True))
    assert marked == {first.pk, reversed_.pk, trial.pk}
    assert Confirmation.objects.get(pk=second.pk).reversed_at is None


@pytest.mark.django_db(transaction=True)
def test_claim_is_one_transaction_with_as_many_statements_for_many_hits_as_for_one() -> None:
    """C-01"""
    counts = []
    for number in (1, 30):
        visitor, user = make_visitor(), make_user()
        partner = make_partner()
        for _ in range(number):
            make_hit(visitor=visitor, link=home_link(partner))
        with Statements() as statements:
            claim(visitor, user=user, now=timezone.now())
        assert statements.transactions == 1
        counts.append(len(statements.made))
    assert counts[0] == counts[1] <= 7
