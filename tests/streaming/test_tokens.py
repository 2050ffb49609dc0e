"""Feed tokens: made once, stored as a hash, looked at again."""

from __future__ import annotations

import dataclasses
import re
import statistics
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.utils import timezone

from livereferrals.exceptions import FeedError, TokenExists
from livereferrals.ids import random_identifier
from livereferrals.streaming import tokens
from livereferrals.streaming.models import FeedToken
from tests.factories import home_link, make_partner

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

pytestmark = pytest.mark.django_db


def test_token_looks_as_the_protocol_says_and_is_stored_as_a_hash() -> None:
    """feed-6: shown once, at least 190 random bits, nothing but letters, digits and underscores"""
    row, text = tokens.issue(name="pipeline", partner=make_partner())
    assert re.fullmatch(r"lrf_[A-Za-z0-9_]{,76}", text)
    secret = text.rpartition("_")[2]
    assert len(secret) >= 32  # log2(62) bits each
    assert secret not in repr(vars(FeedToken.objects.get(pk=row.pk)))


def test_token_allows_what_its_row_says(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    """feed-17"""
    partner = make_partner()
    link = home_link(partner)
    row, text = tokens.issue(name="x", partner=partner, scopes=["hits", "confirmations"], links=[link.pk])
    with django_assert_num_queries(2):
        grant = tokens.verify(text)
    assert grant == tokens.Grant(
        token=row.pk, partner=partner.uid, scopes=frozenset({"hits", "confirmations"}), links=frozenset({link.pk})
    )
    assert grant.types == {"hit", "confirmation", "reversal"}


def test_token_of_the_house_reads_everything() -> None:
    """feed-16"""
    _, text = tokens.issue(name="warehouse")
    assert tokens.verify(text).partner is None


def test_last_use_is_written_at_most_once_a_minute(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    """feed-6: the console shows when each was last used"""
    row, text = tokens.issue(name="x", partner=make_partner())
    tokens.verify(text)
    row.refresh_from_db()
    assert row.last_used_at is not None
    with django_assert_num_queries(1):
        tokens.verify(text)
    FeedToken.objects.update(last_used_at=timezone.now() - timedelta(minutes=2))
    tokens.verify(text)
    row.refresh_from_db()
    assert timezone.now() - row.last_used_at < timedelta(minutes=1)


@pytest.mark.parametrize("text", ["", "lrf_", "lrf_a_", "lrf_a_b\n", "lrf__b", "x" * 100, "lrf_ä_b", "lrf_a_\0"])
def test_garbage_is_no_token(text: str) -> None:
    """feed-6"""
    with pytest.raises(FeedError, match="not valid") as refused:
        tokens.verify(text)
    assert refused.value.code == "unauthorized"


def test_wrong_secret_and_unknown_id_take_the_same_time() -> None:
    """feed-6: within noise"""
    row, _ = tokens.issue(name="x", partner=make_partner())
    secret = random_identifier(40)
    times: dict[str, list[float]] = {f"lrf_{row.pk}_{secret}": [], f"lrf_{random_identifier(12)}_{secret}": []}
    for _ in range(200):
        for text, took in times.items():
            before = time.thread_time()  # not what others take of the processor meanwhile
            with pytest.raises(FeedError):
                tokens.verify(text)
            took.append(time.thread_time() - before)
    wrong, unknown = map(statistics.median, times.values())
    # Making the row's object is a tenth of a millisecond, far below what a network or a thread switch adds.
    assert abs(wrong - unknown) < 0.001


def test_refusals_come_after_the_secret() -> None:
    """feed-7: only who knows the secret learns that a token has expired or was revoked"""
    row, text = tokens.issue(name="x", partner=make_partner(), expires_at=timezone.now())
    with pytest.raises(FeedError, match="expired"):
        tokens.verify(text)
    with pytest.raises(FeedError, match="not valid"):
        tokens.verify(f"lrf_{row.pk}_{random_identifier(40)}")


def test_recheck_finds_what_no_longer_holds(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    """feed-8, feed-9, feed-17: in one query for all"""
    found = {}
    for name in ("kept", "revoked", "deleted", "expired", "narrowed", "inactive"):
        partner = make_partner()
        row, text = tokens.issue(name=name, partner=partner)
        found[name] = (row, tokens.verify(text), partner)
    tokens.revoke(found["revoked"][0])
    found["deleted"][0].delete()
    FeedToken.objects.filter(name="expired").update(expires_at=timezone.now())
    FeedToken.objects.filter(name="narrowed").update(scopes=["hits"])
    found["inactive"][2].active = False
    found["inactive"][2].save()
    with django_assert_num_queries(1):
        refusals = tokens.recheck([grant for _, grant, _ in found.values()])
    codes = {name: refusals[grant].code for name, (_, grant, _) in found.items() if grant in refusals}
    assert codes == {
        "revoked": "token_revoked",
        "deleted": "token_revoked",
        "expired": "token_expired",
        "narrowed": "resync",
        "inactive": "forbidden",
    }


def test_revoking_twice_keeps_the_first_time() -> None:
    """feed-8"""
    row, _ = tokens.issue(name="x", partner=make_partner())
    tokens.revoke(row)
    first = row.revoked_at
    tokens.revoke(row)
    assert row.revoked_at == first


@pytest.mark.parametrize("scopes", [["hits", "everything"], [], ["amounts"]])
def test_scopes_that_make_no_sense_are_refused(scopes: list[str]) -> None:
    """feed-17"""
    with pytest.raises(ValueError, match=r"scope|at least one"):
        tokens.issue(name="x", partner=make_partner(), scopes=scopes)


def test_rotation_keeps_the_terms_and_the_length_of_life() -> None:
    """feed-8"""
    partner = make_partner()
    link = home_link(partner)
    old, _ = tokens.issue(
        name="x", partner=partner, scopes=["hits"], links=[link.pk], expires_at=timezone.now() + timedelta(days=30)
    )
    FeedToken.objects.filter(pk=old.pk).update(
        created_at=timezone.now() - timedelta(days=29), expires_at=timezone.now() + timedelta(days=1)
    )
    old.refresh_from_db()
    new, text = tokens.rotate(old)
    assert tokens.verify(text) == dataclasses.replace(tokens.grant_of(old), token=new.pk)
    assert new.expires_at is not None
    assert timedelta(days=29) < new.expires_at - timezone.now() <= timedelta(days=30)


def test_token_made_twice_is_one_token() -> None:
    """feed-6: a form that is sent again must not make a second one"""
    token_id = tokens.new_id()
    tokens.issue(name="x", partner=make_partner(), token_id=token_id)
    with pytest.raises(TokenExists, match=token_id):
        tokens.issue(name="x", partner=make_partner(), token_id=token_id)
    assert FeedToken.objects.count() == 1
