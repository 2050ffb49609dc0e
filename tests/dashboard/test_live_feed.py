"""The live feed page: the newest events, filters that no size of the log makes slow, a sample of a flood."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from livereferrals.dashboard import event_search
from livereferrals.dashboard.access import Rights
from livereferrals.dashboard.event_search import Wanted
from livereferrals.events import log
from livereferrals.events.models import Event, EventLog, EventType
from tests.dashboard import makers
from tests.dashboard.makers import cursor_of, make_viewer
from tests.factories import make_link, make_partner, make_user

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

pytestmark = pytest.mark.django_db
PAGE = reverse("livereferrals_dashboard:live_feed")
EVERYBODY = Rights(amounts=False)


def staff(*codenames: str) -> Client:
    client = Client()
    client.force_login(make_viewer("view_dashboard", *codenames))
    return client


def shown(markup: str) -> list[int]:
    return [int(seq) for seq in re.findall(r'<tr id="event-(\d+)"', markup)]


def page(client: Client | None = None, **query: Any) -> str:
    response = (client or staff()).get(PAGE, query)
    assert response.status_code == 200
    return str(response.content.decode())


def age(seconds: float = 60) -> None:
    """Have everything been numbered a while ago."""
    Event.objects.update(numbered_at=timezone.now() - timedelta(seconds=seconds))


def test_newest_fifty_stand_there_at_the_cursor() -> None:
    """dashboard-1, dashboard-2: newest first, as the log has them"""
    link = make_link()
    for _ in range(55):
        makers.hit(link)
    age()
    found = page()
    assert shown(found) == list(range(55, 5, -1))
    assert cursor_of(found) == str(log.bounds().newest_cursor)
    assert "A sample" not in found


def test_filters_of_type_partner_link_and_text() -> None:
    """dashboard-21, dashboard-25: alone and together; an unknown value means nothing"""
    acme, other = make_link(partner=make_partner(name="Acme")), make_link()
    makers.hit(acme, landing="/pricing/")
    makers.hit(other, landing="/sale/")
    makers.confirmed(other, reference="A-77")
    makers.delivered(acme)
    age()
    assert acme.partner is not None
    client = staff()
    for query, seqs in (
        ({"type": "hit"}, [2, 1]),
        ({"type": ["confirmation", "delivery"]}, [4, 3]),
        ({"partner": "Acme"}, [4, 1]),
        ({"partner": acme.partner.uid}, [4, 1]),
        ({"link": other.identifier}, [3, 2]),
        ({"q": "pricing"}, [1]),
        ({"q": "a-77"}, [3]),
        ({"q": other.identifier}, [3, 2]),
        ({"partner": "Acme", "type": "hit"}, [1]),
        ({"partner": "Nobody"}, []),
        ({"link": "nothing"}, []),
        ({"type": "nonsense"}, [4, 3, 2, 1]),
    ):
        assert shown(page(client, **query)) == seqs, query
    assert "Nothing of this kind yet" in page(client, partner="Nobody")


def test_empty_log_says_what_comes() -> None:
    """dashboard-52"""
    assert "No events yet" in page()


def test_partner_sees_its_own_events_alone() -> None:
    """dashboard-38: in the list, in counts, and by filters that name others"""
    mine, foreign = make_partner(name="Mine", user=make_user()), make_partner(name="Foreign")
    own, theirs = make_link(partner=mine), make_link(partner=foreign)
    for _ in range(30):
        makers.hit(theirs, landing="/secret/")
    makers.hit(own)
    client = Client()
    assert mine.user is not None
    client.force_login(mine.user)
    for query in ({}, {"partner": "Foreign"}, {"link": theirs.identifier}, {"q": "secret"}, {"type": "hit"}):
        found = page(client, **query)
        assert set(shown(found)) <= {31}
        assert "Foreign" not in found[found.index('<div id="events"') :]
        assert "more in the last second" not in found
    assert shown(page(client)) == [31]


def test_amounts_are_no_part_of_page_or_search() -> None:
    """dashboard-39: without `view_amounts` nothing shows, nor can be guessed by searching"""
    makers.confirmed(make_link(), amount="49.90", currency="EUR")
    assert "49.90" in page(staff("view_amounts"))
    assert "49.90" not in page()
    assert shown(page(q="49.9")) == []


def flood(count: int) -> None:
    """Have this many hits been numbered just now, and one confirmation among them."""
    link = make_link()
    now = timezone.now()
    head = log.bounds().head
    Event.objects.bulk_create(
        Event(
            type=EventType.CONFIRMATION if number == 3 else EventType.HIT,
            seq=head + number,
            occurred_at=now,
            numbered_at=now,
            partner=link.partner.uid if link.partner else "",
            link=link.pk,
            link_identifier=link.identifier,
            data={"landing": "/", "trigger": "Order paid"},
        )
        for number in range(1, count + 1)
    )
    EventLog.objects.update(head=head + count, last_numbered_at=now)


def test_flood_is_a_sample_that_says_how_much_more_there_was() -> None:
    """dashboard-6: at most about ten of a second, the same rows from frame to frame, and what is rare always"""
    flood(214)
    now = timezone.now()
    found = event_search.find(Wanted(upto=214, rights=EVERYBODY), now=now)
    assert 3 in found.seqs
    assert 6 <= len(found.seqs) <= 11
    assert len(found.seqs) + found.unseen == 214
    assert all(seq % 32 == 0 for seq in found.seqs if seq != 3)
    Event.objects.filter(seq=214).update(numbered_at=now - timedelta(hours=1))
    later = event_search.find(Wanted(upto=213, rights=EVERYBODY), now=now)
    assert set(later.seqs) == set(found.seqs)
    Event.objects.update(numbered_at=timezone.now() + timedelta(seconds=2))
    text = page()
    assert f"+{found.unseen} more in the last second" in text
    assert "A sample" in text


def test_flood_that_is_over_is_shown_whole() -> None:
    """dashboard-6: the page has a beat, so the note goes although nothing more happens"""
    flood(60)
    found = event_search.find(Wanted(upto=60, rights=EVERYBODY), now=timezone.now() + timedelta(seconds=2))
    assert (len(found.seqs), found.unseen) == (50, 0)


def test_what_no_index_answers_is_bounded_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """dashboard-57: a filter never walks the whole log"""
    link = make_link()
    makers.hit(link, landing="/early/")
    for _ in range(5):
        makers.hit(link)
    age()
    assert shown(page(q="early")) == [1]
    monkeypatch.setattr(event_search, "WINDOW", 3)
    monkeypatch.setattr("livereferrals.dashboard.live_feed.WINDOW", 3)
    found = page(q="early")
    assert shown(found) == []
    assert "Of the newest 3 events only" in found
    assert "events only" not in page(link=link.identifier)


def test_reading_costs_few_queries(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    """dashboard-57: one for each part, one for the last second"""
    makers.hit(make_link())
    wanted = Wanted(upto=1, rights=EVERYBODY, types=(EventType.CLAIM, EventType.REVERSAL))
    with django_assert_num_queries(2):
        event_search.find(wanted, now=timezone.now())


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "everything": ({}, "seq"),
    "rare": ({"types": (EventType.CLAIM,)}, "lr_event_rare"),
    "partner": ({"partners": ("aaaaaaaa",)}, "lr_event_partner_seq"),
    "own": ({"rights": Rights(amounts=True, partners=frozenset({"aaaaaaaa"}))}, "lr_event_partner_seq"),
    "link": ({"link": uuid.uuid4()}, "lr_event_link_seq"),
    "text": ({"texts": ("x",)}, "seq"),
    "hits": ({"types": (EventType.HIT,)}, "seq"),
    "both": ({"types": (EventType.CLAIM,), "partners": ("aaaaaaaa",)}, ""),
}


@pytest.mark.parametrize("case", CASES)
def test_each_filter_has_an_index_or_a_bound(case: str) -> None:
    """dashboard-57: asked of the database's own plan, in a log of many hits"""
    values, index = CASES[case]
    flood(3_000)
    asked: dict[str, Any] = {"upto": 3_000, "rights": EVERYBODY} | values
    wanted = Wanted(**asked)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
    for part in wanted.parts():
        plan = part.order_by("-seq").values_list("seq")[:50].explain()
        if wanted.is_bounded:
            assert re.search(r"seq ?> ?", plan), plan
        assert index in plan, plan
        assert "TEMP B-TREE" not in plan or wanted.is_bounded, plan
