"""What staff do with endpoints: pause one, and enable it again (callbacks, sections 3 and 10).

One row is written, however much waits behind it: what is held stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext as _

from livereferrals.callbacks import clock, recording
from livereferrals.callbacks.models import Endpoint, EndpointState
from livereferrals.callbacks.notices import endpoint_entry
from livereferrals.callbacks.transactions import alias, short_transaction
from livereferrals.callbacks.waking import wake_workers
from livereferrals.events import log

if TYPE_CHECKING:
    from livereferrals.callbacks.models import Subscription

LONGEST_REASON: Final = 200


def pause(subscription: Subscription, *, by: Any, reason: str = "") -> bool:
    """Hold an endpoint's deliveries; what is under way ends by itself. Return whether it was active until now.

    Nothing new starts once this has committed, because each turn of a worker reads the row. One transaction: a reading
    that locks, an update, an event, an entry in the admin's log.
    """
    return _change(
        subscription,
        by=by,
        among=(EndpointState.ACTIVE,),
        state=EndpointState.PAUSED,
        reason=reason[:LONGEST_REASON],
        said=_("Paused."),
    )


def enable(subscription: Subscription, *, by: Any) -> bool:
    """Have an endpoint's deliveries made again, all of them; return whether they were held or behind a gate.

    It clears the counters and the gate, so that an active endpoint that waits for its gate is tried at once.
    """
    return _change(
        subscription,
        by=by,
        among=tuple(EndpointState),
        state=EndpointState.ACTIVE,
        reason="",
        said=_("Enabled."),
    )


def _change(
    subscription: Subscription,
    *,
    by: Any,
    among: tuple[EndpointState, ...],
    state: EndpointState,
    reason: str,
    said: str,
) -> bool:
    with short_transaction(alias()):
        # Waits for the turn of a worker that has the row just now: some milliseconds.
        row = (
            Endpoint.objects.using(alias())
            .select_for_update(of=("self",))
            .select_related("subscription__partner")
            .get(pk=subscription.pk)
        )
        if row.state not in among or (row.state == state and row.gate_until is None and not row.consecutive_failures):
            return False
        now = clock.now(alias())
        is_new = row.state != state
        values: dict[str, Any] = {
            "state": state,
            "state_reason": reason,
            "state_changed_at": now,
            "state_changed_by": by,
        }
        if state == EndpointState.ACTIVE:
            values |= CLEARED
        Endpoint.objects.using(alias()).filter(pk=row.pk).update(**values)
        if is_new:
            log.append(endpoint_entry(row.subscription, state=state, reason=reason, now=now))
        recording.record(by, [row.subscription], said, action=f"endpoint.{state}")
    wake_workers()
    return True


CLEARED: Final[dict[str, Any]] = {
    "gate_until": None,
    "gate_reason": "",
    "consecutive_failures": 0,
    "failing_since": None,
    "failed_attempts_since": 0,
}
"""What enabling forgets: the counters and the gate."""
