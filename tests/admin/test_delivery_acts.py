"""Deliveries in the admin: a page with every attempt, and retry, resend and cancel after a question."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from livereferrals.callbacks import acting
from livereferrals.callbacks.models import DeliveryAttempt, DeliveryState, Endpoint
from tests.admin.people import act_url, browser_of, change_url, colleague, list_url
from tests.factories import make_confirmation, make_delivery, make_hit, make_staff, make_subscription

if TYPE_CHECKING:
    from livereferrals.callbacks.models import Delivery

pytestmark = pytest.mark.django_db
PAYLOAD = {"type": "confirmation", "cursor": "e.1", "time": "2026-05-01T12:30:00.000Z", "data": {}}
NASTY = "<script>alert(1)</script>"


def do(act: str) -> str:
    return reverse("admin:livereferrals_delivery_act", args=[act])


def dead(**values: Any) -> Delivery:
    defaults = {"state": "dead", "end_reason": "exhausted", "finished_at": timezone.now(), "attempts": 12}
    return make_delivery(**defaults | {"payload": PAYLOAD} | values)


def attempt(delivery: Delivery, **values: Any) -> DeliveryAttempt:
    defaults = {"number": 1, "started_at": timezone.now(), "outcome": "throttled", "status": 429, "duration_ms": 81}
    return DeliveryAttempt.objects.create(delivery=delivery, **defaults | values)


def hidden(page: str) -> list[str]:
    return [part.split('"', 1)[0] for part in page.split('name="seen" value="')[1:]]


def test_page_tells_every_attempt_with_the_partners_answer_as_text(staff: Client) -> None:
    """callback-S9, D-23, D-28: address, time, status, excerpts, raw Retry-After; markup of outside stays text."""
    delivery = make_delivery(attempts=1, last_outcome="throttled", due_at=timezone.now() + timedelta(minutes=9))
    attempt(
        delivery,
        address="203.0.113.9:443",
        error=NASTY,
        request_url=f"https://partner.example/?a={NASTY}",
        request_headers={"X-Key": "***"},
        request_excerpt=NASTY,
        response_headers=[["Retry-After", "Sat, 21 Nov 2026 10:00:00 GMT"], ["X-Evil", NASTY]],
        response_excerpt=NASTY,
    )
    for url in (change_url(delivery), act_url(delivery, "story")):
        page = staff.get(url).content.decode()
        assert NASTY not in page
        assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 5
        for text in ("203.0.113.9:443", "81 ms", "429", "X-Key: ***", "Retry-After: Sat, 21 Nov 2026 10:00:00 GMT"):
            assert text in page
        assert f'datetime="{timezone.localtime(delivery.due_at).isoformat()}"' in page


def test_answers_are_for_those_who_may_see_attempts() -> None:
    """callback-S15: without `view_deliveryattempt` there is not a byte of them, on the page or in what renews it."""
    delivery = make_delivery(attempts=1)
    attempt(delivery, response_excerpt="a secret answer", address="203.0.113.9:443")
    viewer = browser_of(colleague("view_delivery"))
    for url in (change_url(delivery), act_url(delivery, "story")):
        page = viewer.get(url).content.decode()
        assert "secret answer" not in page
        assert "203.0.113.9" not in page
    assert browser_of(colleague()).get(act_url(delivery, "story")).status_code == 403


def test_page_says_why_a_delivery_waits(staff: Client) -> None:
    """D-23: on hold, and who or what holds it; or the confirmation that goes first."""
    delivery = make_delivery()
    Endpoint.objects.filter(pk=delivery.subscription_id).update(
        state="paused", state_reason="moving house", state_changed_by=make_staff(username="ann")
    )
    assert "On hold: paused by ann: moving house" in staff.get(change_url(delivery)).content.decode()
    first = make_delivery()
    behind = make_delivery(
        kind="reversal", after=first, subscription=first.subscription, confirmation=first.confirmation
    )
    assert "It waits for the delivery of the confirmation" in staff.get(change_url(behind)).content.decode()


@pytest.mark.parametrize(
    ("act", "state", "after"),
    [("retry", "waiting", "waiting"), ("resend", "dead", "waiting"), ("cancel", "waiting", "cancelled")],
    ids=["retry", "resend", "cancel"],
)
def test_act_asks_does_and_records(staff: Client, act: str, state: str, after: str) -> None:
    """D-23, D-27, callback-S16: a question by GET changes nothing, a POST does it, the log says who."""
    later = timezone.now() + timedelta(hours=5)
    delivery = dead() if state == "dead" else make_delivery(due_at=later, payload=PAYLOAD)
    url = f"{do(act)}?delivery={delivery.pk}"
    assert f'href="{url}"' in staff.get(change_url(delivery)).content.decode()
    question = staff.get(url).content.decode()
    delivery.refresh_from_db()
    assert delivery.state == state
    assert hidden(question) == [f"{delivery.pk}:{delivery.attempts}"]
    answer = staff.post(do(act), {"seen": hidden(question)})
    assert answer["Location"] == change_url(delivery)
    delivery.refresh_from_db()
    assert delivery.state == after
    assert after == "cancelled" or delivery.due_at < later
    assert LogEntry.objects.get().object_id == str(delivery.pk)


def test_several_are_chosen_in_the_list_and_what_cannot_be_is_left_out(staff: Client) -> None:
    """D-23: retrying what was delivered asks first, and says that the partner gets it again."""
    again = dead(state="delivered", end_reason="")
    given_up, waiting = dead(), make_delivery()
    chosen = [again.pk, given_up.pk, waiting.pk]
    question = staff.post(list_url("delivery"), {"action": "resend", "_selected_action": chosen}).content.decode()
    assert "1 of them was delivered already" in question
    assert "It is not in a state for that." in question
    assert sorted(hidden(question)) == sorted(f"{row.pk}:12" for row in (again, given_up))
    answer = staff.post(do("resend"), {"seen": hidden(question)}, follow=True).content.decode()
    assert "2 deliveries are resent." in answer
    answer = staff.post(do("resend"), {"seen": hidden(question)}, follow=True).content.decode()
    assert "Left out 2: It is not in a state for that." in answer


def test_bulk_acts_have_a_limit(staff: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """callback-S16: in the list, and by direct POST."""
    monkeypatch.setattr(acting, "MOST_AT_ONCE", 1)
    rows = [dead(), dead()]
    chosen = {"action": "resend", "_selected_action": [row.pk for row in rows]}
    assert "At most 1 deliveries at once" in staff.post(list_url("delivery"), chosen, follow=True).content.decode()
    staff.post(do("resend"), {"seen": [str(row.pk) for row in rows]})
    assert {row.state for row in type(rows[0]).objects.all()} == {DeliveryState.DEAD}


def test_acts_need_their_permission_post_and_token() -> None:
    """callback-S16, D-25: neither the button, nor the question, nor the act; and no act from another site."""
    delivery = dead()
    viewer = browser_of(colleague("view_delivery"))
    assert "/act/" not in viewer.get(change_url(delivery)).content.decode()
    for ask in (viewer.get, viewer.post):
        assert ask(do("resend"), {"seen": str(delivery.pk), "delivery": str(delivery.pk)}).status_code == 403
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(make_staff())
    assert strict.post(do("resend"), {"seen": str(delivery.pk)}).status_code == 403
    assert strict.put(do("resend")).status_code == 403
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.DEAD


def test_what_is_not_there_is_not_found(staff: Client) -> None:
    """D-23: made-up acts and ids."""
    delivery = make_delivery()
    assert staff.get(f"{do('resend')}?delivery=x").status_code == 404
    assert staff.get(f"{do('explode')}?delivery={delivery.pk}").status_code == 404
    assert staff.get(reverse("admin:livereferrals_delivery_story", args=["x"])).status_code == 404
    assert staff.put(do("resend")).status_code == 405
    assert staff.post(do("resend"), {"seen": "x"}).status_code == 302


def test_log_is_filtered_by_partner_subscription_state_outcome_and_day(staff: Client) -> None:
    """D-23: and found by reference."""
    confirmation = make_confirmation(hit=make_hit(), reference="A-9")
    first = dead(confirmation=confirmation, last_outcome="timeout")
    second = make_delivery(subscription=make_subscription(trigger="User registered"), last_outcome="ok")

    def listed(**query: str) -> set[object]:
        return {row.pk for row in staff.get(list_url("delivery"), query).context["cl"].result_list}

    partner = first.subscription.partner
    assert listed(partner=partner.uid) == listed(partner=partner.name) == {first.pk}
    assert listed(subscription=str(second.subscription_id)) == listed(subscription="User registered") == {second.pk}
    assert listed(subscription="999999999999") == set()
    assert listed(state__exact="dead") == listed(outcome="timeout") == listed(q="A-9") == {first.pk}
    assert listed(outcome="ok") == {second.pk}
    assert listed(day="today") == listed(outcome="nonsense") == {first.pk, second.pk}
    assert listed(day="2020-01-01") == set()
