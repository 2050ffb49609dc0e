"""Both old packages in one project."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from livereferrals import api
from livereferrals.callbacks.models import Subscription
from livereferrals.dashboard.models import DailyLinkTotal, DailyPartnerTotal, DailyTotal, HourlyTotal, RollupState
from livereferrals.tracking.models import Confirmation, Partner, ReferralHit, ReferralLink, Visitor
from tests.factories import make_user
from tests.importing.commands import import_affiliations, import_hype
from tests.importing.old_tables import (
    AFFILIATIONS,
    BEGAN,
    HYPE,
    change,
    create,
    hype_hit,
    hype_link,
    old_partner,
    old_subscription,
    old_visitor,
)

pytestmark = pytest.mark.django_db
DRAWN = {"id", "uid", "user_key", "partner_id", "link_id", "updated_at", "created_at", "trace"}
"""Columns that chance or the time of the import has a hand in; what `KEPT` names is looked at all the same."""
KEPT: dict[Any, tuple[str, ...]] = {
    Partner: ("uid",),
    Visitor: ("id", "created_at"),
    ReferralHit: ("id", "created_at", "link__identifier", "partner__uid"),
    Confirmation: ("id", "hit_id", "hit__link__identifier", "partner__uid"),
    ReferralLink: ("partner__uid",),
    Subscription: ("partner__uid",),
}
MODELS = (
    Partner,
    ReferralLink,
    Subscription,
    Visitor,
    ReferralHit,
    Confirmation,
    DailyTotal,
    DailyPartnerTotal,
    HourlyTotal,
)


def rows() -> dict[str, list[str]]:
    """Return all that the imports have made, as text in an order of its own."""
    return {
        model.__name__: sorted(
            str(row)
            for row in model._default_manager.values(
                *(field.attname for field in model._meta.concrete_fields if field.attname not in DRAWN),
                *KEPT.get(model, ()),
            )
        )
        for model in MODELS
    }


def empty() -> None:
    for model in (
        Confirmation,
        ReferralHit,
        Visitor,
        Subscription,
        ReferralLink,
        Partner,
        *MODELS,
        DailyLinkTotal,
        RollupState,
    ):
        model._default_manager.all().delete()


def test_either_order_gives_the_same_rows(db: None) -> None:
    """I-14: also where a link of the one is named like a partner of the other"""
    create(HYPE)
    create(AFFILIATIONS)
    ann, bob = make_user(), make_user()
    link, clash = hype_link(user_id=ann.pk), hype_link(identifier="moox6esi")
    hype_hit(link, hit_user_id=bob.pk, confirmed=BEGAN + timedelta(days=1))
    hype_hit(clash)
    partner = old_partner()
    old_subscription(partner)
    old_visitor(partner, bob.pk, successful_on=BEGAN + timedelta(days=2))
    import_hype()
    out = import_affiliations()
    hype_first = rows()
    assert "1 read = 1 imported" in out
    empty()
    import_affiliations()
    import_hype()
    assert rows() == hype_first
    assert ReferralHit.objects.count() == 2


def test_what_was_erased_stays_erased(db: None) -> None:
    """I-02, Y-03: another run does not bring back whose hits they were"""
    create(HYPE)
    create(AFFILIATIONS)
    bob = make_user()
    link = hype_link()
    hype_hit(link, hit_user_id=bob.pk, confirmed=BEGAN + timedelta(days=1))
    late = hype_hit(link, hit_user_id=bob.pk)
    old_visitor(old_partner(), bob.pk, successful_on=BEGAN + timedelta(days=2))
    import_hype()
    import_affiliations()
    api.erase_user(bob)
    assert "Nothing was added." in import_hype() + import_affiliations()
    change("hype_referralhit", late, confirmed=BEGAN + timedelta(days=3))  # the old site has gone on
    assert "since it was imported" not in import_hype()
    assert Confirmation.objects.filter(hit=late).exists()
    assert not Visitor.objects.exists()
    for model in (ReferralHit, Confirmation):
        assert not model._default_manager.exclude(user=None, visitor=None).exists()
        assert model._default_manager.count() > 0
