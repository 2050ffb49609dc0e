"""A confirmation's page: the story in plain words, who was told, and taking it back."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from livereferrals import api
from livereferrals.callbacks.models import DeliveryAttempt
from livereferrals.events.models import Event, EventType
from livereferrals.tracking.models import Confirmation, Reversal
from tests.admin.people import act_url, browser_of, change_url, colleague
from tests.factories import (
    home_link,
    make_confirmation,
    make_delivery,
    make_hit,
    make_link,
    make_partner,
    make_subscription,
    make_user,
    make_visitor,
)

if TYPE_CHECKING:
    from django.test import Client
    from pytest_django import Settings

pytestmark = pytest.mark.django_db

MAY_REVERSE = ("view_confirmation", "reverse_confirmation")
TRIGGER = ("Order paid", "tests.shop.signals.order_paid", "livereferrals.triggers.signal_sent", "shop.Order")


@pytest.fixture(autouse=True)
def _triggers(settings: Settings) -> None:
    settings.LIVEREFERRALS = {"TRIGGERS": [TRIGGER], "CALLBACKS": {"WORKER": "off"}}


def test_page_tells_in_sentences_why_this_hit_was_credited(staff: Client) -> None:
    """D-22: the rule, how the person was known, and each hit with what became of it."""
    acme, blog = make_partner(name="Acme Reviews"), make_partner(name="Bike Blog")
    make_subscription(partner=acme)
    visitor = make_visitor(user=make_user())
    make_hit(link=home_link(blog), visitor=visitor)
    make_hit(link=make_link(partner=acme, identifier="spring"), visitor=visitor)
    confirmation = api.confirm("Order paid", user=visitor.user, reference="A-1").confirmation
    assert confirmation is not None
    page = " ".join(staff.get(change_url(confirmation)).content.decode().split())
    assert "The last link that was followed gets the credit. It may be at most 90 days old." in page
    assert "The site named the user who did it; 1 browser was looked at." in page
    assert "<code>spring</code> of Acme Reviews, less than a minute before: <strong>credited</strong>" in page
    assert "of Bike Blog, less than a minute before: the partner is not subscribed to this trigger" in page


def test_page_shows_what_it_is_worth_and_who_it_was(staff: Client) -> None:
    """D-22: trigger, amount, hit, visitor and user."""
    user = make_user(username="bob")
    confirmation = make_confirmation(hit=make_hit(user=user), amount="49.90", reference="A-1")
    page = staff.get(change_url(confirmation)).content.decode()
    for text in (
        "Order paid",
        "49.90\N{NO-BREAK SPACE}EUR",
        "A-1",
        str(confirmation.hit_id),
        str(confirmation.visitor_id),
        "bob",
    ):
        assert text in page, text


def test_page_shows_deliveries_with_their_attempts(staff: Client) -> None:
    """D-22: in plain words; attempts only for those who may see what partners' servers answer."""
    confirmation = make_confirmation()
    delivery = make_delivery(confirmation=confirmation, attempts=1)
    DeliveryAttempt.objects.create(
        delivery=delivery, number=1, started_at=timezone.now(), outcome="server_error", status=503, duration_ms=120
    )
    page = staff.get(change_url(confirmation)).content.decode()
    assert change_url(delivery) in page
    for text in ("the server has an error", "<td>503</td>", "120 ms"):
        assert text in page, text

    some = browser_of(colleague("view_confirmation", "view_delivery")).get(change_url(confirmation)).content.decode()
    assert "1 attempt" in some
    assert "<td>503</td>" not in some
    none = browser_of(colleague("view_confirmation")).get(change_url(confirmation)).content.decode()
    assert "What the partner was told" not in none


def test_people_are_absent_without_their_permission() -> None:
    """D-25: who it was, only for those who may see visitors; neither on the page nor in the list."""
    user = make_user(username="bob-the-buyer")
    confirmation = make_confirmation(hit=make_hit(user=user), trace={"subject": {"user": str(user.pk), "visitors": []}})
    url = change_url(confirmation)
    pages = (url, url.split(str(confirmation.pk))[0])
    blind = browser_of(colleague("view_confirmation"))
    assert not any(b"bob-the-buyer" in blind.get(page).content for page in pages)
    assert str(confirmation.visitor_id) not in blind.get(url).content.decode()
    seeing = browser_of(colleague("view_confirmation", "view_visitor"))
    assert all(b"bob-the-buyer" in seeing.get(page).content for page in pages)


def test_reversing_asks_for_a_reason_and_a_note(staff: Client) -> None:
    """D-22, D-27: then it is done, with its event, and the admin's log has it."""
    confirmation = make_confirmation(amount="49.90")
    url = act_url(confirmation, "reverse")
    assert f'href="{url}"' in staff.get(change_url(confirmation)).content.decode()
    form = staff.get(url).content.decode()
    for name in ("reason", "note", "amount"):
        assert f'name="{name}"' in form
    assert "Left to reverse: 49.90\N{NO-BREAK SPACE}EUR." in form

    refused = staff.post(url, {"reason": "", "note": "x", "amount": ""})
    assert b"errorlist" in refused.content
    assert not Reversal.objects.exists()

    page = staff.post(url, {"reason": "refund", "note": "Came back\nbroken.", "amount": ""}, follow=True)
    reversal = Reversal.objects.get()
    assert (reversal.reason, reversal.note, reversal.partial) == ("refund", "Came back\nbroken.", False)
    assert reversal.created_by_id == page.context["user"].pk
    confirmation.refresh_from_db()
    assert confirmation.reversed_at is not None
    assert Event.objects.filter(type=EventType.REVERSAL).count() == 1
    assert LogEntry.objects.get().get_change_message() == "Reversed: refund."
    text = page.content.decode()
    assert "The confirmation was reversed; the partner is told." in text
    assert "Came back" in text
    assert f'href="{url}"' not in text


def test_part_of_the_amount_can_be_reversed(staff: Client) -> None:
    """D-22, N-10: not more than is left, which is a message at the field."""
    confirmation = make_confirmation(amount="49.90")
    url = act_url(confirmation, "reverse")
    staff.post(url, {"reason": "refund", "note": "", "amount": "9.90"})
    confirmation.refresh_from_db()
    assert (confirmation.reversed_at, confirmation.reversed_micros) == (None, 9_900_000)
    page = staff.post(url, {"reason": "refund", "note": "", "amount": "40.01"}).content.decode()
    assert "There is only 40.00\N{NO-BREAK SPACE}EUR left to reverse." in page
    for amount in ("0", "-1", "much", "NaN", "1e30"):
        assert b"errorlist" in staff.post(url, {"reason": "refund", "note": "", "amount": amount}).content, amount
    assert Reversal.objects.count() == 1


def test_reversing_twice_says_so(staff: Client) -> None:
    """D-22, N-09: the second click is no error and no second event."""
    confirmation = make_confirmation()
    url = act_url(confirmation, "reverse")
    staff.post(url, {"reason": "fraud", "note": ""})
    page = staff.post(url, {"reason": "fraud", "note": ""}, follow=True).content.decode()
    assert "It had been reversed before." in page
    assert Reversal.objects.count() == 1


def test_reversing_needs_its_permission() -> None:
    """D-25: no button without it, and 403 by direct POST; without `view_amounts` no amount is shown or taken."""
    confirmation = make_confirmation(amount="49.90")
    url = act_url(confirmation, "reverse")
    viewer = browser_of(colleague("view_confirmation"))
    assert url not in viewer.get(change_url(confirmation)).content.decode()
    assert viewer.get(url).status_code == 403
    assert viewer.post(url, {"reason": "refund", "note": ""}).status_code == 403
    assert browser_of(colleague("reverse_confirmation")).post(url, {"reason": "refund"}).status_code == 403
    manager = browser_of(colleague(*MAY_REVERSE))
    assert b"49.90" not in manager.get(url).content
    manager.post(url, {"reason": "refund", "note": "", "amount": "1.00"})
    assert not Reversal.objects.get().partial


@pytest.mark.parametrize("pk", [str(uuid.uuid4()), "nonsense"], ids=["unknown", "no-id"])
def test_what_does_not_exist_cannot_be_reversed(staff: Client, pk: str) -> None:
    """D-22"""
    made_up = Confirmation(pk=pk)
    assert staff.post(act_url(made_up, "reverse"), {"reason": "refund"}).status_code == 404


@pytest.mark.parametrize(
    "trace",
    [
        {},
        {"hits": [{}], "outcome": "confirmed", "omitted": 3},
        {"rule": "shop.rules.best", "subject": {"how": "new-way"}, "hits": [{"verdict": "new-verdict", "age_s": 7200}]},
        {"rule": "first_click", "window_s": None, "subject": {"how": "none"}, "hits": None, "outcome": "no-hits"},
        {"hits": ["text"], "window_s": "long"},
    ],
    ids=["empty", "bare", "later-version", "nobody", "odd"],
)
def test_any_trace_can_be_told(staff: Client, trace: dict[str, Any]) -> None:
    """D-22: traces are kept for years; what is missing or new in one does not stop the page."""
    assert staff.get(change_url(make_confirmation(trace=trace))).status_code == 200
