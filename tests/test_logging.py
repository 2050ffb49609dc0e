"""What the log says, and what it never says."""

from __future__ import annotations

import ast
import io
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.core.management import call_command
from django.db import transaction

from livereferrals import api, testing
from livereferrals.callbacks.models import SigningSecret
from livereferrals.triggers import Trigger
from tests.factories import PASSWORD, home_link, make_staff, make_user
from tests.shop.models import Order
from tests.shop.signals import order_paid

if TYPE_CHECKING:
    from django.test import Client
    from pytest_django import Settings

ROOT = Path(__file__).resolve().parent.parent
PAID = "Order paid"
PERSON = {
    "username": "carla-surname",
    "email": "carla@person.example",
    "first_name": "Carlotta",
    "last_name": "Zwetschgenbaum",
}
ADDRESS, AGENT, PAGE = "203.0.113.77", "Mozilla/5.0 VeryOwnBrowser/7", "https://diary.example/of-carla"


def test_every_logger_is_of_one_tree() -> None:
    """O-12: `livereferrals.*`, so that a host sets it up once"""
    for path in (ROOT / "livereferrals").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "getLogger":
                named = ast.unparse(node.args[0])
                assert named in {"__name__", "'livereferrals'", "'asyncio'"}, f"{path}: {named}"


@pytest.mark.django_db(transaction=True)
def test_nothing_personal_and_no_secret_is_in_the_log(
    client: Client, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """O-12: ids only, above debug level: a hit, a claim, an order, a callback that fails, a refused token, an erasure"""
    trigger = Trigger(PAID, signal="tests.shop.signals.order_paid", receiver="livereferrals.triggers.signal_sent",
                      sender="shop.Order", user="customer", reference="number")  # fmt: skip
    settings.LIVEREFERRALS = settings.LIVEREFERRALS | {"TRIGGERS": [trigger]}
    caplog.set_level(logging.INFO, logger="livereferrals")
    with testing.CallbackReceiver() as receiver:
        receiver.answer_with(500, b"no such carla@person.example")
        url = f"{receiver.url}?token=very-secret-token&who={{visitor_id}}"
        partner = testing.make_partner("Acme", triggers=[PAID], callback_url=url)
        person, boss = make_user(**PERSON), make_staff(username="boss")
        sent = {"user-agent": AGENT, "referer": PAGE}
        client.get(f"/ref/{home_link(partner).identifier}", headers=sent, REMOTE_ADDR=ADDRESS)
        client.post("/login/", {"username": person.username, "password": PASSWORD})
        with transaction.atomic():
            order_paid.send(Order, instance=Order.objects.create(customer=person, number="A-1"))
        assert testing.deliver_callbacks() == 1
    printed = io.StringIO()
    call_command("livereferrals", "token", "create", "--partner", partner.uid, "for a test", stdout=printed)
    token = max(printed.getvalue().split(), key=len)
    assert token.startswith("lrf_")
    client.get("/referrals/feed/v1/poll", headers={"authorization": f"Bearer {token}x"})
    client.get("/referrals/feed/v1/poll", headers={"authorization": f"Bearer {token}"})
    api.erase_user(person, by=boss)
    ours = [record for record in caplog.records if record.name.startswith("livereferrals.")]
    assert {"callback.attempted", "user.erased"} <= {getattr(record, "action", "") for record in ours}
    whole = "\n".join(f"{record.getMessage()} {vars(record)}" for record in ours)
    secrets = [SigningSecret.objects.get().value, token, "very-secret-token", PASSWORD]
    for word in (*PERSON.values(), ADDRESS, "203.0.113.0", AGENT, PAGE, "boss", *secrets):
        assert word not in whole
