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
    alone_s: float = 0.0
    """How long it took until all healthy servers had theirs, with nothing else to do."""
    healthy_s: float = 0.0
    """How long it took while the slow ones were being called."""
    healthy_got: list[int] = field(default_factory=list)
    """Calls at each healthy server, of two."""

    @property
    def slack_s(self) -> float:
        """What a machine that does other things may add; alone it is some 0.02 s."""
        return 1 + 4 * self.alone_s


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
    story = Story()
    called = {
        name: subscribe(case.url, timeout_s=case.timeout_s, allow_plain_http=case.url.startswith("http:"))
        for name, case in cases.items()
    }
    with partner_sink() as healthy:
        subscriptions = [subscribe(healthy.url(f"/healthy/{number}")) for number in range(HEALTHY)]

        def serve_healthy(times: int) -> float:
            begun = time.monotonic()
            for subscription in subscriptions:
                owe(subscription)
            wait_until(lambda: len(healthy.calls) >= times * HEALTHY, what="All healthy servers called")
            return time.monotonic() - begun

        with running_worker(resolver=resolver):
            story.alone_s = serve_healthy(1)
            owed = {name: owe(subscription) for name, subscription in called.items()}
            slow = [owed[name].pk for name, case in cases.items() if case.is_slow]
            begun_slow = Delivery.objects.filter(pk__in=slow).exclude(state=DeliveryState.WAITING, attempts=0)
            wait_until(lambda: begun_slow.count() == len(slow), what="All slow servers called")
            story.healthy_s = serve_healthy(2)
            open_ones = Delivery.objects.filter(last_outcome="")
            wait_until(lambda: not open_ones.exists(), what="All outcomes")
        story.healthy_got = [
            sum(call.path == f"/healthy/{number}" for call in healthy.calls) for number in range(HEALTHY)
        ]
    for name, row in owed.items():
        delivery = Delivery.objects.select_related("subscription__endpoint").get(pk=row.pk)
        story.told[name] = Told(
            delivery=delivery, attempt=delivery.attempt_log.get(), endpoint=delivery.subscription.endpoint
        )
    return story
