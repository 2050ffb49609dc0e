"""The worker inside a server process, its threads, and the command that runs one on its own."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import OutputWrapper
from django.db import DataError, OperationalError

from livereferrals.callbacks import embedded, processes, reading, serving, telling
from livereferrals.callbacks.models import Delivery, DeliveryAttempt, DeliveryState
from livereferrals.callbacks.notices import Notice
from livereferrals.callbacks.telling import Teller
from livereferrals.callbacks.threads import WorkThread
from livereferrals.callbacks.worker import Worker
from livereferrals.management import worker as command
from livereferrals.management.commands.livereferrals import sub_commands
from livereferrals.signals import callback_failed
from tests.callbacks.faulting import worker_connection
from tests.callbacks.running import owe, reload, running_worker, subscribe, wait_for_state
from tests.partner import Answer
from tests.waiting import eventually, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.partner import PartnerSink


def worker_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "livereferrals-callbacks"]


@pytest.fixture
def _embedded(settings: Any) -> Iterator[None]:
    settings.LIVEREFERRALS = {"CALLBACKS": settings.LIVEREFERRALS["CALLBACKS"] | {"WORKER": "embedded"}}
    yield
    embedded.stop()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_embedded")
def test_embedded_worker_delivers_and_is_never_two(sink: PartnerSink) -> None:
    """callback-F49: started as often as you like, one thread works; it can be ended and started again."""
    for _ in range(3):
        embedded.start()
    assert len(worker_threads()) == 1
    wait_for_state(owe(subscribe(sink.url())), DeliveryState.DELIVERED)
    embedded.stop()
    assert worker_threads() == []
    embedded.start()
    wait_for_state(owe(subscribe(sink.url())), DeliveryState.DELIVERED)


@pytest.mark.parametrize("where", ["external", "off"])
def test_worker_elsewhere_starts_nothing_here(settings: Any, where: str) -> None:
    """callback-F49: the setting decides."""
    settings.LIVEREFERRALS = {"CALLBACKS": {"WORKER": where}}
    embedded.start()
    assert worker_threads() == []
    embedded.stop()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_embedded")
def test_forked_child_starts_its_own() -> None:
    """callback-F49: a thread does not survive a fork."""
    embedded.start()
    parent = embedded._embedded.current  # what a fork copies
    assert parent is not None
    embedded._embedded.start_anew()
    child = embedded._embedded.current
    assert child is not None
    assert child is not parent
    parent.stop()
    wait_until(lambda: len(worker_threads()) == 1)


@pytest.fixture
def outage() -> Iterator[threading.Event]:
    """While it is set, the worker's connection fails as it does when the server is away."""
    away = threading.Event()

    def fail(go_on: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        if away.is_set():
            raise OperationalError("the server closed the connection unexpectedly")
        return go_on(sql, parameters, many, context)

    with worker_connection(fail):
        yield away


@pytest.mark.django_db(transaction=True)
def test_result_that_the_database_refuses_is_written_without_its_excerpts(
    sink: PartnerSink, caplog: pytest.LogCaptureFixture
) -> None:
    """callback-S10: one bad row does not lose the batch, nor itself."""

    def refuse(go_on: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        if sql.startswith("INSERT") and "response_excerpt" in sql and "unstorable" in str(parameters):
            raise DataError("invalid byte sequence")
        return go_on(sql, parameters, many, context)

    sink.answer_at("/bad", Answer(body=b"unstorable"))
    bad, good = owe(subscribe(sink.url("/bad"))), owe(subscribe(sink.url("/good")))
    with worker_connection(refuse), running_worker():
        for delivery in (bad, good):
            wait_for_state(delivery, DeliveryState.DELIVERED)
    assert (reload(bad).attempt_log.get().response_excerpt, len(sink.calls)) == ("", 2)
    assert "cannot be written" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_worker_survives_a_database_that_is_away_for_a_while(
    sink: PartnerSink, outage: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    """callback-F31: results in hand are written when it is back; it says so once, not once a round."""
    delivery = owe(subscribe(sink.url()))

    def leave(stage: str, _delivery: object) -> None:
        if stage == "started":
            outage.set()

    with caplog.at_level(logging.INFO, "livereferrals.callbacks.worker"), running_worker(at_point=leave):
        sink.wait_for(1)
        wait_until(lambda: "round failed" in caplog.text)
        outage.clear()
        wait_for_state(delivery, DeliveryState.DELIVERED)
        wait_until(lambda: "works again" in caplog.text)
    assert (len(sink.calls), reload(delivery).lost) == (1, 0)
    assert caplog.text.count("round failed") == 1


@pytest.mark.django_db(transaction=True)
def test_start_whose_commit_is_in_doubt_is_put_back_and_made(sink: PartnerSink) -> None:
    """callback-F30: the answer to a commit is lost; nothing was sent, so nothing is used up."""
    failures = iter([True])

    def lose_the_answer(stage: str, _delivery: object) -> None:
        if stage == "turned" and next(failures, False):
            raise OperationalError("the server closed the connection unexpectedly")

    delivery = owe(subscribe(sink.url()))
    with running_worker(at_point=lose_the_answer):
        done = wait_for_state(delivery, DeliveryState.DELIVERED)
    assert (done.attempts, done.lost, len(sink.calls)) == (1, 0, 1)
    assert next(failures, None) is None


@pytest.mark.django_db(transaction=True)
def test_more_than_a_read_ahead_is_delivered_in_the_end(
    sink: PartnerSink, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """callback-S20: a backlog is read in pieces, with few slots."""
    for module in (reading, serving):
        monkeypatch.setattr(module, "READ_AHEAD", 16)
    settings.LIVEREFERRALS = {"CALLBACKS": settings.LIVEREFERRALS["CALLBACKS"] | {"CONCURRENCY": 4, "PER_ORIGIN": 3}}
    subscription = subscribe(sink.url(), max_in_flight=32)
    first = owe(subscription)
    rows = []
    for _ in range(49):
        row = reload(first)
        row.pk, row.event, row.payload = (
            Delivery._meta.pk.get_default(),
            None,
            {**(first.payload or {}), "cursor": "a.1"},
        )
        rows.append(row)
    Delivery.objects.bulk_create(rows)
    with running_worker():
        wait_until(lambda: not Delivery.objects.exclude(state="delivered").exists())
    assert len({call.headers["webhook-id"] for call in sink.calls}) == len(sink.calls) == 50


# --- processes ----------------------------------------------------------------------------------------------------------------


def test_process_is_known_by_host_number_and_start() -> None:
    """callback-F30: a number that is used again is another process."""
    name = processes.this_process()
    assert len(name) <= processes.NAME_LENGTH
    assert not processes.is_gone(name)
    assert processes.is_gone(f"{processes.machine()}:{os.getpid()}:1")
    assert processes.is_gone(f"{processes.machine()}:999999999:1")


@pytest.mark.parametrize("name", ["", "elsewhere:1:1", "nonsense", "a:b:c"])
def test_process_of_another_machine_is_never_called_gone(name: str) -> None:
    """callback-F30: what cannot be known is left to the lease's end."""
    assert not processes.is_gone(name)


# --- threads ------------------------------------------------------------------------------------------------------------------


async def test_work_thread_answers_raises_and_keeps_order() -> None:
    """callback-F31: one thing after the other, errors go to who asked."""
    thread = WorkThread("test-work")
    done: list[int] = []
    thread.submit(lambda: done.append(1))
    assert await thread.call(lambda: done.copy()) == [1]
    with pytest.raises(ZeroDivisionError):
        await thread.call(lambda: 1 // 0)
    waiting = threading.Event()
    abandoned = asyncio.ensure_future(thread.call(waiting.wait))
    await asyncio.sleep(0)
    abandoned.cancel()
    waiting.set()
    assert await thread.call(lambda: 5) == 5
    thread.close()


async def test_slow_receivers_cannot_fill_the_memory(caplog: pytest.LogCaptureFixture) -> None:
    """callback-S20: signals are left out, and the log says so once."""
    let_go = threading.Event()

    def slow(**kwargs: Any) -> None:
        let_go.wait(60)

    callback_failed.connect(slow)
    teller = Teller()
    try:
        for _ in range(telling.LONGEST_QUEUE + 5):
            teller.tell([Notice(delivery=Delivery(state="waiting"), attempt=DeliveryAttempt(), final=False)])
        assert caplog.text.count("signals are left out") == 1
        let_go.set()
    finally:
        await teller.aclose()
        callback_failed.disconnect(slow)


# --- the command --------------------------------------------------------------------------------------------------------------


def test_command_names_its_sub_commands() -> None:
    """D-20: each module of `livereferrals.management` with a HELP is one."""
    assert "worker" in sub_commands()
    with pytest.raises(CommandError):
        call_command("livereferrals", "no-such-thing")


@pytest.mark.django_db(transaction=True)
async def test_worker_of_the_command_says_that_it_runs() -> None:
    """callback-F31: and that it has ended."""
    worker = Worker()
    said = io.StringIO()
    running = asyncio.create_task(command.run(worker, OutputWrapper(said)))
    await eventually(lambda: "is running" in said.getvalue())
    worker.stop()
    await running
    assert "has ended" in said.getvalue()


@pytest.mark.django_db(transaction=True)
async def test_receiver_that_never_ends_does_not_hold_the_worker_up(caplog: pytest.LogCaptureFixture) -> None:
    """callback-F31: a stopping worker leaves it behind, and says so."""
    let_go = threading.Event()

    def hang(**kwargs: Any) -> None:
        let_go.wait(60)

    callback_failed.connect(hang)
    teller = Teller()
    try:
        teller.tell([Notice(delivery=Delivery(state="waiting"), attempt=DeliveryAttempt(), final=False)])
        await teller.aclose()
    finally:
        let_go.set()
        callback_failed.disconnect(hang)
    assert "left behind" in caplog.text


def test_work_that_ends_after_its_caller_has_gone_does_not_end_the_thread() -> None:
    """callback-F31: a worker's loop may be closed while the thread is still at work."""
    begun, let_go, done = threading.Event(), threading.Event(), threading.Event()
    thread = WorkThread("livereferrals-test-late")

    def hang() -> None:
        begun.set()
        let_go.wait(60)

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await thread.call(hang)

    asyncio.run(give_up())
    assert begun.wait(60)
    let_go.set()
    thread.submit(done.set)
    assert done.wait(60)
    thread.close()
