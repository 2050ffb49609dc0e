"""Subscriptions are archived, after a question."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.contrib.admin.models import LogEntry

from livereferrals.callbacks import outbox
from livereferrals.callbacks.models import Subscription
from tests.admin.people import act_url, browser_of, change_url, colleague, list_url
from tests.factories import make_delivery, make_subscription

if TYPE_CHECKING:
    from django.test import Client

pytestmark = pytest.mark.django_db


def chosen(*rows: Subscription, **more: str) -> dict[str, object]:
    return {"action": "archive", "_selected_action": [row.pk for row in rows], **more}


def test_archiving_asks_first_and_says_what_is_cancelled(staff: Client) -> None:
    """D-06, D-27: what has deliveries is archived instead of deleted, and the log has it."""
    subscription = make_delivery().subscription
    url = act_url(subscription, "archive")
    page = staff.get(change_url(subscription)).content.decode()
    assert f'href="{url}"' in page
    assert "deletelink" not in page
    for question in (staff.get(url), staff.post(list_url("subscription"), chosen(subscription))):
        assert "1 delivery is still waiting and will be cancelled." in question.content.decode()
    assert Subscription.objects.get().archived_at is None

    answer = staff.post(list_url("subscription"), chosen(subscription, confirmed="yes"), follow=True)
    assert "1 subscription was archived." in answer.content.decode()
    assert Subscription.objects.get().archived_at is not None
    assert not outbox.subscriptions_to(subscription.trigger).exists()
    assert LogEntry.objects.count() == 1
    assert url not in staff.get(change_url(subscription)).content.decode()


def test_several_are_archived_at_once_and_archived_ones_left_alone(staff: Client) -> None:
    """D-27: one entry in the log for each."""
    rows = [make_subscription(), make_subscription()]
    staff.post(list_url("subscription"), chosen(*rows, confirmed="yes"))
    assert LogEntry.objects.count() == 2
    answer = staff.post(list_url("subscription"), chosen(*rows, confirmed="yes"), follow=True)
    assert "They are archived already." in answer.content.decode()
    assert staff.get(act_url(rows[0], "archive")).status_code == 404
    assert LogEntry.objects.count() == 2


def test_archiving_needs_the_permission_to_change() -> None:
    """D-25: neither the button, nor the question, nor the act."""
    subscription = make_subscription()
    viewer = browser_of(colleague("view_subscription"))
    assert act_url(subscription, "archive") not in viewer.get(change_url(subscription)).content.decode()
    assert viewer.get(act_url(subscription, "archive")).status_code == 403
    viewer.post(list_url("subscription"), chosen(subscription, confirmed="yes"))
    subscription.refresh_from_db()
    assert subscription.archived_at is None
