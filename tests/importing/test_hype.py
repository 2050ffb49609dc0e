"""`import-hype` takes over links, hits and confirmations."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from livereferrals import signals
from livereferrals.callbacks.models import Delivery
from livereferrals.events.models import Event
from livereferrals.tracking.models import Confirmation, LinkOwner, Origin, ReferralHit, ReferralLink, Visitor
from tests.factories import PASSWORD, make_link, make_partner, make_user
from tests.importing.commands import import_hype
from tests.importing.old_tables import BEGAN, HYPE, change, create, hype_hit, hype_link

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.django_db


@pytest.fixture
def hype(db: None) -> None:
    create(HYPE)


def test_links_keep_identifier_user_state_and_dates(hype: None) -> None:
    """I-07"""
    ann = make_user()
    hype_link(identifier="ann1", user_id=ann.pk, disabled=True, updated=BEGAN + timedelta(days=1))
    hype_link(identifier="house")
    assert "hype_referrallink -> links: 2 read = 2 imported + 0 already there + 0 skipped" in import_hype()
    link = ReferralLink.objects.get(identifier="ann1")
    assert (link.user, link.owner, link.disabled) == (ann, LinkOwner.USER, True)
    assert (link.created_at, link.updated_at) == (BEGAN, BEGAN + timedelta(days=1))
    assert ReferralLink.objects.get(identifier="house").owner == LinkOwner.HOUSE
    assert Client().get("/ref/house").status_code == 302
    assert ReferralHit.objects.get().link.identifier == "house"


def test_identifier_that_cannot_be_followed_is_drawn_anew(hype: None) -> None:
    """I-07: blank ones, and those with a character that no URL of a link carries"""
    blank, odd = hype_link(identifier=""), hype_link(identifier="a/b c")
    out = import_hype()
    assert f"1 x it had no identifier; it got a random one: {blank}" in out
    assert f"1 x its identifier cannot stand in a URL; it got a random one: {odd}" in out
    assert all(len(link.identifier) == 8 for link in ReferralLink.objects.all())
    assert "Nothing was added." in import_hype()


def test_clashing_identifier_is_skipped_with_its_hits(hype: None) -> None:
    """I-07, I-05"""
    make_link(identifier="taken")
    make_partner(uid="moox6esi")
    first, second = hype_link(identifier="taken"), hype_link(identifier="moox6esi")
    hit = hype_hit(first, confirmed=BEGAN + timedelta(days=1))
    out = import_hype()
    assert f"hype_referrallink {first}: skipped: its identifier 'taken' is that of another link or partner" in out
    assert f"hype_referrallink {second}: skipped: its identifier 'moox6esi'" in out
    assert f"hype_referralhit {hit}: skipped: its link {first} is not imported" in out
    assert f"hype_referralhit.confirmed {hit}: skipped: the hit is not imported" in out
    assert "hype_referralhit -> hits: 1 read = 0 imported + 0 already there + 1 skipped" in out
    assert not ReferralHit.objects.exists()


def test_hits_keep_their_ids_and_what_they_say(hype: None) -> None:
    """I-08, I-13"""
    link = hype_link()
    ids = {hype_hit(link), hype_hit(link)}
    import_hype()
    hits = ReferralHit.objects.all()
    assert {hit.pk for hit in hits} == ids
    for hit in hits:
        assert (hit.entry_url, hit.referer, hit.ip) == ("/shop/", "https://blog.example/post", "203.0.113.0")
        assert (hit.device, hit.origin, hit.user, hit.repeat) == ("desktop", Origin.IMPORT, None, False)
        assert hit.created_at == BEGAN + timedelta(hours=1)
        assert hit.visitor is not None
        assert (hit.visitor.user, hit.visitor.created_at) == (None, hit.created_at)
    assert Visitor.objects.count() == 2


def test_hits_of_a_user_have_one_visitor(hype: None) -> None:
    """I-08: claimed, since the first of them; following again soon is a repeat, one's own link a self-referral"""
    ann, bob = make_user(), make_user()
    link, own = hype_link(user_id=ann.pk), hype_link(identifier="bob1", user_id=bob.pk)
    first = hype_hit(link, hit_user_id=bob.pk, authenticated=True)
    again = hype_hit(link, hit_user_id=bob.pk, authenticated=True, created=BEGAN + timedelta(hours=3))
    later = hype_hit(link, hit_user_id=bob.pk, authenticated=True, created=BEGAN + timedelta(days=3))
    mine = hype_hit(own, hit_user_id=bob.pk, authenticated=True, created=BEGAN + timedelta(days=3))
    import_hype()
    visitor = Visitor.objects.get()
    assert (visitor.user, visitor.claimed_at) == (bob, BEGAN + timedelta(hours=1))
    hits = ReferralHit.objects.in_bulk()
    assert {hit.visitor for hit in hits.values()} == {visitor}
    assert all(hit.user == bob and hit.authenticated for hit in hits.values())
    assert [hits[pk].repeat for pk in (first, again, later, mine)] == [False, True, False, False]
    assert [hits[pk].self_referral for pk in (first, mine)] == [False, True]


def test_confirmed_hit_becomes_a_confirmation(hype: None) -> None:
    """I-08: of the trigger that is named, at that time, marked imported"""
    ann, bob = make_user(), make_user()
    at = BEGAN + timedelta(days=2)
    pk = hype_hit(hype_link(user_id=ann.pk), hit_user_id=bob.pk, confirmed=at)
    out = import_hype("--trigger", "User registered")
    assert "hype_referralhit.confirmed -> confirmations of 'User registered': 1 read = 1 imported" in out
    confirmation = Confirmation.objects.get()
    assert (confirmation.trigger, confirmation.occurred_at, confirmation.origin) == ("User registered", at, "import")
    assert (confirmation.hit_id, confirmation.user, confirmation.partner) == (pk, bob, None)
    assert confirmation.visitor == confirmation.hit.visitor
    assert confirmation.hit.confirmed_at == at
    assert confirmation.trace["chosen"] == str(pk)


def test_confirmations_are_imported_unless_told_otherwise(hype: None) -> None:
    """I-08: the trigger is "Imported" by default"""
    hype_hit(hype_link(), confirmed=BEGAN + timedelta(days=2))
    import_hype()
    assert Confirmation.objects.get().trigger == "Imported"


def test_hit_confirmed_since_gets_its_confirmation(hype: None) -> None:
    """I-02: the old site has gone on between two runs"""
    link = hype_link()
    pk = hype_hit(link)
    import_hype()
    change("hype_referralhit", pk, confirmed=BEGAN + timedelta(days=2))
    assert "1 read = 1 imported + 0 already there" in import_hype()
    assert ReferralHit.objects.get().confirmed_at == BEGAN + timedelta(days=2)


def test_hit_claimed_since_gets_its_user(hype: None) -> None:
    """I-02, C-01: the old site has gone on between two runs"""
    bob = make_user()
    pk = hype_hit(hype_link(user_id=bob.pk))
    import_hype()
    change("hype_referralhit", pk, hit_user_id=bob.pk, confirmed=BEGAN + timedelta(days=2))
    assert f"1 x its visitor has logged in since it was imported: {pk}" in import_hype()
    hit = ReferralHit.objects.get()
    assert (hit.user, hit.self_referral, hit.authenticated) == (bob, True, False)
    visitor = Visitor.objects.get()
    assert visitor.user == bob
    assert visitor.claimed_at is not None
    assert Confirmation.objects.get().user == bob
    assert "since it was imported" not in import_hype()


def test_second_run_adds_nothing_and_says_so(hype: None) -> None:
    """I-02"""
    bob = make_user()
    link = hype_link()
    hype_hit(link, hit_user_id=bob.pk, confirmed=BEGAN + timedelta(days=2))
    hype_hit(link)
    import_hype()
    before = [
        set(model.objects.values_list("pk", flat=True)) for model in (ReferralLink, Visitor, ReferralHit, Confirmation)
    ]
    out = import_hype()
    assert "hype_referralhit -> hits: 2 read = 0 imported + 2 already there + 0 skipped" in out
    assert "Nothing was added." in out
    after = [
        set(model.objects.values_list("pk", flat=True)) for model in (ReferralLink, Visitor, ReferralHit, Confirmation)
    ]
    assert after == before


def test_dry_run_says_the_same_and_writes_nothing(hype: None) -> None:
    """I-03"""
    make_link(identifier="taken")
    ReferralLink.objects.exclude(identifier="taken").delete()
    good, bad = hype_link(), hype_link(identifier="taken")
    hype_hit(good, confirmed=BEGAN + timedelta(days=2), user_agent="x" * 2000)
    hype_hit(bad)
    dry = import_hype("--dry-run", "--quiet")
    assert ReferralLink.objects.count() == 1
    assert not any(model._default_manager.exists() for model in (ReferralHit, Visitor, Event))
    real = import_hype("--quiet")
    assert dry.replace("to import", "imported").replace("Nothing was written.\n", "") == real


def test_user_who_is_gone_is_left_out(hype: None) -> None:
    """I-13: with a note"""
    gone = make_user()
    link = hype_link(user_id=gone.pk)
    pk = hype_hit(link, hit_user_id=gone.pk, authenticated=True)
    gone.delete()
    out = import_hype()
    assert f"1 x its user does not exist any more: {pk}" in out
    assert f"1 x its user does not exist any more; the link counts nothing: {link}" in out
    hit = ReferralHit.objects.get()
    assert (hit.user, hit.authenticated, hit.link.user, hit.link.owner) == (None, True, None, LinkOwner.USER)


def test_old_cookie_finds_the_imported_hit(hype: None) -> None:
    """C-18, I-08: a browser with django-hype's cookie is claimed at login"""
    bob = make_user()
    pk = hype_hit(hype_link())
    import_hype()
    client = Client()
    client.cookies["django-hype__rk"] = str(pk)
    response = client.post("/login/", {"username": bob.username, "password": PASSWORD})
    assert response.status_code == 302
    assert ReferralHit.objects.get().user == bob


def test_nobody_is_told(hype: None, caplog: pytest.LogCaptureFixture) -> None:
    """I-12: no event, no signal, no delivery; one record in the log says what was imported"""
    told: list[Any] = []

    def listen(**kwargs: Any) -> None:
        told.append(kwargs)

    names = [signals.hit_recorded, signals.referral_claimed, signals.referral_confirmed]
    for signal in names:
        signal.connect(listen)
    try:
        hype_hit(hype_link(), hit_user_id=make_user().pk, confirmed=BEGAN + timedelta(days=2))
        with caplog.at_level("INFO", "livereferrals.management.importing"):
            import_hype()
    finally:
        for signal in names:
            signal.disconnect(listen)
    assert told == []
    assert not any(model._default_manager.exists() for model in (Event, Delivery))
    (record,) = caplog.records
    facts = vars(record)
    assert facts["action"] == "import.done"
    assert facts["tables"]["hype_referralhit"] == {"read": 1, "imported": 1, "there": 0, "skipped": 0}


def test_tables_that_are_not_there_are_named(db: None) -> None:
    """I-01"""
    with pytest.raises(CommandError, match=r"no tables of django-hype 1.0 .* hype_referrallink, hype_referralhit are"):
        import_hype()


def test_column_that_is_not_there_is_named(db: None) -> None:
    """I-01"""
    vendors = {name: text.replace("http_referer", "referrer") for name, text in HYPE.items()}
    create(vendors)
    with pytest.raises(CommandError, match="hype_referralhit has no column http_referer"):
        import_hype()


def test_database_that_is_not_there_is_named(db: None) -> None:
    """I-01"""
    with pytest.raises(CommandError, match="no 'old' in DATABASES"):
        call_command("livereferrals", "import-hype", "--database", "old")


def test_whole_addresses_are_kept_on_request(hype: None, settings: Settings) -> None:
    """I-13"""
    link = hype_link()
    hype_hit(link, ip="2001:db8:1:2::3")
    import_hype("--keep-ips")
    assert ReferralHit.objects.get().ip == "2001:db8:1:2::3"
