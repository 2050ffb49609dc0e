"""One world for many partners' servers: one worker calls all that misbehave at once, and 20 that do not.

What came of each is read by the tests afterwards, so that a hundred cases take the time of the slowest one.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from django.core.management import call_command
from django.test import override_settings

from livereferrals.callbacks.models import Delivery, DeliveryState
from livereferrals.events.publisher import publisher
from tests.callbacks.running import LOOPBACK, owe, running_worker, subscribe
from tests.partner import partner_sink
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aiohttp.abc import AbstractResolver
    from pytest_django import DjangoDbBlocker

    from livereferrals.callbacks.models import DeliveryAttempt, Endpoint

HEALTHY: Final = 20
NEXT_ATTEMPT_S: Final = 3600
"""Nothing is tried twice while the world is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A server that is called."""

    url: str
    timeout_s: int = 2
    method: str = "POST"
    is_slow: bool = False
    """It is still being called while the healthy ones are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What came of the call."""

    delivery: Delivery
    attempt: DeliveryAttempt
    endpoint: Endpoint


@dataclass(slots=True)
class Story:
    """What came of all calls, and of the healthy servers meanwhile."""

    told: dict[str, Told] = field(default_factory=dict)
    healthy_s: float = 0.0
    """How long it took until all healthy servers had theirs."""
    healthy_got: list[int] = field(default_factory=list)
    """Calls at each healthy server."""
    still_slow: int = 0
    """Slow servers that were still being called then."""
    slow: int = 0


@contextlib.contextmanager
def committed_rows(blocker: DjangoDbBlocker, **callbacks: Any) -> Iterator[None]:
    """Open the test database for committed rows, to be used by a fixture of a module, and empty it afterwards."""
    settings = {"WORKER": "off", "ALLOW": LOOPBACK, "RETRY_SCHEDULE": [NEXT_ATTEMPT_S] * 11, "PER_ORIGIN": 200}
    before = publisher.inline
    with blocker.unblock(), override_settings(LIVEREFERRALS={"CALLBACKS": settings | callbacks}):
        publisher.inline = True
        try:
            yield
        finally:
            publisher.inline = before
            call_command("flush", verbosity=0, interactive=False)


def tell(cases: Mapping[str, Case], *, resolver: AbstractResolver | None = None) -> Story:
    """Call every server once, and the healthy ones while the slow ones hold the worker; return what came of it."""
    story = Story(slow=sum(case.is_slow for case in cases.values()))
    owed = {
        name: owe(
            subscribe(
                case.url,
                timeout_s=case.timeout_s,
                method=case.method,
                allow_plain_http=case.url.startswith("http:"),
            )
        )
        for name, case in cases.items()
    }
    slow = [owed[name].pk for name, case in cases.items() if case.is_slow]
    under_way = Delivery.objects.filter(pk__in=slow, state=DeliveryState.SENDING)
    with partner_sink() as healthy:
        subscriptions = [subscribe(healthy.url(f"/healthy/{number}")) for number in range(HEALTHY)]
        with running_worker(resolver=resolver):
            wait_until(lambda: under_way.count() == len(slow), timeout_s=20, what="All slow servers under way")
            begun = time.monotonic()
            deliveries = [owe(subscription).pk for subscription in subscriptions]
            wait_until(lambda: len({call.path for call in healthy.calls}) == HEALTHY, timeout_s=20)
            story.healthy_s = time.monotonic() - begun
            story.still_slow = under_way.count()
            every = Delivery.objects.filter(pk__in=[*deliveries, *(row.pk for row in owed.values())])
            wait_until(lambda: not every.filter(last_outcome="").exists(), timeout_s=30, what="All outcomes")
        story.healthy_got = [
            sum(call.path == f"/healthy/{number}" for call in healthy.calls) for number in range(HEALTHY)
        ]
    for name, row in owed.items():
        delivery = Delivery.objects.select_related("subscription__endpoint").get(pk=row.pk)
        story.told[name] = Told(
            delivery=delivery, attempt=delivery.attempt_log.get(), endpoint=delivery.subscription.endpoint
        )
    return story
