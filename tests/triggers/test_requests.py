"""Triggers in requests, threads and tasks: whose request it is, and what it costs."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connections
from django.http import HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.urls import path
from django.utils import timezone

from livereferrals.callbacks.models import Delivery
from livereferrals.events.models import Event, EventType
from livereferrals.tracking.current import answering, current_request
from livereferrals.tracking.middleware import attach
from livereferrals.tracking.models import Confirmation, ReferralHit
from livereferrals.tracking.reasons import Reason
from livereferrals.triggers import Trigger, complete_trigger
from tests.factories import make_hit, make_link, make_partner, make_subscription, make_user, make_visitor
from tests.shop.signals import order_paid
from tests.tracking.browsers import Statements
from tests.urls import urlpatterns as shop_urls

if TYPE_CHECKING:
    from types import SimpleNamespace

    from django.http import HttpRequest
    from pytest_django import Settings

    from tests.triggers.conftest import Declare

PAID = "Order paid"
MANUAL: dict[str, Any] = {"signal": order_paid, "receiver": "livereferrals.triggers.signal_sent"}
pytestmark = pytest.mark.django_db

seen: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def _unseen() -> None:
    seen.clear()


# --- a host's views -----------------------------------------------------------------------------------------------------------


def counted(request: HttpRequest) -> HttpResponse:
    """Confirm once session and user are read, as in most views, and count what that costs."""
    bool(request.user.is_authenticated)
    with Statements() as statements:
        seen["result"] = complete_trigger(request, PAID, reference="A-1", amount=1, currency="EUR")
    seen["made"] = statements.made
    return HttpResponse()


def in_a_thread(request: HttpRequest) -> HttpResponse:
    """Leave the confirming to a thread, without, and then with, what it needs to know."""

    def run() -> None:
        seen["request"] = current_request()
        seen["nobody"] = complete_trigger(None, PAID, reference="A-1").reason
        seen["by request"] = complete_trigger(request, PAID, reference="A-2").reason
        seen["by visitor"] = complete_trigger(None, PAID, visitor=visitor, reference="A-3").reason
        connections.close_all()

    visitor = request.referral.visitor  # type: ignore[attr-defined] # ours
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return HttpResponse()


async def in_a_task(request: HttpRequest) -> HttpResponse:
    """Start a task that is still at work when the answer has gone."""

    async def later() -> None:
        await seen["go"].wait()
        seen["late"] = (current_request(), await sync_to_async(complete_trigger)(None, PAID, reference="late"))

    seen["task"] = asyncio.create_task(later())
    return HttpResponse()


urlpatterns = [*shop_urls, path("counted/", counted), path("thread/", in_a_thread), path("task/", in_a_task)]


@pytest.fixture
def host(settings: Settings, declare: Declare, world: SimpleNamespace) -> SimpleNamespace:
    """The shop with these views, and a trigger that says once, so that everything is asked."""
    settings.ROOT_URLCONF = __name__
    declare(Trigger(PAID, once=True, **MANUAL), TRIGGER_ERRORS="raise")
    return world


# --- what it costs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("history", ["short", "long"])
@pytest.mark.parametrize("who", ["visitor", "user"])
def test_crediting_inside_a_request_takes_eight_queries_at_most(host: SimpleNamespace, who: str, history: str) -> None:
    """S-27: with a reference and once, a delivery, and a long history whose newest hits are not eligible."""
    client = Client()
    assert client.get("/ref/abc123").status_code == 302
    visitor = ReferralHit.objects.get().visitor
    user = None
    if who == "user":
        user = make_user()
        client.force_login(user)
    if history == "long":
        now = timezone.now() + timedelta(seconds=1)
        ReferralHit.objects.bulk_create(
            ReferralHit(link=host.house1, visitor=visitor, user=user, created_at=now, bot=True) for _ in range(60)
        )
    assert client.get("/counted/").status_code == 200
    assert seen["result"].created
    assert Delivery.objects.count() == 1
    assert len(seen["made"]) <= 8, seen["made"]


def test_a_request_without_a_visitor_costs_nothing(host: SimpleNamespace) -> None:
    """S-27: no cookie and nobody logged in: no query at all for what cannot have hits."""
    assert Client().get("/counted/").status_code == 200
    assert seen["result"].reason is Reason.NO_SUBJECT
    assert len(seen["made"]) <= 1  # a reference may have been confirmed before (S-31 no. 4 comes before no. 6)


# --- whose request it is --------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_thread_of_a_view_has_no_request(declare: Declare, host: SimpleNamespace) -> None:
    """S-24: nobody is known there, never another visitor; the request or the visitor may be passed by hand."""
    declare(Trigger(PAID, **MANUAL), TRIGGER_ERRORS="raise")
    client = Client()
    client.get("/ref/abc123")
    assert client.get("/thread/").status_code == 200
    assert (seen["request"], seen["nobody"]) == (None, Reason.NO_SUBJECT)
    assert (seen["by request"], seen["by visitor"]) == (Reason.CONFIRMED, Reason.CONFIRMED)


@pytest.mark.django_db(transaction=True)
def test_a_task_that_outlives_its_request_has_its_own_or_none(host: SimpleNamespace) -> None:
    """S-25: while another browser's request is being answered."""

    async def run() -> None:
        seen["go"] = asyncio.Event()
        first, second = AsyncClient(), AsyncClient()
        await first.get("/ref/abc123")
        await second.get("/ref/qqq777")
        await first.get("/task/")
        await second.get("/whoami/")
        with answering(RequestFactory().get("/somebody-elses/")):
            seen["go"].set()
            await seen["task"]

    async_to_sync(run)()
    request, result = seen["late"]
    assert request is None or request.path == "/task/"
    assert result.hit is None or result.hit.link.identifier == "abc123"


@pytest.mark.django_db(transaction=True)
def test_signals_sent_asynchronously_find_the_request(declare: Declare, host: SimpleNamespace) -> None:
    """S-22, S-23: `asend` from async code reaches our own receiver, in the request's context."""
    declare(Trigger(PAID, **MANUAL), TRIGGER_ERRORS="raise")
    request = RequestFactory().get("/")
    attach(request).__dict__["visitor"] = make_hit(link=host.abc123).visitor

    async def run() -> Any:
        with answering(request):
            return await order_paid.asend("shop")

    ((_, result),) = async_to_sync(run)()
    assert (result.reason, result.trace["subject"]["how"]) == (Reason.CONFIRMED, "request-visitor")


# --- what a partner sees ---------------------------------------------------------------------------------------------------------


def test_a_partner_sees_nothing_of_others(declare: Declare, host: SimpleNamespace) -> None:
    """A-11: neither in the feed nor in the callback: no other hit, link or partner, no trace, no database id."""
    declare(Trigger(PAID, **MANUAL), TRIGGER_ERRORS="raise")
    user = make_user()
    visitor = make_visitor(user=user)
    now = timezone.now()
    other = make_partner()
    make_subscription(partner=other)
    others = [
        make_hit(link=link, visitor=visitor, user=user, created_at=now - timedelta(days=number))
        for number, link in enumerate([host.qqq777, make_link(partner=other, identifier="rival"), host.house1], 1)
    ]
    own = make_hit(link=host.abc123, visitor=visitor, user=user, created_at=now)
    result = complete_trigger(None, PAID, user=user, reference="A-1", extra={"margin": "secret"})
    assert (result.hit, len(result.trace["hits"])) == (own, 4)
    event, delivery = Event.objects.get(type=EventType.CONFIRMATION), Delivery.objects.get()
    assert (event.partner, delivery.subscription.partner) == ("moox6esi", host.p)
    for told in (json.dumps(event.data), json.dumps(delivery.payload)):
        assert str(own.pk) in told
        for hit in others:
            assert str(hit.pk) not in told
        for secret in ("qqq777", "zk41pp0q", "rival", other.uid, "house1", "secret", "trace", f'"{user.pk}"'):
            assert secret not in told


# --- what changed since ------------------------------------------------------------------------------------------------------------


def test_names_that_left_the_settings_crash_nothing(declare: Declare, world: SimpleNamespace) -> None:
    """S-11: subscriptions and confirmations keep them; confirming says why not, and the old reference is still known."""
    declare(Trigger(PAID, **MANUAL))
    hit = make_hit(link=world.abc123)
    assert complete_trigger(None, PAID, visitor=hit.visitor, reference="A-1").created
    declare(Trigger("Order settled", **MANUAL))
    assert complete_trigger(None, PAID, visitor=hit.visitor, reference="A-2").reason is Reason.UNKNOWN_TRIGGER
    assert str(world.p.subscriptions.get(trigger=PAID)) == "P: Order paid"
    assert Confirmation.objects.get().trigger == PAID


@pytest.mark.parametrize(
    "name", ["x", "Bestellung bezahlt", "注文", "x" * 100], ids=["one", "German", "Japanese", "long"]
)
def test_a_name_is_stable_text_of_any_language(declare: Declare, world: SimpleNamespace, name: str) -> None:
    """S-11: stored on the confirmation as it is."""
    declare(Trigger(name, **MANUAL))
    assert complete_trigger(None, name, visitor=make_hit(link=world.house1).visitor).created
    assert Confirmation.objects.get().trigger == name
