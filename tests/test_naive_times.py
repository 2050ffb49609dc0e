"""A host without time zones (`USE_TZ = False`): what is recorded, shown and told all the same."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from livereferrals.callbacks.models import Delivery, DeliveryState
from livereferrals.dashboard import catalogue, deliveries, narrowing, pages, rebuilding, rollups, system
from livereferrals.events.models import Event
from livereferrals.tracking.models import ReferralHit
from tests.callbacks.running import LOOPBACK, owe, running_worker, subscribe, wait_for_state
from tests.dashboard import house
from tests.dashboard.screens import url_of
from tests.dashboard.test_failures import ABOUT, viewpoint_on
from tests.factories import make_event, make_staff

if TYPE_CHECKING:
    from tests.partner import PartnerSink

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def naive(settings: Any) -> None:
    settings.USE_TZ = False
    assert timezone.is_naive(timezone.now())


def test_every_page_of_the_dashboard_is_whole(settings: Any) -> None:
    """N-17"""
    found = house.build(settings)
    rollups.advance()
    staff = Client()
    staff.force_login(make_staff())
    failed = []
    for page in catalogue.PAGES:
        subject = str(found.own.subject(page.name)) if page.name in ABOUT else ""
        answer = staff.get(url_of(page.name, subject))
        text = answer.content.decode()
        if answer.status_code != 200 or "could not be read" in text:
            failed.append(page.name)
        elif not pages.render_frame(page, viewpoint_on(page, subject)).is_whole:
            failed.append(f"{page.name} live")
    assert failed == []
    today = timezone.now().date()
    assert ReferralHit.objects.filter(narrowing.on_day(str(today), column="created_at")).exists()
    assert list(Delivery.objects.filter(deliveries._made_on(str(today))))
    assert staff.get(f"/admin/livereferrals/referralhit/?day={today}").status_code == 200
    assert rebuilding.check() == []
    assert rebuilding.rebuild() > 0


@pytest.mark.parametrize("name", ["referralhit", "confirmation", "delivery", "visitor", "event", "feedtoken"])
def test_lists_of_the_admin_are_shown_and_taken_away(settings: Any, name: str) -> None:
    """N-17"""
    house.build(settings)
    staff = Client()
    staff.force_login(make_staff())
    path = f"/admin/livereferrals/{name}/"
    assert staff.get(path).status_code == 200
    if name in ("referralhit", "confirmation", "delivery"):
        taken = staff.post(path, {"action": "export_csv", "select_across": "1", "_selected_action": "x"}, follow=True)
        assert taken.status_code == 200


def test_system_with_events_that_wait_for_their_numbers_is_looked_at() -> None:
    """N-17"""
    event = make_event()
    Event.objects.filter(pk=event.pk).update(seq=None, numbered_at=None)
    found = system.look()
    assert found.unnumbered_since is not None
    assert "unnumbered" not in found.problems


def test_callbacks_are_made(settings: Any, sink: PartnerSink) -> None:
    """N-17"""
    settings.LIVEREFERRALS = {"CALLBACKS": {"WORKER": "off", "ALLOW": LOOPBACK}}
    delivery = owe(subscribe(sink.url()))
    with running_worker():
        wait_for_state(delivery, DeliveryState.DELIVERED)
    assert sink.calls[0].json()["time"].endswith("Z")


@pytest.mark.parametrize("command", ["doctor", "rollup", "prune", "what-if"])
def test_commands_work(settings: Any, command: str) -> None:
    """N-17"""
    house.build(settings)
    out = StringIO()
    arguments = {"what-if": ["--rule", "first_click"]}.get(command, [])
    try:
        call_command("livereferrals", command, *arguments, stdout=out)
    except Exception as error:
        raise AssertionError(out.getvalue()) from error
    assert "could not be examined" not in out.getvalue()
