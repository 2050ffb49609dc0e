"""What a partner's login is shown says nothing of how many rows the database has, and lets nobody guess another's."""

from __future__ import annotations

import base64
import json
import re
from collections import deque
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.urls import resolve

from livereferrals.callbacks.models import Delivery
from livereferrals.dashboard.filters import PLACE
from livereferrals.dashboard.listing import PAGE_ROWS
from livereferrals.events import wire
from livereferrals.events.models import Event
from tests.dashboard import house, row_numbers
from tests.dashboard.test_permissions import RULES
from tests.factories import make_partner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.dashboard.house import House

pytestmark = [pytest.mark.django_db, pytest.mark.once]

START = "/referrals/"
ADDRESS = re.compile(r'"(/referrals/(?!live/ws)[^"]*)"')


@pytest.fixture
def world(settings: Any) -> House:
    """A house whose first partner's login has more partners than a page of the list shows."""
    found = house.build(settings)
    for number in range(PAGE_ROWS):
        make_partner(name=f"zz branch {number:02}", user=found.login)
    return found


def walk(client: Client) -> Iterator[tuple[str, str]]:
    """Give every page, part, picture and file that the dashboard leads to, with its address; one of each kind."""
    ahead, seen = deque([START]), {kind_of(START)}
    while ahead:
        url = ahead.popleft()
        answer = client.get(url)
        body = b"".join(answer) if answer.streaming else answer.content
        text = unescape(f"{body.decode()}{answer.headers}")
        yield url, text
        for found in ADDRESS.findall(text):
            if kind_of(found) not in seen:
                seen.add(kind_of(found))
                ahead.append(found)


def kind_of(url: str) -> str:
    """Return what an address has in common with those of other subjects, and of other values of its filters."""
    parts = urlsplit(url)
    return f"{resolve(parts.path).view_name}?{' '.join(sorted(parse_qs(parts.query)))}"


def with_places(text: str) -> str:
    """Return the text, and in clear what it says in addresses of the row that a page of a list begins after."""
    places = re.findall(rf"[?&]{PLACE}=([\w-]+)", text)
    return text + "".join(base64.urlsafe_b64decode(place + "=" * (-len(place) % 4)).decode() for place in places)


def test_no_page_tells_a_partner_the_number_of_a_row(world: House) -> None:
    """X-58: neither of its own nor of anybody's rows; in no address, attribute, export, picture or header."""
    client = Client()
    client.force_login(world.login)
    numbers = row_numbers.used()
    seen = {url: with_places(text) for url, text in walk(client)}
    told = sorted((url, number) for url, text in seen.items() for number in numbers if number in text)
    assert told == []
    open_to_partners = {name for name, rules in RULES.items() if any(rule.portal for rule in rules)}
    assert open_to_partners - {resolve(urlsplit(url).path).url_name for url in seen} == set()
    assert any(PLACE in url for url in seen)


def test_no_event_tells_a_partner_the_number_of_a_row(world: House) -> None:
    """X-58: an event is what the feed sends, and what a callback says."""
    events = [wire.event_object(event, epoch="e") for event in Event.objects.exclude(partner="")]
    text = json.dumps(events + list(Delivery.objects.values_list("payload", flat=True)))
    assert {event["type"] for event in events} >= {"hit", "confirmation", "reversal"}
    assert {number for number in world.row_numbers if number in text} == set()
