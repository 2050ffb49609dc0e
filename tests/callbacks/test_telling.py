"""What goes wrong in telling the host of results, or the workers of work, is logged and goes no further."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.db import transaction
from django.utils import timezone

from livereferrals import signals
from livereferrals.callbacks.models import DeliveryAttempt
from livereferrals.callbacks.notices import Notice, send_signals
from livereferrals.callbacks.waking import wake_workers
from livereferrals.tracking.models import Partner
from tests.factories import make_delivery, make_partner

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.django_db


def fail(**_facts: Any) -> None:
    raise RuntimeError("nothing is heard today")


class Failing:
    """A receiver that Django can give no account of, since it has no `__qualname__`."""

    def __call__(self, **facts: Any) -> None:
        fail(**facts)


@pytest.mark.parametrize("state", ["delivered", "dead"])
@pytest.mark.parametrize("receiver", [pytest.param(fail, id="function"), pytest.param(Failing(), id="instance")])
def test_receiver_that_fails_is_logged_and_keeps_nobody_from_hearing_more(
    state: str, receiver: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    """callback-F48: the next result is told, and an error in a host's receiver is the host's to read of."""
    signal = signals.callback_delivered if state == "delivered" else signals.callback_failed
    heard: list[Any] = []

    def hear(*, delivery: Any, **_facts: Any) -> None:
        heard.append(delivery)

    deliveries = [make_delivery(state=state, finished_at=timezone.now()) for _ in range(2)]
    signal.connect(hear)
    signal.connect(receiver)
    try:
        send_signals(
            Notice(delivery=delivery, attempt=DeliveryAttempt(delivery=delivery, number=1), final=True)
            for delivery in deliveries
        )
    finally:
        signal.disconnect(receiver)
        signal.disconnect(hear)
    assert heard == deliveries
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert caplog.text.count("RuntimeError: nothing is heard today") == 2


@pytest.mark.django_db(transaction=True)
def test_hint_that_cannot_be_sent_is_logged_and_what_was_saved_stands(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """callback-F48: a worker looks by itself; the host's view is not to fail after its commit."""
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "shop.nowhere.Layer"}}
    with transaction.atomic():
        make_partner(name="Acme")
        wake_workers()
    assert Partner.objects.filter(name="Acme").exists()
    assert "shop.nowhere.Layer" in caplog.text
