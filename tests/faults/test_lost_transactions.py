"""A host's transaction that is lost while we work in it: the host hears of it, and answers nobody that it was done."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import DatabaseError, OperationalError, connection, transaction
from django.test import Client

from livereferrals.tracking.models import Confirmation
from livereferrals.triggers import Trigger, complete_trigger
from tests.callbacks.running import LOOPBACK
from tests.factories import PASSWORD, make_hit, make_link, make_order, make_subscription, make_user
from tests.shop.models import Order
from tests.shop.signals import order_paid
from tests.shop.triggers import TRIGGERS

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _triggers(settings: Any) -> None:
    settings.LIVEREFERRALS = {"TRIGGERS": TRIGGERS, "CALLBACKS": {"WORKER": "off", "ALLOW": LOOPBACK}}


@contextlib.contextmanager
def lost_at(statement: str) -> Iterator[None]:
    """Lose the transaction at the first statement that begins so: by the end of the session, or of the disk's room."""
    is_lost = False

    def lose(go_on: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        nonlocal is_lost
        if is_lost or not sql.replace('"', "").startswith(statement):
            return go_on(sql, parameters, many, context)
        is_lost = True
        if connection.vendor == "postgresql":
            end_session()
            return go_on(sql, parameters, many, context)
        # SQLite docs, "Response To Errors Within A Transaction": I/O errors and a full disk may roll back all of it.
        context["connection"].connection.execute("ROLLBACK")
        raise OperationalError("disk I/O error")

    with connection.execute_wrapper(lose):
        yield
    assert is_lost


def end_session() -> None:
    """End this thread's session as an operator or a restart does."""
    pid = connection.connection.info.backend_pid
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as outside:
        outside.execute("SELECT pg_terminate_backend(%s)", [pid])


@pytest.mark.parametrize("statement", ["INSERT INTO livereferrals_confirmation", "UPDATE livereferrals_visitor"])
def test_account_that_is_lost_in_a_trigger_or_a_claim_is_not_taken_for_made(statement: str) -> None:
    """S-26, C-13: the view gets the error, and the visitor no redirect as if there were an account"""
    make_subscription(partner=make_link(identifier="abc123").partner, trigger="User registered")
    client = Client(raise_request_exception=False)
    client.get("/ref/abc123", headers={"User-Agent": "Mozilla/5.0"})
    with lost_at(statement):
        answer = client.post("/signup/", {"username": "ann", "password1": PASSWORD, "password2": PASSWORD})
    assert (answer.status_code, User.objects.count(), Confirmation.objects.count()) == (500, 0, 0)


async def confirms_without_waiting(sender: Any, affiliate_trigger_name: str, visitor: Any, **kwargs: Any) -> Any:
    """A host's own receiver; what it asks of the database is asked in the transaction of who sends."""
    return await sync_to_async(complete_trigger)(None, affiliate_trigger_name, visitor=visitor)


def test_order_that_is_lost_in_an_async_receiver_is_not_taken_for_placed(settings: Any) -> None:
    """S-26, S-22: `send` from synchronous code"""
    own = Trigger("own", signal=order_paid, receiver=confirms_without_waiting)
    settings.LIVEREFERRALS = {"TRIGGERS": [own]}
    visitor = make_hit(link=make_link(owner="house")).visitor

    @transaction.atomic
    def place_order() -> None:
        order_paid.send(Order, order=make_order(), visitor=visitor)

    with lost_at("INSERT INTO livereferrals_confirmation"), pytest.raises(DatabaseError):
        place_order()
    assert not Order.objects.exists()


def test_order_that_is_lost_in_a_trigger_is_not_taken_for_placed() -> None:
    """S-26: and once more it is placed, and confirmed"""
    make_subscription(partner=make_link(identifier="abc123").partner)
    client = Client(raise_request_exception=False)
    client.get("/ref/abc123", headers={"User-Agent": "Mozilla/5.0"})
    client.force_login(make_user())
    order = {"number": "A-1", "total": "12.50", "currency": "EUR"}
    with lost_at("INSERT INTO livereferrals_confirmation"):
        answer = client.post("/buy/", order)
    assert (answer.status_code, Order.objects.count(), Confirmation.objects.count()) == (500, 0, 0)
    assert client.post("/buy/", order).status_code == 201
    assert Order.objects.get().number == Confirmation.objects.get().reference == "A-1"
