from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from livereferrals.tracking import links
from livereferrals.tracking.links import Refusal
from livereferrals.tracking.models import LinkOwner, Partner, ReferralLink
from tests.factories import make_link, make_partner, make_user

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_django import DjangoAssertNumQueries

pytestmark = pytest.mark.django_db
NOW = timezone.now()
HOUR = timedelta(hours=1)


def test_link_is_found_in_one_query_with_its_partner_and_user(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    """L-01"""
    make_link(identifier="abc123")
    with django_assert_num_queries(1):
        found = links.find_link("abc123", now=NOW)
        assert found.counted is not None
        assert found.counted.partner is not None
        assert found.counted.user is None


def test_identifier_is_compared_exactly() -> None:
    """L-06"""
    make_link(identifier="abc123")
    assert links.find_link("ABC123", now=NOW).refusal is Refusal.UNKNOWN


@pytest.mark.parametrize("text", ["", "\x00", "a b", "a" * 51, "abc123\n", "a/b", "\ud800"])
def test_what_can_be_no_identifier_costs_no_query(text: str, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    """L-20, P-11, X-14"""
    with django_assert_num_queries(0):
        assert links.find_link(text, now=NOW) == links.UNKNOWN
        assert links.find_partner_link(text, now=NOW) == links.UNKNOWN


def test_uid_finds_the_partners_home_link_and_nothing_else(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    """P-10, P-12"""
    partner = make_partner()
    make_link(identifier="abc123", partner=partner)
    with django_assert_num_queries(1):
        found = links.find_partner_link(partner.uid, now=NOW)
    assert found.counted is not None
    assert found.counted.home
    assert links.find_partner_link("abc123", now=NOW).refusal is Refusal.UNKNOWN


def variants() -> Iterable[tuple[dict[str, Any], Refusal | None]]:
    """Links of every kind, and why they do not count."""
    yield {}, None
    yield {"disabled": True}, Refusal.DISABLED
    yield {"starts_at": NOW + HOUR}, Refusal.NOT_STARTED
    yield {"starts_at": NOW}, None
    yield {"expires_at": NOW}, Refusal.EXPIRED
    yield {"expires_at": NOW + HOUR}, None
    yield {"partner": make_partner(active=False)}, Refusal.INACTIVE_PARTNER
    yield {"user": make_user()}, None
    yield {"user": make_user(is_active=False)}, Refusal.INACTIVE_USER
    yield {"owner": LinkOwner.USER}, Refusal.DISABLED
    yield {"owner": LinkOwner.HOUSE}, None


def test_refusals_in_python_and_in_sql_are_the_same_rule() -> None:
    """L-21, L-22, L-23, L-24, L-63"""
    for values, refusal in variants():
        link = make_link(**values)
        found = links.find_link(link.identifier, now=NOW)
        assert (found.link, found.refusal) == (link, refusal), values
        followable = ReferralLink.objects.followable(NOW).filter(pk=link.pk).exists()
        assert followable is (refusal is None), values


def chance(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    """Let the cryptographic source draw these words."""
    letters = iter("".join(words))
    monkeypatch.setattr(secrets, "choice", lambda alphabet: next(letters))


def test_new_link_gets_a_random_identifier_of_eight_alphanumerics() -> None:
    """L-07"""
    drawn = {ReferralLink.objects.create(owner="house").identifier for _ in range(20)}
    assert len(drawn) == 20
    assert all(len(each) == 8 and each.isascii() and each.isalnum() for each in drawn)


def test_drawn_identifier_that_is_taken_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """L-07"""
    make_link(identifier="aaaaaaaa")
    chance(monkeypatch, "aaaaaaaa", "aaaaaaaa", "bbbbbbbb")
    link = ReferralLink.objects.create(owner="house")
    assert ReferralLink.objects.get(identifier="bbbbbbbb") == link


def test_drawn_uid_that_is_taken_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """L-08, D-02: by another partner, or by any link"""
    make_link(identifier="aaaaaaaa")
    chance(monkeypatch, "aaaaaaaa", "bbbbbbbb")
    partner = Partner.objects.create(name="P")
    assert partner.uid == "bbbbbbbb"
    assert partner.links.get().identifier == "bbbbbbbb"
    chance(monkeypatch, "bbbbbbbb", "cccccccc")
    assert Partner.objects.create(name="Q").uid == "cccccccc"
    assert Partner.objects.count() == 3


def test_identifier_that_was_chosen_and_is_taken_is_an_error() -> None:
    """L-07: nobody gets another identifier than the one asked for"""
    make_link(identifier="abc123")
    with pytest.raises(IntegrityError), transaction.atomic():
        make_link(identifier="abc123", owner="house")


def test_other_errors_of_a_new_link_are_not_taken_for_a_clash() -> None:
    """L-07"""
    with pytest.raises(IntegrityError), transaction.atomic():
        ReferralLink.objects.create(owner="partner")


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example/", "sale", "javascript:alert(1)", "/a\nb"])
def test_target_that_leads_off_the_site_cannot_be_saved_in_a_form(target: str) -> None:
    """L-04"""
    link = make_link()
    link.target = target
    with pytest.raises(ValidationError) as caught:
        link.full_clean()
    assert list(caught.value.message_dict) == ["target"]


@pytest.mark.parametrize("target", ["", "/sale/", "https://shop.example/sale/", "https://app.example/"])
def test_target_on_the_site_can_be_saved(target: str, settings: Any) -> None:
    """L-04"""
    settings.LIVEREFERRALS = {"BASE_URL": "https://shop.example/", "ALLOWED_REDIRECT_HOSTS": ["app.example"]}
    link = make_link()
    link.target = target
    link.full_clean()
