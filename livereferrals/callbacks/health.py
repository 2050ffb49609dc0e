"""How results change an endpoint: counters, gate, breaker and the end of patience (callbacks, section 3). Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from livereferrals.callbacks import schedule
from livereferrals.callbacks.outcomes import COUNTED_BY_BREAKER, NOT_THE_SERVERS, Outcome

PATIENCE: Final = timedelta(days=5)
PATIENCE_ATTEMPTS: Final = 12
RETRY_AFTER: Final = "retry_after"
BREAKER: Final = "breaker"
GONE_REASON: Final = "The server answered 410 Gone."


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What is known of an endpoint's server; the columns of `Endpoint` by the same names."""

    state: str
    state_reason: str
    gate_until: datetime | None
    gate_reason: str
    consecutive_failures: int
    failing_since: datetime | None
    failed_attempts_since: int
    last_success_at: datetime | None
    last_failure_at: datetime | None

    def is_gated(self, now: datetime) -> bool:
        """Whether nothing is sent just now."""
        return self.gate_until is not None and self.gate_until > now


def after(health: Health, outcome: Outcome, *, pause: timedelta | None, now: datetime) -> Health:
    """Return the health after one result; `pause` is what a `Retry-After` asked for."""
    if outcome is Outcome.OK:
        # A success does not take back what the server has asked for: its request had left before.
        keeps = health.gate_reason == RETRY_AFTER and health.is_gated(now)
        return replace(
            health,
            gate_until=health.gate_until if keeps else None,
            gate_reason=RETRY_AFTER if keeps else "",
            consecutive_failures=0,
            failing_since=None,
            failed_attempts_since=0,
            last_success_at=now,
        )
    if outcome in NOT_THE_SERVERS:
        return health
    health = replace(
        health,
        failing_since=health.failing_since or now,
        failed_attempts_since=health.failed_attempts_since + 1,
        last_failure_at=now,
    )
    return _disabled(_gated(health, outcome, pause=pause, now=now), outcome, now=now)


def _gated(health: Health, outcome: Outcome, *, pause: timedelta | None, now: datetime) -> Health:
    if outcome is Outcome.THROTTLED:
        return health if pause is None else _closed(health, now + pause, RETRY_AFTER)
    # Requests that were under way when the gate closed fail together; only the first says something new.
    if outcome not in COUNTED_BY_BREAKER or (health.is_gated(now) and health.gate_reason == BREAKER):
        return health
    failures = health.consecutive_failures + 1
    health = replace(health, consecutive_failures=failures)
    wait = schedule.breaker_wait(failures)
    return health if wait is None else _closed(health, now + wait, BREAKER)


def _closed(health: Health, until: datetime, reason: str) -> Health:
    if health.gate_until is not None and health.gate_until >= until:
        return health
    return replace(health, gate_until=until, gate_reason=reason)


def _disabled(health: Health, outcome: Outcome, *, now: datetime) -> Health:
    if health.state == "disabled":
        return health
    if outcome is Outcome.GONE:
        return replace(health, state="disabled", state_reason=GONE_REASON)
    failing_for = now - (health.failing_since or now)
    if failing_for >= PATIENCE and health.failed_attempts_since >= PATIENCE_ATTEMPTS:
        reason = f"Every call has failed for {failing_for.days} days."
        return replace(health, state="disabled", state_reason=reason)
    return health
