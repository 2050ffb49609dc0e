"""`undo-import` takes an import back, and leaves it alone where something refers to what it has made."""

from __future__ import annotations

import re
from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from livereferrals import api
from livereferrals.callbacks.models import Endpoint, SigningSecret, Subscription
from livereferrals.dashboard import rebuilding, rollups
from livereferrals.dashboard.models import RollupState
from livereferrals.management.importing import source
from livereferrals.management.importing.referring import referring
from livereferrals.tracking import claiming
from livereferrals.tracking.models import Confirmation, Partner, ReferralHit, ReferralLink, Visitor
from tests.factories import home_link, make_delivery, make_hit, make_link, make_partner, make_user
from tests.importing.commands import import_affiliations, import_hype, run
from tests.importing.old_tables import (
    AFFILIATIONS,
    BEGAN,
    HYPE,
    create,
    hype_hit,
    hype_link,
    old_partner,
    old_subscription,
    old_visitor,
)
from tests.shop.triggers import TRIGGERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

pytestmark = pytest.mark.django_db
MODELS = (Partner, ReferralLink, Visitor, ReferralHit, Confirmation, Subscription, Endpoint, SigningSecret)
LATER = BEGAN + timedelta(days=2)


@pytest.fixture(autouse=True)
def real_life(db: None, settings: Settings) -> None:
    """The site has a partner and a hit of its own."""
    settings.LIVEREFERRALS = settings.LIVEREFERRALS | {"TRIGGERS": TRIGGERS}
    api.record_hit(home_link(make_partner()))


def hype() -> None:
    create(HYPE)
    bob = make_user()
    link = hype_link()
    hype_hit(link, hit_user_id=bob.pk, confirmed=LATER)
    hype_hit(link, hit_user_id=bob.pk, created=BEGAN + timedelta(hours=2))
    hype_hit(hype_link(identifier=""), created=BEGAN + timedelta(hours=3))
    import_hype()


def affiliations() -> None:
    create(AFFILIATIONS)
    acme, other = old_partner(), old_partner(uid="zk41pp0q")
    old_subscription(acme)
    old_subscription(acme, trigger="Order paid", callback_url="not a URL")
    old_visitor(acme, make_user().pk, successful_on=LATER)
    old_visitor(other, make_user().pk)
    import_affiliations()


IMPORTS = {"hype": hype, "affiliations": affiliations}


def everything() -> dict[str, Any]:
    """Return what there is, totals included."""
    rollups.advance()
    rows = {model.__name__: sorted(map(str, model._default_manager.values_list("pk", flat=True))) for model in MODELS}
    totals = {
        model.__name__: sorted(
            map(
                repr,
                model._default_manager.exclude(hits=0, confirmations=0).values_list(
                    *place, "trigger", "hits", "confirmations"
                ),
            )
        )
        for model, place in rollups.PLACES.items()
    }
    return rows | totals | {"imported": list(RollupState.objects.values_list("imported_upto", flat=True))}


@pytest.mark.parametrize("package", IMPORTS)
def test_afterwards_everything_is_as_it_was(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """I-15: rows, totals and what the log vouches for; a second time there is nothing, and it can be imported anew"""
    monkeypatch.setattr(source, "BATCH", 1)
    before = everything()
    IMPORTS[package]()
    imported = everything()
    assert imported != before
    assert "Nothing was written" in run("undo-import", package, "--dry-run")
    assert everything() == imported

    told = run("undo-import", package)
    assert "hits removed" in told
    assert everything() == before
    assert rebuilding.check() == []
    assert "There was nothing to take back." in run("undo-import", package)
    {"hype": import_hype, "affiliations": import_affiliations}[package]()
    again = everything()
    assert again["ReferralHit"] == imported["ReferralHit"]
    assert again["DailyTotal"] == imported["DailyTotal"]


def an_own_hit() -> None:
    api.record_hit(ReferralLink.objects.get(identifier="ann1"))


def a_follow() -> None:
    hit = ReferralHit.objects.filter(link__identifier="ann1").first()
    api.record_hit(home_link(make_partner()), visitor=hit.visitor if hit else None)


def an_order() -> None:
    visitor = Visitor.objects.filter(hits__link__identifier="ann1").first()
    assert api.confirm("Order paid", visitor=visitor, reference="A-1", occurred_at=LATER).created


def a_login() -> None:
    visitor = Visitor.objects.get(user__isnull=True, hits__origin="import")
    assert claiming.claim(visitor, user=make_user(), now=visitor.created_at)


def a_reversal() -> None:
    assert api.reverse(Confirmation.objects.get(), reason="fraud").created


@pytest.mark.parametrize(
    ("happens", "told"),
    [
        (an_own_hit, "link .*: hits"),
        (a_follow, "visitor .*: events, hits"),
        (an_order, "hit .*: confirmations"),
        (a_login, "visitor .*: events"),
        (a_reversal, "confirmation .*: reversals"),
    ],
    ids=["hit on its link", "hit of its visitor", "confirmation of its hit", "claim of its visitor", "reversal"],
)
def test_what_is_referred_to_keeps_the_whole_import(happens: Callable[[], None], told: str) -> None:
    """I-15: nothing is written, and it is said what refers to what"""
    hype()
    happens()
    before = everything()
    out = StringIO()
    with pytest.raises(CommandError, match="Something refers to rows that were imported; nothing was taken back"):
        run("undo-import", "hype", out=out)
    assert everything() == before
    assert re.search(told, out.getvalue()), out.getvalue()


def test_who_refers_is_asked_once_however_often_they_do() -> None:
    """I-15, I-06: a link may have had millions of hits since it was imported"""
    link = make_link()
    for _ in range(3):
        make_hit(link=link)
    with CaptureQueriesContext(connection) as asked:
        assert referring(ReferralLink, [link.pk], but={}, using="default") == {link.pk: {"hits"}}
    assert {query["sql"].startswith("SELECT DISTINCT") for query in asked} == {True}


def test_a_partner_that_is_owed_something_stays() -> None:
    """I-15: with its subscription"""
    affiliations()
    subscription = Subscription.objects.get(trigger="Order paid")
    make_delivery(subscription=subscription)
    before = everything()
    with pytest.raises(CommandError, match="nothing was taken back"):
        run("undo-import", "affiliations")
    assert everything() == before


def test_a_subscription_of_ones_own_keeps_an_imported_partner() -> None:
    """I-15"""
    affiliations()
    Subscription.objects.create(partner=Partner.objects.get(uid="moox6esi"), trigger="Review written")
    with pytest.raises(CommandError, match="nothing was taken back"):
        run("undo-import", "affiliations")


def test_without_the_old_tables_it_is_told() -> None:
    """I-15, I-01"""
    with pytest.raises(CommandError, match=r"There are no tables of django-hype 1\.0"):
        run("undo-import", "hype")
