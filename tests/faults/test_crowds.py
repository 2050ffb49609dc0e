"""Many workers, many kills, and partners that hang: the books stay right and the others get theirs."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from livereferrals.callbacks import faults
from livereferrals.callbacks.models import Delivery, DeliveryState, Endpoint
from livereferrals.callbacks.worker import Orders
from tests.callbacks.running import owe, pile_up, reload, running_worker, subscribe, wait_for_state
from tests.faults.killing import check_books, under_way, workers
from tests.partner import Answer
from tests.servers import daphne_server, server_environment
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.faults.killing import Nursery
    from tests.partner import PartnerSink

pytestmark = pytest.mark.django_db(transaction=True)

SOAK = bool(os.environ.get("LIVEREFERRALS_SOAK"))


def all_delivered() -> bool:
    return not Delivery.objects.exclude(state="delivered").exists()


def test_kills_at_random_repeat_only_what_was_in_flight(sink: PartnerSink, dying: Nursery) -> None:
    """callback-F32: everything is delivered, repeats <= what was in flight at the kills, nothing is lost."""
    kills, rows = (10, 2000) if SOAK else (4, 120)
    sink.default = Answer(delay_s=0.02)
    for path in range(4):
        subscription = subscribe(sink.url(f"/{path}"), max_in_flight=2)
        for _ in range(rows // 4):
            owe(subscription)
    in_flight: list[Any] = []
    for kill in range(kills):
        seen = len(sink.calls)
        dying.start()
        sink.wait_for(min(rows, seen + random.randint(1, rows // (kills + 2))))  # noqa: S311
        dying.kill()
        in_flight.extend(under_way())
        assert len(in_flight) <= (kill + 1) * 4 * 2
    with running_worker():
        wait_until(all_delivered)
    check_books(sink, in_flight=in_flight)
    assert len(sink.calls) - rows <= len(in_flight)


class Crowd:
    """How many requests the partner has at the same time, by path: seen from its side."""

    def __init__(self, sink: PartnerSink) -> None:
        self.sink = sink

    def peak(self, *, delay_s: float) -> int:
        """Return the most that arrived within the time that an answer takes."""
        most = 0
        for path in {call.path for call in self.sink.calls}:
            at = sorted(call.at for call in self.sink.calls if call.path == path)
            most = max(most, *(sum(1 for other in at if 0 <= other - one < delay_s * 0.9) for one in at))
        return most


def test_any_number_of_workers_call_once_and_keep_every_limit(sink: PartnerSink) -> None:
    """callback-F35: each row is started once; `max_in_flight` is never exceeded at the partner's."""
    number, endpoints, rows = (6, 50, 100) if SOAK else (3, 8, 15)
    sink.default = Answer(delay_s=0.1)
    for path in range(endpoints):
        pile_up(subscribe(sink.url(f"/{path}"), max_in_flight=3), rows)
    with workers(number):
        wait_until(all_delivered, timeout_s=120)
    assert len(sink.calls) == endpoints * rows
    assert set(Counter(call.headers["webhook-id"] for call in sink.calls).values()) == {1}
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {1}
    assert Crowd(sink).peak(delay_s=0.1) <= 3


@pytest.mark.parametrize("manner", ["hang", "fails"])
def test_partner_that_hangs_with_a_long_queue_leaves_room_for_the_others(sink: PartnerSink, manner: str) -> None:
    """callback-F36: from the first hang on, before any failure is known, and after it: never more than half the slots."""
    sink.answer_at("/slow", Answer(manner="hang"))
    slow = subscribe(sink.url("/slow"), max_in_flight=32, timeout_s=30)
    pile_up(slow, 300)
    if manner == "fails":
        Endpoint.objects.filter(pk=slow.pk).update(consecutive_failures=3)
    healthy = [subscribe(sink.url(f"/{path}")) for path in range(5)]
    with running_worker(Orders(concurrency=8)):
        sink.wait_for(4)
        for subscription in healthy:
            pile_up(subscription, 10)
        done = Delivery.objects.filter(subscription__in=healthy, state="delivered")
        wait_until(lambda: done.count() == 50, timeout_s=25)
        assert Counter(call.path for call in sink.calls)["/slow"] <= 4
        sink.answer_at("/slow", Answer())
        sink.release()


def test_delivery_that_takes_the_worker_with_it_is_poison_and_the_rest_flow(sink: PartnerSink, dying: Nursery) -> None:
    """callback-F37: after the third `lost`; each time it goes alone, so that no other is blamed."""
    subscription = subscribe(sink.url(), max_in_flight=4)
    bad, *good = [owe(subscription) for _ in range(4)]
    for losses in (1, 2, 3):
        Delivery.objects.filter(pk=bad.pk).exclude(state="sending").update(due_at=timezone.now())
        dying.run_until_killed(f"{faults.Point.RENDERING}@{bad.pk}")
        assert reload(bad).attempts == losses
    with running_worker():
        dead = wait_for_state(bad, DeliveryState.DEAD)
        wait_until(lambda: Delivery.objects.filter(state="delivered").count() == 3)
    assert (dead.end_reason, dead.lost) == ("poison", 3)
    assert {call.headers["webhook-id"] for call in sink.calls} == {str(delivery.pk) for delivery in good}


@pytest.mark.once
def test_delivery_that_was_lost_has_its_endpoint_to_itself(sink: PartnerSink) -> None:
    """callback-F30, callback-F37: what was under way beside it would be lost, and condemned in the end, with it"""
    subscription, elsewhere = subscribe(sink.url("/lost"), max_in_flight=4, timeout_s=30), subscribe(sink.url("/free"))
    lost, other = owe(subscription), owe(subscription)
    Delivery.objects.filter(pk=lost.pk).update(attempts=1, lost=1)
    sink.answer_at("/lost", Answer(manner="hang"))
    with running_worker():
        sink.wait_for(1)
        for _ in range(3):  # turns, in each of which more could be started
            wait_for_state(owe(elsewhere), DeliveryState.DELIVERED)
        assert (reload(lost).state, reload(other).state) == ("sending", "waiting")
        sink.answer_at("/lost", Answer())
        sink.release()
        for delivery in (lost, other):
            wait_for_state(delivery, DeliveryState.DELIVERED)


def test_servers_with_their_own_workers_and_one_beside_them_call_once(sink: PartnerSink) -> None:
    """callback-F39: two embedded ones and an external one at once, without election."""
    sink.default = Answer(delay_s=0.05)
    with daphne_server(), daphne_server(), workers(1):
        for path in range(6):
            pile_up(subscribe(sink.url(f"/{path}"), max_in_flight=2), 10)
        wait_until(all_delivered)
    assert len(sink.calls) == 60
    assert Crowd(sink).peak(delay_s=0.05) <= 2


def test_autoreloading_server_has_one_worker(sink: PartnerSink) -> None:
    """callback-F39: in the process that serves, not in the one that watches the files."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "runserver", "127.0.0.1:0"],
        env=server_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    sink.default = Answer(delay_s=1.0)
    try:
        deliveries = [owe(subscribe(sink.url(f"/{path}"))) for path in range(3)]
        sink.wait_for(3)
        holders = set(Endpoint.objects.exclude(leased_by="").values_list("leased_by", flat=True))
        for delivery in deliveries:
            wait_for_state(delivery, DeliveryState.DELIVERED)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert len(holders) == 1
    assert f":{process.pid}:" not in holders.pop()
