"""Charts of a range: what they draw, what the tables behind them say, and what those see who may not see amounts."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from livereferrals.dashboard import catalogue, pages, viewpoints
from livereferrals.dashboard.access import CODENAMES, Rights
from tests.dashboard import makers
from tests.dashboard.screens import browser, page, partner_browser, partner_of
from tests.factories import home_link, make_link

if TYPE_CHECKING:
    from django.test import Client
    from pytest_django import Settings

pytestmark = pytest.mark.django_db


def state_of(name: str, subject: object = "", *, query: str = "range=7d", amounts: bool = True) -> Any:
    shown = catalogue.BY_NAME[name]
    hidden = set() if amounts else {"view_amounts"}
    rights = Rights(amounts=amounts, codenames=frozenset(CODENAMES) - hidden)
    place = f"subject={subject}&language=en-gb&zone=UTC&{query}"
    return pages.read_page(shown, viewpoints.viewpoint_of(place, page=shown, rights=rights))


def drawn(state: Any) -> dict[str, list[int]]:
    """Return, of each panel by its label, the steps that have a bar."""
    return {
        panel.label: [number for number, bar in enumerate(panel.bars) if bar.height > 0] for panel in state.chart.panels
    }


def told(state: Any) -> dict[str, dict[str, list[Any]]]:
    """Return the leaders of each kind: their names, each with the other cells, and how long each bar is."""
    return {
        each.key: {
            "rows": [tuple(cell.text for cell in row.cells) for row in each.table.rows],
            "bars": [row.cells[0].bar for row in each.table.rows],
        }
        for each in state.leaders
    }


def sell(*, days_ago: int = 0) -> Any:
    """Have two visitors follow one link, one of whom buys in euros and one in yen."""
    link, moment = make_link(identifier="spring"), timezone.now() - timedelta(days=days_ago)
    for _ in range(4):
        makers.hit(link, at=moment)
    makers.confirmed(link, at=moment, amount="80.00", currency="EUR")
    makers.confirmed(link, at=timezone.now(), amount="1200", currency="JPY")
    return link


def test_course_has_hits_confirmations_rate_and_each_currency() -> None:
    """dashboard.md 2: over time, never added up across currencies; the table has every number"""
    sell(days_ago=2)
    state = state_of("overview")
    assert drawn(state) == {
        "Hits": [4],
        "Confirmations": [4, 6],
        "Conversion rate": [4],
        "Amount in EUR": [4],
        "Amount in JPY": [6],
    }
    assert [panel.most for panel in state.chart.panels] == [
        "4",
        "1",
        "25.0%",
        "80.00\N{NO-BREAK SPACE}EUR",
        "1,200\N{NO-BREAK SPACE}JPY",
    ]
    assert state.chart.lines[4].values == ("4", "4", "1", "25.0%", "80.00\N{NO-BREAK SPACE}EUR")
    assert state.chart.lines[0].values == ("0", "0", "0", "\N{EN DASH}", "\N{EN DASH}")


def test_drawing_is_named_and_has_its_table_behind_it(settings: Settings) -> None:
    """dashboard.md 7: role, name, a table of the same numbers, no inline style"""
    settings.TIME_ZONE = "UTC"  # elsewhere not every day has 24 hours
    sell()
    text = page(browser("view_amounts"), "overview")
    chart = re.search(r'<figure id="chart".*?</figure>', text, re.DOTALL)
    assert chart is not None
    names = re.findall(r'<svg class="lr-chart__bars"[^>]* role="img" aria-label="([^"]+)"', chart[0])
    assert names == [
        f"{label}. Over time, by the hour"
        for label in ("Hits", "Confirmations", "Conversion rate", "Amount in EUR", "Amount in JPY")
    ]
    # What a limit would be called misleads.
    assert chart[0].count(">peak ") == 5
    assert chart[0].count("<tr>") == 25
    assert "style=" not in text


def test_without_the_permission_no_amount_is_drawn_or_told() -> None:
    """dashboard-39"""
    sell()
    state = state_of("overview", amounts=False)
    assert list(drawn(state)) == ["Hits", "Confirmations", "Conversion rate"]
    assert "EUR" not in str(state)
    assert "EUR" not in page(browser("view_visitor"), "overview")


def test_many_currencies_are_drawn_as_those_of_most_steps() -> None:
    """dashboard.md 2: four of them; the table has all"""
    link = make_link()
    for currency in ("EUR", "USD", "GBP", "CHF", "SEK"):
        makers.confirmed(link, amount="10.00", currency=currency)
    for currency in ("SEK", "USD"):
        makers.confirmed(link, at=timezone.now() - timedelta(days=1), amount="10.00", currency=currency)
    state = state_of("overview")
    assert [label[-3:] for label in drawn(state) if label.startswith("Amount")] == ["CHF", "EUR", "SEK", "USD"]
    assert state.chart.lines[-1].values[-1].count("10.00") == 5


def test_leaders_are_partners_links_and_triggers_with_bars() -> None:
    """dashboard.md 2: by partner, by link, by trigger; the longest bar is the first's"""
    link, other = sell(), make_link(owner="house", identifier="other")
    makers.hit(other)
    makers.confirmed(other, amount="5.00", currency="EUR", trigger="Signed up")
    name = partner_of(link).name
    found = told(state_of("overview"))
    euros, yen = "80.00\N{NO-BREAK SPACE}EUR", "1,200\N{NO-BREAK SPACE}JPY"
    assert found["partner"]["rows"] == [(name, "4", "2", "50.0%", f"{euros}, {yen}")]
    assert [row[0] for row in found["link"]["rows"]] == ["spring", "other"]
    assert found["link"]["bars"] == [100.0, 50.0]
    assert ("Signed up", "1", "5.00\N{NO-BREAK SPACE}EUR") in found["trigger"]["rows"]
    assert "" not in [row[0] for row in found["trigger"]["rows"]]


def test_pages_of_one_partner_and_link_divide_their_own_numbers() -> None:
    """dashboard.md 2: a partner's by link and trigger, a link's by trigger"""
    link = sell()
    makers.confirmed(make_link(identifier="foreign"), amount="5.00", currency="EUR", trigger="Elsewhere")
    found = told(state_of("partner", partner_of(link).uid))
    assert list(found) == ["link", "trigger"]
    assert [row[0] for row in found["link"]["rows"]] == ["spring"]
    assert "Elsewhere" not in str(found)
    found = told(state_of("link", link.pk))
    assert list(found) == ["trigger"]
    assert sum(int(row[1]) for row in found["trigger"]["rows"]) == 2


def test_rows_of_events_lead_to_what_they_are_about() -> None:
    """dashboard.md 2: partner, link, visitor, confirmation, delivery"""
    link = make_link()
    event = makers.hit(link)
    event.visitor = event.data["visitor"]
    event.save(update_fields=["visitor"])
    confirmation = makers.confirmed(link)
    delivery = makers.delivered(link).data["delivery"]
    everything = rows(browser())
    assert f'href="/referrals/partners/{partner_of(link).uid}/"' in everything
    assert f'href="/referrals/links/{link.pk}/"' in everything
    assert f'href="/referrals/visitors/{event.visitor}/"' in everything
    assert f'href="/referrals/confirmations/{confirmation.pk}/"' in everything
    assert f'href="/referrals/deliveries/{delivery}/"' in everything
    some = rows(browser("view_amounts"))
    assert "/visitors/" not in some
    assert "/deliveries/" not in some


def test_rows_lead_a_partners_login_to_its_own_pages_alone() -> None:
    """dashboard-38"""
    client, partner = partner_browser(name="Mine")
    event = makers.hit(home_link(partner))
    event.visitor = event.data["visitor"]
    event.save(update_fields=["visitor"])
    found = rows(client)
    assert f'href="/referrals/partners/{partner.uid}/"' in found
    assert "/visitors/" not in found


def rows(client: Client) -> str:
    """Return the rows of the live feed."""
    return "".join(makers.rows_of(page(client, "live_feed")))
