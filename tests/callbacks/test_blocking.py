"""A call that the address guard refuses: staff learn of which subscription, and who entered its address."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core import mail

from livereferrals.callbacks import blocking, recording
from livereferrals.callbacks.models import AlertCause, EndpointAlert, Subscription
from tests.callbacks.running import owe, running_worker, subscribe
from tests.factories import make_staff
from tests.waiting import wait_until

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from tests.partner import PartnerSink

pytestmark = pytest.mark.django_db(transaction=True)


def edit(subscription: Subscription, *, by: User, fields: list[str]) -> None:
    """Leave the trace of a form of the admin that was saved."""
    LogEntry.objects.create(
        user=by,
        content_type=ContentType.objects.get_for_model(Subscription),
        object_id=str(subscription.pk),
        action_flag=CHANGE,
        change_message=json.dumps([{"changed": {"fields": fields}}] if fields else []),
    )


def test_refused_call_is_told_with_subscription_and_editor(
    sink: PartnerSink, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """callback-S22: in the log, in the alert and in its mail; acts and empty saves of others are no edits."""
    subscription = subscribe(sink.url())
    edit(subscription, by=make_staff(username="anna"), fields=["Time limit"])
    edit(subscription, by=make_staff(username="eve"), fields=["Callback URL"])
    edit(subscription, by=make_staff(username="bob"), fields=[])
    recording.record(make_staff(username="carl"), [subscription], "Paused.", action="endpoint.paused")
    delivery = owe(subscription)
    closed = settings.LIVEREFERRALS["CALLBACKS"] | {"ALLOW": [], "ALERT_EMAILS": ["ops@shop.example"]}
    settings.LIVEREFERRALS = {"CALLBACKS": closed}
    with caplog.at_level(logging.WARNING, "livereferrals.callbacks.blocking"), running_worker():
        wait_until(lambda: mail.outbox, what="The mail")
    alert = EndpointAlert.objects.get(subscription=subscription, cause=AlertCause.BLOCKED)
    assert alert.text.splitlines()[1] == "Last edited by: eve"
    assert "eve" in mail.outbox[0].body
    record = next(record for record in caplog.records if record.name == "livereferrals.callbacks.blocking")
    told = (record.__dict__["action"], record.__dict__["subscription"], record.__dict__["editor"])
    assert told == ("callback.blocked", subscription.pk, "eve")
    assert record.__dict__["delivery"] == delivery.pk
    assert not sink.connections


def test_subscription_that_was_made_by_a_program_has_no_editor() -> None:
    """callback-S22: nobody is named who was not there."""
    assert blocking.last_editor(subscribe("http://127.0.0.1/").pk) == ""
