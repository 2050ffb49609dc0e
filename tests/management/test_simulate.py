"""`simulate`: visitors over HTTP, what is found of them, and their going without a trace in what counts."""

from __future__ import annotations

import json
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db.models import Sum

from livereferrals import api
from livereferrals.dashboard import deltas, rebuilding, rollups
from livereferrals.dashboard.models import DailyPartnerTotal, DailyTotal
from livereferrals.events.models import Event, EventLog
from livereferrals.management.simulating import Journey, TurnedAway, ground, stamps
from livereferrals.management.simulating.forms import forms_of
from livereferrals.tracking.models import Confirmation, Origin, Partner, ReferralHit, Visitor
from tests import factories
from tests.servers import daphne_server
from tests.shop.triggers import TRIGGERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import Settings

    from livereferrals.management.simulating import Visit
    from tests.servers import HostServer


@pytest.fixture(autouse=True)
def triggers(settings: Settings) -> None:
    settings.LIVEREFERRALS = settings.LIVEREFERRALS | {"TRIGGERS": TRIGGERS}


@pytest.fixture
def server(transactional_db: None) -> Iterator[HostServer]:
    with daphne_server(LIVEREFERRALS={"CALLBACKS": {"WORKER": "off"}}) as running:
        yield running


class Refused(Journey):
    """Somebody whom the shop turns away after the link."""

    async def browse(self, visit: Visit) -> None:
        raise TurnedAway("closed")


def simulate(*arguments: str) -> dict[str, Any]:
    out = StringIO()
    try:
        call_command("livereferrals", "simulate", "--json", *arguments, stdout=out)
    except CommandError as error:
        raise CommandError(f"{error} {out.getvalue()}") from error
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def totals() -> dict[str, list[str]]:
    """Return every row of the totals."""
    rollups.advance()
    return {
        model.__name__: sorted(
            map(repr, model._default_manager.values_list(*place, "trigger", "currency", *deltas.COLUMNS))
        )
        for model, place in rollups.PLACES.items()
    }


def real_life() -> None:
    """Have a real visitor follow a real link, and buy."""
    partner = factories.make_partner()
    factories.make_subscription(partner=partner, trigger="Order paid")
    hit = api.record_hit(factories.home_link(partner))
    assert api.confirm("Order paid", visitor=hit.visitor, reference="A-1", amount=12, currency="EUR").created


def test_what_is_simulated_is_found_marked_and_taken_away_again(server: HostServer) -> None:
    """O-03: expected and found agree; afterwards rows and totals are as before, and the log says so too."""
    real_life()
    before = totals()
    crowd = ("--visitors", "12", "--rate", "1000", "--pace", "1000", "--seed", "3", "--base-url", server.url())
    told = simulate(*crowd, "--sign-up", "/signup/", "--order", "/buy/", "--callback", "https://partner.example/called")

    numbers = {line["name"]: line for line in told["numbers"]}
    assert told["ok"]
    assert all(line["difference"] == 0 and line["found"] > 0 for line in numbers.values()), told
    assert numbers["visitors"]["found"] == 12
    assert {"confirmations of 'Order paid'", "confirmations of 'User registered'", "deliveries"} < set(numbers)
    simulated = ReferralHit.objects.filter(origin=Origin.SIMULATION)
    assert simulated.count() == numbers["hits"]["found"]
    assert {stamps.run_of(click) for click in simulated.values_list("click_id", flat=True)} == {told["run"]}
    assert Confirmation.objects.filter(origin=Origin.SIMULATION).count() == Confirmation.objects.count() - 1
    reversed_one = Confirmation.objects.filter(origin=Origin.SIMULATION, trigger="Order paid").first()
    assert api.reverse(reversed_one, reason="refund").created
    assert totals() != before
    head = Event.objects.count()

    removed = simulate("--clean")["removed"]
    assert removed["hits"] == numbers["hits"]["found"]
    assert removed["users"] == numbers["claimed visitors"]["found"]
    assert (ReferralHit.objects.count(), Visitor.objects.count(), Confirmation.objects.count()) == (1, 1, 1)
    assert not ground.partners().exists()
    assert not get_user_model().objects.exists()
    assert totals() == before
    assert Event.objects.count() == head, "the log has no gaps"
    assert rebuilding.check() == []
    rebuilding.rebuild()
    assert totals() == before
    assert simulate("--clean")["removed"] == {}


def test_a_real_hit_on_a_simulated_link_stays_and_so_does_its_partner(server: HostServer) -> None:
    """O-03: what has no stamp of this project is nobody's simulation, whatever its click id says.

    Of what the log has forgotten meanwhile the rows tell what they had added to the totals.
    """
    crowd = ("--visitors", "6", "--rate", "1000", "--pace", "1000", "--base-url", server.url())
    assert simulate(*crowd)["ok"]
    rollups.advance()
    pruned = EventLog.objects.get().head // 2
    Event.objects.filter(seq__lte=pruned).delete()
    EventLog.objects.update(oldest=pruned)
    partner = ground.partners().get()
    api.record_hit(factories.home_link(partner), click_id="simulated-abcdef-1-0123456789ab")
    with pytest.raises(CommandError, match="1 hits on its links are not simulated"):
        simulate("--clean")
    assert ReferralHit.objects.get().click_id.startswith("simulated-abcdef")
    assert Partner.objects.filter(pk=partner.pk).exists()
    rollups.advance()
    assert DailyTotal.objects.aggregate(Sum("hits"), Sum("visitors")) == {"hits__sum": 1, "visitors__sum": 1}
    assert DailyPartnerTotal.objects.aggregate(Sum("hits")) == {"hits__sum": 1}


def test_who_is_turned_away_is_told_of_and_a_difference_ends_with_1(server: HostServer) -> None:
    """O-03"""
    crowd = ("--visitors", "20", "--rate", "1000", "--pace", "1000", "--base-url", server.url(), "--settle", "0.1")
    with pytest.raises(CommandError, match="of the visitors were turned away"):
        simulate(*crowd, "--seed", "1", "--journey", f"{__name__}.Refused")
    with pytest.raises(CommandError, match="not what was expected"):
        simulate(*crowd, "--sign-up", "/signup/", "--sign-up-trigger", "Order paid", "--seed", "1")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--base-url", "https://shop.example"], "not on this machine"),
        (["--base-url", "http://127.0.0.1.shop.example"], "not on this machine"),
        (["--base-url", "shop.example"], "no address of a site"),
        (["--rate", "0"], "above nought"),
        (["--visitors", "0"], "one at least"),
        (["--order-trigger", "Nothing"], "No trigger is named 'Nothing'. There are: 'User registered', 'Order paid'"),
        (["--journey", "nowhere.Journey"], "No module named 'nowhere'"),
        (["--journey", "tests.factories.make_hit"], "is no class that is made from"),
        (["--callback", "http://10.0.0.1/", "--sign-up", "/"], "--callback"),
        (["--base-url", "http://127.0.0.1:9"], "Nothing answers"),
    ],
    ids=[
        "elsewhere",
        "lookalike",
        "no URL",
        "no rate",
        "nobody",
        "trigger",
        "module",
        "no class",
        "callback",
        "silent",
    ],
)
def test_a_bad_argument_is_told_before_anybody_is_sent(arguments: list[str], message: str) -> None:
    """O-03"""
    with pytest.raises(CommandError, match=message):
        simulate(*arguments)
    assert not ReferralHit.objects.exists()


@pytest.mark.once
def test_a_stamp_is_this_projects_alone(settings: Settings) -> None:
    stamp = stamps.stamp("0a1b2c", 7)
    assert stamp.startswith("simulated-0a1b2c-7-")
    assert stamp == stamp.lower()
    assert stamps.run_of(stamp) == "0a1b2c"
    assert stamps.run_of(stamp.replace("-7-", "-8-")) is None
    assert stamps.run_of("") is None
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", [settings.SECRET_KEY]
    assert stamps.run_of(stamp) == "0a1b2c"
    settings.SECRET_KEY_FALLBACKS = []
    assert stamps.run_of(stamp) is None


PAGE = """
<form action="/search"><input name="q"></form>
<form method="POST" action="/in"><input type="hidden" name="token" value="t"><input name="name" required>
<input type="checkbox" name="news"><input type="checkbox" name="terms" required value="yes"><input type="file" name="f">
<input type="radio" name="tea" value="a"><input type="radio" name="tea" value="b"><input name="off" disabled>
<input type="radio" name="milk" value="no"><input type="radio" name="milk" value="yes" checked>
<select name="size"><option value="">?</option><option value="s">S</option><option value="m">M</option></select>
<select name="shop"><option value="1">1</option><option value="2" selected>2</option></select>
<textarea name="note">x</textarea><button name="go" value="1">Go</button></form><input name="stray">
"""


@pytest.mark.once
def test_a_form_is_sent_as_a_browser_would() -> None:
    search, form = forms_of(PAGE)
    assert (search.is_post, form.is_post, form.action) == (False, True, "/in")
    assert [field.name for field in form.empty()] == ["name", "note"]
    assert form.values({"name": "Ann"}) == [
        ("token", "t"),
        ("name", "Ann"),
        ("terms", "yes"),
        ("tea", "a"),
        ("milk", "yes"),
        ("size", "s"),
        ("shop", "2"),
        ("note", ""),
    ]
