"""Figures for Prometheus, where the host has `prometheus_client` (`pip install livereferrals[metrics]`); else nothing.

They are in the library's default registry of the process that works: of `manage.py livereferrals worker
--metrics-port`, or of the server with its embedded worker, where the host shows its own figures.

| name | what |
|---|---|
| `livereferrals_callback_attempts_total{outcome}` | attempts that have ended, by outcome |
| `livereferrals_callback_attempt_seconds` | how long an attempt took |
| `livereferrals_callback_first_attempt_delay_seconds` | from due to the start of the first attempt |
| `livereferrals_callback_in_flight` | requests under way |
| `livereferrals_callback_endpoints` | endpoints that are leased |
| `livereferrals_callback_lost_total` | attempts whose worker has died, taken back |
| `livereferrals_callback_late_results_total` | results that came after their lease was over |
| `livereferrals_callback_guard_refusals_total` | attempts that the address guard refused |
| `livereferrals_callback_database_seconds{work}` | time of the worker's `lease`, `read` and `turn` in the database |
| `livereferrals_callback_backlog_age_seconds` | how long what started last had been due |
| `livereferrals_callback_waiting` | deliveries that wait, counted to 10,001 |
| `livereferrals_callback_oldest_due_seconds` | for how long the first of them has been due whose endpoint takes deliveries |
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final

try:
    import prometheus_client
except ImportError:
    HAS_CLIENT = False
else:
    HAS_CLIENT = True

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
DELAYS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 1800, 7200, 43_200)
PREFIX: Final = "livereferrals_callback_"


class Figures:
    """The collectors of this process."""

    def __init__(self) -> None:
        self.attempts = prometheus_client.Counter(f"{PREFIX}attempts", "Attempts by outcome.", ["outcome"])
        self.attempt_s = prometheus_client.Histogram(f"{PREFIX}attempt_seconds", "Time of attempts.", buckets=SECONDS)
        self.first_delay_s = prometheus_client.Histogram(
            f"{PREFIX}first_attempt_delay_seconds", "From due to the first attempt.", buckets=DELAYS
        )
        self.in_flight = prometheus_client.Gauge(f"{PREFIX}in_flight", "Requests under way.")
        self.endpoints = prometheus_client.Gauge(f"{PREFIX}endpoints", "Endpoints that are leased.")
        self.lost = prometheus_client.Counter(f"{PREFIX}lost", "Attempts whose worker has died.")
        self.late = prometheus_client.Counter(f"{PREFIX}late_results", "Results after the end of their lease.")
        self.refused = prometheus_client.Counter(f"{PREFIX}guard_refusals", "Attempts that the guard refused.")
        self.database_s = prometheus_client.Histogram(
            f"{PREFIX}database_seconds", "Time in the database.", ["work"], buckets=SECONDS
        )
        self.backlog_age_s = prometheus_client.Gauge(
            f"{PREFIX}backlog_age_seconds", "How long what started last had been due."
        )
        self.waiting = prometheus_client.Gauge(f"{PREFIX}waiting", "Deliveries that wait, counted to 10,001.")
        self.oldest_due_s = prometheus_client.Gauge(
            f"{PREFIX}oldest_due_seconds", "How long the first that can be made has been due."
        )


_figures: Final[Figures | None] = Figures() if HAS_CLIENT else None


def is_there() -> bool:
    """Whether figures are kept."""
    return _figures is not None


def serve(port: int, *, address: str) -> None:
    """Answer scrapers at this port, in a thread; only where figures are kept."""
    prometheus_client.start_http_server(port, addr=address)


def ended(outcome: str, *, duration_ms: int) -> None:
    """Count an attempt that has ended."""
    if _figures is not None:
        _figures.attempts.labels(outcome).inc()
        _figures.attempt_s.observe(duration_ms / 1000)
        if outcome == "blocked":
            _figures.refused.inc()


def started(*, number: int, waited_s: float) -> None:
    """Note an attempt that starts, its number, and for how long it was due."""
    if _figures is not None:
        if number == 1:
            _figures.first_delay_s.observe(waited_s)
        _figures.backlog_age_s.set(waited_s)


def stands(*, in_flight: int, endpoints: int) -> None:
    """Note what is under way."""
    if _figures is not None:
        _figures.in_flight.set(in_flight)
        _figures.endpoints.set(endpoints)


def waits(number: int, *, overdue_s: float) -> None:
    """Note what waits to be delivered, and for how long the first one has been due."""
    if _figures is not None:
        _figures.waiting.set(number)
        _figures.oldest_due_s.set(overdue_s)


def lost(number: int) -> None:
    """Count attempts that were taken back from a dead worker."""
    if _figures is not None and number:
        _figures.lost.inc(number)


def late() -> None:
    """Count a result that came too late."""
    if _figures is not None:
        _figures.late.inc()


@contextlib.contextmanager
def timed(work: str) -> Iterator[None]:
    """Measure the block as time in the database."""
    begun = time.monotonic()
    yield
    if _figures is not None:
        _figures.database_s.labels(work).observe(time.monotonic() - begun)
