"""What triggers decided, written down beside the host's requests: a capped list and counts by the hour."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import RequestFactory
from django.utils import timezone

from livereferrals.tracking.models import Confirmation
from livereferrals.triggers import Trigger, complete_trigger, firings
from livereferrals.triggers.firings import Recorder, recorder
from livereferrals.triggers.models import TriggerCount, TriggerFiring
from tests.factories import make_hit, make_link, make_order, make_user, make_visitor
from tests.shop.models import Order
from tests.shop.signals import order_paid
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

    from tests.triggers.conftest import Declare

pytestmark = pytest.mark.django_db
PAID = "Order paid"
SIGNAL: dict[str, Any] = {"signal": order_paid, "receiver": "livereferrals.triggers.signal_sent"}


def fails(sender: Any, **kwargs: Any) -> None:
    raise LookupError("the host's own mistake")


def confirms_and_fails(sender: Any, **kwargs: Any) -> None:
    assert complete_trigger(None, PAID, visitor=kwargs["visitor"])
    raise LookupError("the host's own mistake")


def reasons() -> list[str]:
    """Write down what waits and return what all the firings decided, oldest first."""
    recorder.flush()
    return list(TriggerFiring.objects.order_by("pk").values_list("reason", flat=True))


def no() -> None:
    """Have the declared trigger decide that nobody is known."""
    assert not complete_trigger(RequestFactory().get("/"), PAID)


def test_every_decision_is_written_down_with_its_reason(
    declare: Declare, django_capture_on_commit_callbacks: Any
) -> None:
    """dashboard-36, S-31: the yes with its confirmation, each no with its trace, and an unknown name"""
    declare(Trigger(PAID, user="customer", reference="number", **SIGNAL))
    buyer = make_user()
    make_hit(visitor=make_visitor(user=buyer), link=make_link(owner="house"))
    with django_capture_on_commit_callbacks(execute=True):
        order_paid.send(Order, instance=make_order(customer=buyer, number="A-1"))
    order_paid.send(Order, instance=make_order(customer=buyer, number="A-1"))
    order_paid.send(Order, instance=make_order(customer=make_user()))
    complete_trigger(None, "Nobody declared this")
    assert reasons() == ["confirmed", "duplicate-reference", "no-hits", "unknown-trigger"]
    first, second, third, last = TriggerFiring.objects.order_by("pk")
    assert first.confirmation == Confirmation.objects.get().pk
    assert (first.trigger, first.receiver) == (PAID, "livereferrals.triggers.signal_sent")
    assert first.trace is not None
    assert [each["verdict"] for each in first.trace["hits"]] == ["credited"]
    assert first.duration_ms
    assert (second.confirmation, (third.trace or {})["outcome"]) == (None, "no-hits")
    assert (last.trigger, last.receiver) == (
        "Nobody declared this",
        "livereferrals.triggers.receivers.complete_trigger",
    )


def test_nothing_written_down_leads_to_a_person(declare: Declare) -> None:
    """dashboard-36: how somebody was found stays, who it was does not"""
    declare(Trigger(PAID, user="customer", **SIGNAL))
    visitor = make_visitor(user=make_user())
    make_hit(visitor=visitor, link=make_link(owner="house"), bot=True)
    order_paid.send(Order, instance=make_order(customer=visitor.user))
    assert reasons() == ["bot"]
    trace = TriggerFiring.objects.get().trace
    assert trace is not None
    assert trace["subject"] == {"how": "mapping"}
    assert str(visitor.pk) not in str(trace)


def test_rolled_back_confirmation_never_fired_but_a_no_did(declare: Declare) -> None:
    """dashboard-5, S-26: a receiver that raises counts as failed, whatever it had confirmed before"""
    declare(Trigger(PAID, signal=order_paid, receiver=confirms_and_fails))
    visitor = make_hit(link=make_link(owner="house")).visitor
    order_paid.send(Order, visitor=visitor)
    with transaction.atomic():
        assert complete_trigger(None, PAID, visitor=visitor)
        no()
        transaction.set_rollback(True)
    assert not Confirmation.objects.exists()
    assert reasons() == ["error", "no-subject"]
    assert TriggerFiring.objects.order_by("pk")[0].receiver == f"{__name__}.confirms_and_fails"


@pytest.mark.parametrize("errors", ["log", "raise"])
def test_receiver_that_raises_has_failed(declare: Declare, errors: str) -> None:
    """S-26, dashboard-36"""
    declare(Trigger(PAID, signal=order_paid, receiver=fails), TRIGGER_ERRORS=errors)
    if errors == "raise":
        with pytest.raises(LookupError):
            order_paid.send(Order)
    else:
        order_paid.send(Order)
    assert reasons() == ["error"]


def test_request_pays_no_query_for_it(declare: Declare, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    """S-27: neither before nor after what it decided"""
    declare(Trigger(PAID, **SIGNAL))
    with django_assert_num_queries(0):
        for _ in range(3):
            order_paid.send(Order)
    assert reasons() == ["no-subject"] * 3


def test_counts_add_up_by_the_hour_and_the_list_is_capped(declare: Declare, monkeypatch: pytest.MonkeyPatch) -> None:
    """dashboard-36: the last 1,000 are kept; the counts go on"""
    declare(Trigger(PAID, **SIGNAL))
    monkeypatch.setattr(firings, "KEPT", 5)
    for _ in range(4):
        no()
        no()
        assert recorder.flush() == 2
    assert TriggerFiring.objects.count() == 5
    row = TriggerCount.objects.get()
    assert (row.trigger, row.reason, row.count) == (PAID, "no-subject", 8)
    assert (row.hour.minute, row.hour.second) == (0, 0)


def test_counts_of_long_ago_are_forgotten(declare: Declare) -> None:
    """dashboard-36: once an hour, those of more than 90 days"""
    declare(Trigger(PAID, **SIGNAL))
    old = TriggerCount.objects.create(
        trigger=PAID, hour=timezone.now() - firings.COUNTS_FOR * 2, reason="no-hits", count=3
    )
    mine = Recorder()
    mine.paused = True
    mine.take(TriggerFiring(trigger=PAID, fired_at=timezone.now(), reason="no-hits"))
    mine.flush()
    assert not TriggerCount.objects.filter(pk=old.pk).exists()
    assert TriggerCount.objects.get().count == 1


def test_what_cannot_be_written_waits_and_stays_bounded(declare: Declare, monkeypatch: pytest.MonkeyPatch) -> None:
    """dashboard-36: a database that is away loses none of the counts, and the newest of the list"""
    declare(Trigger(PAID, **SIGNAL))
    no()
    with monkeypatch.context() as patched:
        patched.setattr(TriggerFiring._meta, "db_table", "there_is_no_such_table")
        with pytest.raises(DatabaseError):
            recorder.flush()
    for _ in range(firings.KEPT):
        no()
    assert recorder.flush() == firings.KEPT
    assert TriggerCount.objects.get().count == firings.KEPT + 1


@pytest.mark.django_db(transaction=True)
def test_thread_writes_by_itself_and_gives_its_connection_back(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    """dashboard-36: within a second or two, from a thread of its own"""
    declare(Trigger(PAID, **SIGNAL))
    monkeypatch.setattr(firings, "IDLE_CLOSE_S", 0.05)
    monkeypatch.setattr(firings, "EVERY_S", 0.05)
    mine = Recorder()
    monkeypatch.setattr(firings, "recorder", mine)
    monkeypatch.setattr("atexit.register", lambda hook: None)
    no()
    wait_until(TriggerFiring.objects.exists, what="The firing")
    assert not connection.in_atomic_block
    no()
    wait_until(lambda: TriggerFiring.objects.count() == 2, what="The next firing")
    mine.paused = True


COMMAND = """
import django; django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from livereferrals.triggers import complete_trigger
complete_trigger(None, "Order paid")
"""
AFTERWARDS = """
import django; django.setup()
from livereferrals.triggers.models import TriggerFiring
print(list(TriggerFiring.objects.values_list("reason", flat=True)))
"""


@pytest.mark.once
def test_command_that_ends_at_once_loses_nothing(tmp_path: Any) -> None:
    """dashboard-36: what a process decided in its last second is written when it ends in peace"""
    environment = {
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "TEST_DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
        "TEST_SCRATCH": str(tmp_path),
        "PATH": "",
    }
    for code, said in ((COMMAND, ""), (AFTERWARDS, "['unknown-trigger']\n")):
        done = subprocess.run(  # noqa: S603 - our own code
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=240
        )
        assert done.stdout == said
