from __future__ import annotations

import pytest
from django.utils import timezone

from livereferrals.events import log, wire
from livereferrals.tracking import entries
from livereferrals.tracking.models import Confirmation, Reversal
from tests.factories import make_confirmation, make_hit, make_link, make_user, make_visitor

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def test_hit_says_what_partners_may_know_of_it() -> None:
    """feed protocol, 5.4: no address, agent, query or full referrer"""
    hit = make_hit(
        entry_url="https://shop.example/sale/?token=secret",
        referer="https://Blog.example:8443/post?who=ann",
        click_id="c-1",
        sub1="a",
        sub5="e",
        device="mobile",
        repeat=True,
        user_agent="secret agent",
        ip="203.0.113.0",
    )
    entry = entries.hit_entry(hit)
    assert (entry.type, entry.occurred_at, entry.visitor, entry.user) == ("hit", hit.created_at, hit.visitor_id, "")
    assert hit.partner is not None
    assert (entry.partner, entry.link, entry.link_identifier) == (hit.partner.uid, hit.link_id, hit.link.identifier)
    assert entry.data == {
        "hit": str(hit.pk),
        "visitor": str(hit.visitor_id),
        "repeat": True,
        "click_id": "c-1",
        "subs": ["a", None, None, None, "e"],
        "landing": "/sale/",
        "referrer_host": "blog.example",
        "device": "mobile",
    }


def test_what_is_not_known_of_a_hit_is_null() -> None:
    """feed protocol, 5.4: null, not absent"""
    entry = entries.hit_entry(make_hit(link=make_link(owner="house"), referer="http://[x"))
    assert entry.partner == ""
    data = entry.data
    assert (data["click_id"], data["landing"], data["referrer_host"]) == (None, None, None)
    assert data["subs"] == [None] * 5


def test_confirmation_and_reversal_carry_the_partners_own_ids_and_a_keyed_user() -> None:
    """feed protocol, 5.4"""
    user = make_user()
    hit = make_hit(user=user, click_id="c-1", sub2="b")
    confirmation = make_confirmation(hit=hit, reference="A-1", amount="12.5", currency="EUR")
    assert hit.partner is not None
    entry = entries.confirmation_entry(confirmation)
    assert (entry.type, entry.user, entry.link) == ("confirmation", str(user.pk), hit.link_id)
    subs = [None, "b", None, None, None]
    assert entry.data == {
        "confirmation": str(confirmation.pk),
        "trigger": "Order paid",
        "hit": str(hit.pk),
        "visitor": str(hit.visitor_id),
        "user": wire.user_hash(str(user.pk), key=hit.partner.user_key),
        "click_id": "c-1",
        "subs": subs,
        "reference": "A-1",
        "amount": "12.50",
        "currency": "EUR",
    }
    reversal = Reversal(
        confirmation=confirmation,
        reason="refund",
        note="private",
        amount_micros=2_500_000,
        partial=True,
        created_at=NOW,
    )
    entry = entries.reversal_entry(reversal)
    assert (entry.type, entry.occurred_at, entry.partner) == ("reversal", NOW, hit.partner.uid)
    assert entry.data == {
        "confirmation": str(confirmation.pk),
        "trigger": "Order paid",
        "reference": "A-1",
        "click_id": "c-1",
        "subs": subs,
        "reason": "refund",
        "amount": "2.50",
        "currency": "EUR",
        "partial": True,
    }


def test_confirmation_without_amount_user_and_partner_has_nulls() -> None:
    """feed protocol, 5.4"""
    confirmation = make_confirmation(hit=make_hit(link=make_link(owner="house")))
    entry = entries.confirmation_entry(confirmation)
    assert entry.partner == ""
    data = entry.data
    assert (data["user"], data["reference"], data["amount"], data["currency"]) == (None, None, None, None)


def test_user_of_a_house_link_is_keyed_by_the_log() -> None:
    """design, 6: keyed by a column, not by SECRET_KEY"""
    user = make_user()
    confirmation = make_confirmation(hit=make_hit(link=make_link(owner="house"), user=user))
    expected = wire.user_hash(str(user.pk), key=log.load_log().house_key)
    assert entries.confirmation_entry(confirmation).data["user"] == expected


def test_one_claim_is_one_entry_for_each_partner() -> None:
    """C-01"""
    visitor, user = make_visitor(), make_user()
    link = make_link()
    hits = [make_hit(link=link, visitor=visitor) for _ in range(2)]
    hits += [
        make_hit(link=make_link(owner="house"), visitor=visitor),
        make_hit(link=make_link(user=user), visitor=visitor),
    ]
    found = entries.claim_entries(visitor=visitor, user=user, hits=hits, now=NOW)
    assert link.partner is not None
    assert [(entry.partner, entry.link, entry.data["hits"]) for entry in found] == [
        (link.partner.uid, None, 2),
        ("", None, 2),
    ]
    assert len({entry.data["user"] for entry in found}) == 2
    assert all(entry.user == str(user.pk) for entry in found)


def test_entries_of_loaded_rows_make_no_query(django_assert_num_queries: object) -> None:
    """L-10"""
    confirmation = Confirmation.objects.select_related("hit__link", "hit__partner", "partner").get(
        pk=make_confirmation(hit=make_hit(user=make_user())).pk
    )
    with django_assert_num_queries(0):  # type: ignore[operator] # pytest-django's
        entries.confirmation_entry(confirmation)
        entries.hit_entry(confirmation.hit)
