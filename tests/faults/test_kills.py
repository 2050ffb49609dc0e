"""Workers that are killed at the worst moment, as real processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from livereferrals.callbacks import faults
from livereferrals.callbacks.models import Delivery, DeliveryState, Endpoint
from livereferrals.callbacks.wanting import LEASE
from tests.callbacks.running import owe, reload, running_worker, subscribe, wait_for_state
from tests.faults.killing import check_books, under_way
from tests.partner import Answer
from tests.servers import daphne_server, server_environment
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.faults.killing import Nursery
    from tests.partner import PartnerSink

AT_ONCE_S = LEASE.total_seconds() / 2
"""Before the dead process's lease has run out."""
pytestmark = pytest.mark.django_db(transaction=True)


POINTS = [
    *faults.Point,
    # In the middle of the work, not at its beginning.
    f"{faults.Point.STARTING}:2",
    f"{faults.Point.RENDERING}:4",
    f"{faults.Point.ANSWERED}:4",
]


@pytest.mark.parametrize("place", [point for point in POINTS if point != faults.Point.PUTTING_BACK])
def test_books_are_right_after_a_kill_at_any_step(sink: PartnerSink, dying: Nursery, place: str) -> None:
    """callback-F29, callback-F30, callback-F31: no debt is lost, and only what was in flight may be sent again."""
    for path in ("/a", "/b", "/c"):
        subscription = subscribe(sink.url(path), max_in_flight=2)
        for _ in range(3):
            owe(subscription)
    dying.run_until_killed(place)
    in_flight = under_way()
    assert len(in_flight) <= 3 * 2
    with running_worker():
        wait_until(lambda: not Delivery.objects.exclude(state="delivered").exists())
    check_books(sink, in_flight=in_flight)


def test_kill_before_the_lease_commits_is_as_if_nothing_had_happened(sink: PartnerSink, dying: Nursery) -> None:
    """callback-F29: another worker delivers within the poll interval; one attempt, nothing lost."""
    delivery = owe(subscribe(sink.url()))
    dying.run_until_killed("leasing")
    endpoint = Endpoint.objects.get()
    assert (endpoint.lease_token, endpoint.leased_by) == (None, "")
    with running_worker():
        done = wait_for_state(delivery, DeliveryState.DELIVERED, timeout_s=AT_ONCE_S)
    assert (done.attempts, done.lost, len(sink.calls)) == (1, 0, 1)


def test_kill_after_the_lease_and_before_anything_started_loses_nothing(sink: PartnerSink, dying: Nursery) -> None:
    """callback-F30: the dead process's lease is over at once on its own machine."""
    delivery = owe(subscribe(sink.url()))
    dying.run_until_killed("leased")
    assert Endpoint.objects.get().lease_token is not None
    with running_worker():
        done = wait_for_state(delivery, DeliveryState.DELIVERED, timeout_s=AT_ONCE_S)
    assert (done.attempts, done.lost, len(sink.calls)) == (1, 0, 1)


def test_kill_before_the_request_is_delivered_after_the_lease(sink: PartnerSink, dying: Nursery) -> None:
    """callback-F30: one request seen in all, and the lost attempt is shown."""
    delivery = owe(subscribe(sink.url()))
    dying.run_until_killed("started")
    assert reload(delivery).state == "sending"
    assert not sink.calls
    with running_worker():
        done = wait_for_state(delivery, DeliveryState.DELIVERED, timeout_s=AT_ONCE_S)
    assert len(sink.calls) == 1
    assert (done.attempts, done.lost) == (2, 1)
    assert [attempt.outcome for attempt in done.attempt_log.all()] == ["lost", "ok"]


def test_kill_while_the_server_holds_the_answer_repeats_the_request_once(sink: PartnerSink, dying: Nursery) -> None:
    """callback-F31: the same id, exactly two requests."""
    sink.default = Answer(manner="hang")
    delivery = owe(subscribe(sink.url(), timeout_s=30))
    dying.start()
    sink.wait_for(1)
    dying.kill()
    sink.default = Answer()
    with running_worker():
        wait_for_state(delivery, DeliveryState.DELIVERED, timeout_s=AT_ONCE_S)
    assert [call.headers["webhook-id"] for call in sink.calls] == [str(delivery.pk)] * 2
    assert len({call.body for call in sink.calls}) == 1


def test_kill_before_the_result_commits_repeats_the_request_once(sink: PartnerSink, dying: Nursery) -> None:
    """callback-F31: at least once, with the same id, so that the partner can tell."""
    delivery = owe(subscribe(sink.url()))
    dying.run_until_killed("answered")
    assert len(sink.calls) == 1
    with running_worker():
        done = wait_for_state(delivery, DeliveryState.DELIVERED, timeout_s=AT_ONCE_S)
    assert [call.headers["webhook-id"] for call in sink.calls] == [str(delivery.pk)] * 2
    assert [attempt.outcome for attempt in done.attempt_log.all()] == ["lost", "ok"]


def test_lost_delivery_is_started_alone_so_that_the_right_one_is_condemned(sink: PartnerSink, dying: Nursery) -> None:
    """callback-F30: the first that was lost goes alone, the others after it."""
    subscription = subscribe(sink.url(), max_in_flight=4)
    deliveries = [owe(subscription) for _ in range(4)]
    dying.run_until_killed("started")
    assert Delivery.objects.filter(state="sending").count() == 4
    with running_worker():
        for delivery in deliveries:
            wait_for_state(delivery, DeliveryState.DELIVERED)
    assert {row.lost for row in Delivery.objects.all()} == {1}
    assert len(sink.calls) == 4


def test_third_loss_is_poison_and_the_rest_flow(sink: PartnerSink, dying: Nursery) -> None:
    """callback-F30: a delivery that takes the worker with it three times is condemned."""
    subscription = subscribe(sink.url(), max_in_flight=1)
    bad, good = owe(subscription), owe(subscription)
    Delivery.objects.filter(pk=bad.pk).update(attempts=2, lost=2)
    dying.run_until_killed("started")
    assert reload(bad).state == "sending"
    with running_worker():
        wait_for_state(good, DeliveryState.DELIVERED)
        dead = wait_for_state(bad, DeliveryState.DEAD)
    assert (dead.end_reason, dead.lost) == ("poison", 3)
    assert len(sink.calls) == 1


def test_sigterm_ends_the_command_after_its_requests(sink: PartnerSink) -> None:
    """callback-F31, O-07: `manage.py livereferrals worker` ends with code 0 and gives everything back."""
    sink.default = Answer(delay_s=0.5)
    delivery = owe(subscribe(sink.url()))
    process = subprocess.Popen(
        [sys.executable, "manage.py", "livereferrals", "worker"],
        env=server_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    try:
        sink.wait_for(1)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=240)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert b"has ended" in output
    assert reload(delivery).state == "delivered"
    assert wait_until(lambda: Endpoint.objects.get().lease_token is None)
    assert len(sink.calls) == 1


def test_server_that_is_told_to_end_lets_its_embedded_worker_finish(sink: PartnerSink) -> None:
    """callback-F31: SIGTERM of daphne stores the results of what is under way and repeats nothing."""
    sink.default = Answer(delay_s=1.0)
    with daphne_server() as server:
        delivery = owe(subscribe(sink.url()))
        sink.wait_for(1)
        server.stop()
        done = reload(delivery)
        assert (done.state, done.attempts, len(sink.calls)) == ("delivered", 1, 1), server.output()
        assert Endpoint.objects.get().lease_token is None


def test_killed_server_delivers_when_it_is_started_again(sink: PartnerSink) -> None:
    """callback-F31: without any traffic, at once on the same machine."""
    sink.default = Answer(manner="hang")
    with daphne_server() as server:
        delivery = owe(subscribe(sink.url(), timeout_s=30))
        sink.wait_for(1)
        server.kill9()
        sink.default = Answer()
        server.start()
        wait_for_state(delivery, DeliveryState.DELIVERED)
    assert len(sink.calls) == 2
