from __future__ import annotations

import pytest
from django.urls import reverse

from livereferrals.events import log
from tests.dashboard import makers
from tests.factories import make_link, make_partner, make_staff

pytestmark = pytest.mark.django_db


@pytest.fixture
def url():
    return reverse("livereferrals_dashboard:overview")


def test_page_shows_the_numbers_of_the_database_at_its_cursor(client, url):
    """dashboard-1, dashboard-2"""
    link = make_link()
    makers.hit(link)
    makers.hit(link, repeat=True)
    makers.claim(link, hits=2)
    makers.confirmed(link, amount="12.50", currency="EUR")
    client.force_login(make_staff())

    text = client.get(url).content.decode()

    assert f'data-cursor="{log.bounds().newest_cursor}" data-view="overview"' in text
    assert makers.cursor_of(text) == str(log.bounds().newest_cursor)
    assert makers.metrics(text) == {
        "hits": "2",
        "visitors": "1",
        "claims": "1",
        "confirmations": "1",
        "amount-EUR": "12.50",
        "rate": "1.000000",
    }
