"""What a host's transactions do to the debt: it commits or vanishes with them, once, and is paid without a hook."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction

from livereferrals import api
from livereferrals.callbacks.models import Delivery, DeliveryState
from livereferrals.events import hints
from livereferrals.tracking.models import Confirmation
from tests.callbacks.running import LOOPBACK, running_worker, subscribe, wait_for_state
from tests.factories import make_hit, make_link
from tests.servers import server_environment
from tests.shop.triggers import TRIGGERS
from tests.waiting import wait_until

if TYPE_CHECKING:
    from livereferrals.callbacks.models import Subscription
    from livereferrals.tracking.models import ReferralHit
    from tests.partner import PartnerSink

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _triggers(settings: Any) -> None:
    settings.LIVEREFERRALS = {"TRIGGERS": TRIGGERS, "CALLBACKS": {"WORKER": "off", "ALLOW": LOOPBACK}}


@pytest.fixture
def subscription(sink: PartnerSink) -> Subscription:
    return subscribe(sink.url())


@pytest.fixture
def hit(subscription: Subscription) -> ReferralHit:
    return make_hit(link=make_link(partner=subscription.partner))


def references_called(sink: PartnerSink) -> list[str]:
    return [call.json()["data"]["reference"] for call in sink.calls]


def confirm_and_fail(hit: ReferralHit, reference: str) -> None:
    """Confirm in a transaction, or savepoint, that is rolled back."""
    with contextlib.suppress(ZeroDivisionError), transaction.atomic():
        assert api.confirm("Order paid", hit=hit, reference=reference).created
        raise ZeroDivisionError


def test_rolled_back_confirmation_owes_nothing(sink: PartnerSink, hit: ReferralHit) -> None:
    """callback-F46, X-42: no row, no request, no hint that anybody acts on."""
    with running_worker():
        confirm_and_fail(hit, "A-1")
        assert not Delivery.objects.exists()
        assert not Confirmation.objects.exists()
        api.confirm("Order paid", hit=hit, reference="A-2")
        wait_for_state(Delivery.objects.get(), DeliveryState.DELIVERED)
    assert references_called(sink) == ["A-2"]


def test_rolled_back_savepoint_takes_only_its_own(sink: PartnerSink, hit: ReferralHit) -> None:
    """callback-F46: the outer transaction's debt stays."""
    with running_worker():
        with transaction.atomic():
            api.confirm("Order paid", hit=hit, reference="outer")
            confirm_and_fail(hit, "inner")
        wait_for_state(Delivery.objects.get(), DeliveryState.DELIVERED)
    assert references_called(sink) == ["outer"]


def test_second_confirmation_with_one_reference_owes_nothing_more(sink: PartnerSink, hit: ReferralHit) -> None:
    """callback-F47: one delivery for each subscription."""
    first = api.confirm("Order paid", hit=hit, reference="A-1")
    second = api.confirm("Order paid", hit=hit, reference="A-1")
    assert (first.created, second.created) == (True, False)
    with running_worker():
        wait_for_state(Delivery.objects.get(), DeliveryState.DELIVERED)
    assert len(sink.calls) == 1


def start_confirming(hit: ReferralHit, reference: str, manner: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "tests.faults.confirming_process", str(hit.pk), reference, manner],
        env=server_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_processes_that_confirm_at_once_owe_one_delivery(hit: ReferralHit) -> None:
    """callback-F47: the unique constraint decides, and the loser gets the winner's confirmation."""
    processes = [start_confirming(hit, "A-1", "wait") for _ in range(2)]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        answers = [process.communicate(timeout=240)[0].strip() for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert sorted(answers) == ["False", "True"]
    assert Delivery.objects.count() == Confirmation.objects.count() == 1


def test_hook_that_raises_after_the_commit_harms_neither_host_nor_partner(sink: PartnerSink, hit: ReferralHit) -> None:
    """callback-F48: delivered by polling; the host's code goes on."""

    def broken() -> None:
        raise ZeroDivisionError

    with running_worker():
        hints.add_listener(broken)
        try:
            with transaction.atomic():
                result = api.confirm("Order paid", hit=hit, reference="A-1")
        finally:
            hints.remove_listener(broken)
        assert result.created
        wait_for_state(Delivery.objects.get(), DeliveryState.DELIVERED)
    assert len(sink.calls) == 1


def test_process_that_dies_between_commit_and_hook_owes_all_the_same(sink: PartnerSink, hit: ReferralHit) -> None:
    """callback-F48: a polling worker finds what nobody told it of."""
    with running_worker():
        process = start_confirming(hit, "A-1", "die")
        assert process.wait(60) == -signal.SIGKILL
        process.communicate()
        wait_until(lambda: sink.calls)
        wait_for_state(Delivery.objects.get(), DeliveryState.DELIVERED)
    assert references_called(sink) == ["A-1"]


def test_every_kind_of_transaction_owes_once(sink: PartnerSink, hit: ReferralHit) -> None:
    """callback-F49: autocommit, `atomic(durable=True)`, and `aconfirm` from async code."""
    with running_worker():
        api.confirm("Order paid", hit=hit, reference="autocommit")
        with transaction.atomic(durable=True):
            api.confirm("Order paid", hit=hit, reference="durable")
        async_to_sync(api.aconfirm)("Order paid", hit=hit, reference="async")
        wait_until(lambda: Delivery.objects.filter(state="delivered").count() == 3)
    assert sorted(references_called(sink)) == ["async", "autocommit", "durable"]
