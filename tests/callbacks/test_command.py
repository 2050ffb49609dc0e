"""`manage.py livereferrals worker`: what it may be told, what it says, and the file that tells whether it lives."""

from __future__ import annotations

import io
import json
import logging
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import OutputWrapper

from livereferrals.callbacks.models import Delivery, DeliveryState, Endpoint
from livereferrals.management import log_lines
from tests import forking
from tests.callbacks.running import owe, subscribe, wait_for_state
from tests.partner import Answer
from tests.ports import own_port
from tests.servers import server_environment
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.forking import Forked
    from tests.partner import PartnerSink

pytestmark = pytest.mark.django_db(transaction=True)

ENDED_WITHIN_S = 27.0
"""Less than what it waits for where nobody hurries it."""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """What the command writes, to standard output and to standard error."""
    return tmp_path / "command.log"


def start(*arguments: str, log: Path, **overrides: Any) -> Forked:
    """Start the command as an operator does."""
    command = ["django", "livereferrals", "worker", *arguments]
    return forking.start(command, environment=server_environment(**overrides), log=log)


@pytest.mark.once
def test_once_makes_what_is_due_for_one_endpoint_says_a_line_for_each_and_ends(sink: PartnerSink) -> None:
    """callback-F33: `--once` and `--endpoint`; lines of JSON, without any address or text of the two sides."""
    mine, other = subscribe(sink.url("/mine?token=abcdef")), subscribe(sink.url("/other"))
    deliveries = [owe(mine), owe(mine)]
    left = owe(other)
    command = ["manage.py", "livereferrals", "worker", "--once", "--endpoint", str(mine.pk), "--concurrency", "1"]
    environment = server_environment(LOGGING={"version": 1})
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    output = done.stdout
    assert {row.state for row in Delivery.objects.filter(subscription=mine)} == {"delivered"}
    assert Delivery.objects.get(pk=left.pk).attempts == 0
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    attempts = [line for line in lines if line.get("action") == "callback.attempted"]
    assert [line["delivery"] for line in attempts] == [str(delivery.pk) for delivery in deliveries]
    assert {(line["outcome"], line["status"], line["attempt"], line["subscription"]) for line in attempts} == {
        ("ok", 200, 1, mine.pk)
    }
    assert "abcdef" not in output
    assert "ended after 2 calls" in output


@pytest.mark.once
def test_sigterm_lets_requests_end_and_the_health_file_goes(sink: PartnerSink, tmp_path: Path, log: Path) -> None:
    """callback-F33: exit 0, results stored, nothing repeated; the file lives as long as the worker does."""
    sink.default = Answer(delay_s=4)
    for path in ("/a", "/b", "/c"):
        subscription = subscribe(sink.url(path), max_in_flight=8)
        for _ in range(8):
            owe(subscription)
    health, port = tmp_path / "health.json", own_port()
    process = start("--health-file", str(health), "--metrics-port", str(port), log=log)
    try:
        sink.wait_for(24)
        told = json.loads(wait_until(lambda: health.read_text() if health.exists() else ""))
        assert told["pid"] == process.pid
        assert "livereferrals_callback_in_flight 24.0" in scrape(port)
        process.send_signal(signal.SIGTERM)
        code = process.wait(240)
    finally:
        process.kill()
    assert code == 0, log.read_text()
    assert not health.exists()
    assert {(row.state, row.attempts) for row in Delivery.objects.all()} == {("delivered", 1)}
    assert not Endpoint.objects.filter(lease_token__isnull=False).exists()
    assert len(sink.calls) == 24


def scrape(port: int) -> str:
    from urllib.request import urlopen

    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize(
    ("signals", "grace_s"),
    [([signal.SIGTERM], 1), ([signal.SIGTERM, signal.SIGINT], 28)],
    ids=["at-the-bound", "at-a-second-signal"],
)
def test_hanging_requests_end_with_the_worker_and_are_due_again(
    sink: PartnerSink, log: Path, signals: list[signal.Signals], grace_s: int
) -> None:
    """callback-F33: within the grace and 2 s, or at once at a second signal; all due again, as `cancelled`."""
    sink.default = Answer(manner="hang")
    subscription = subscribe(sink.url(), timeout_s=30, max_in_flight=8)
    for _ in range(12):
        owe(subscription)
    process = start(log=log, LIVEREFERRALS={"CALLBACKS": {"SHUTDOWN_GRACE": grace_s}})
    try:
        sink.wait_for(8)
        for number in signals:
            process.send_signal(number)
        code = process.wait(ENDED_WITHIN_S)
    finally:
        process.kill()
    assert code == 0, log.read_text()
    rows = list(Delivery.objects.all())
    assert {row.state for row in rows} == {"waiting"}
    assert sorted((row.attempts, row.last_outcome) for row in rows) == [(0, "")] * 4 + [(1, "cancelled")] * 8
    assert Endpoint.objects.get().consecutive_failures == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--concurrency", "0"], "goes from 1 to 10000"),
        (["--endpoint", "12345"], "no subscription with the number 12345"),
        (["--health-file", "/nowhere/at/all"], "no directory /nowhere/at"),
    ],
    ids=["concurrency", "endpoint", "health-file"],
)
def test_order_that_cannot_be_followed_is_refused(arguments: list[str], told: str) -> None:
    """callback-F33: with words for a person, before anything is started."""
    with pytest.raises(CommandError, match=told):
        call_command("livereferrals", "worker", *arguments)


def test_health_file_of_a_worker_without_its_database_grows_old(sink: PartnerSink, tmp_path: Path) -> None:
    """callback-F41: whoever watches its age sees it; it is written again when the database is back."""
    from django.db import OperationalError

    from livereferrals.callbacks.worker import Orders
    from tests.callbacks.faulting import worker_connection
    from tests.callbacks.running import running_worker

    health = tmp_path / "health.json"
    away: list[bool] = []

    def fail(go_on: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        if away:
            raise OperationalError("the server closed the connection unexpectedly")
        return go_on(sql, parameters, many, context)

    with worker_connection(fail), running_worker(Orders(health_file=health)):
        wait_until(health.exists)
        away.append(True)
        wait_until(lambda: _age_s(health) > 2.5)
        away.clear()
        wait_until(lambda: _age_s(health) < 1.0)
    assert not health.exists()


def _age_s(path: Path) -> float:
    return time.time() - path.stat().st_mtime


@pytest.mark.once
def test_lines_hold_the_facts_and_the_host_s_own_logging_wins() -> None:
    """callback-F33: one JSON object for each record, tracebacks included."""
    said, logger = io.StringIO(), logging.Logger("livereferrals.test")  # noqa: LOG001 - one that has no parents
    log_lines.show(logger, OutputWrapper(said))
    log_lines.show(logger, OutputWrapper(said))
    try:
        1 // 0  # noqa: B018 - it raises
    except ZeroDivisionError:
        logger.exception("It failed.", extra={"action": "test.failed"})
    (line,) = said.getvalue().splitlines()
    told = json.loads(line)
    assert (told["level"], told["message"], told["action"]) == ("error", "It failed.", "test.failed")
    assert "ZeroDivisionError: " in told["traceback"]


@pytest.mark.once
def test_worker_works_without_the_prometheus_client(sink: PartnerSink) -> None:
    """callback-F33: metrics are an extra; asking for them without it is refused in words."""
    delivery = owe(subscribe(sink.url()))
    code = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        "import django; django.setup()\n"
        "from django.core.management import CommandError, call_command\n"
        "call_command('livereferrals', 'worker', '--once')\n"
        "try: call_command('livereferrals', 'worker', '--metrics-port', '1')\n"
        "except CommandError as error: print(error)\n"
    )
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], env=server_environment(), capture_output=True, text=True, timeout=240, check=True
    )
    assert "pip install livereferrals[metrics]" in done.stdout
    wait_for_state(delivery, DeliveryState.DELIVERED)
