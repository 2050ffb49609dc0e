"""Text from outside is told in the log and in SQL as what it is: never as a line or a statement of its own."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from django.db import OperationalError, connection
from django.test import Client, override_settings

from livereferrals.dashboard import catalogue
from livereferrals.streaming import tokens
from tests.factories import home_link, make_hit, make_partner, make_staff

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.django_db
FORGED = "x\r\n2026-11-21 12:00:00 ERROR livereferrals: forged\x1b[2J"
LISTS = ("partner", "referrallink", "visitor", "referralhit", "confirmation", "subscription", "delivery", "feedtoken")
MARK = "zqxj"
"""Nothing of ours is spelled like this."""


def away(*args: object) -> None:
    raise OperationalError("server closed the connection")


def fails(request: object) -> bool:
    """A hook of the host's that repeats what it was sent."""
    raise ValueError(FORGED)


@override_settings(DEBUG_PROPAGATE_EXCEPTIONS=False)
@pytest.mark.parametrize("path", ["/ref/{}", "/ref/{}/?next=/x", "/page/?ref={}", "/page/?affiliate_id={}"])
def test_no_text_from_outside_begins_a_line_of_the_log(path: str, caplog: pytest.LogCaptureFixture) -> None:
    """O-12, L-27: an identifier that is told when the database is away, or a hit is lost"""
    caplog.set_level(logging.DEBUG, logger="livereferrals")
    with connection.execute_wrapper(away):
        Client(raise_request_exception=False).get(
            path.format(quote(FORGED, safe="")), headers={"user-agent": "x\\r\\ny", "referer": "https://x/%0d%0a"}
        )
    ours = [record for record in caplog.records if record.name.startswith("livereferrals")]
    for record in ours:
        assert record.getMessage().isprintable(), record.getMessage()


def test_forged_line_would_be_told(caplog: pytest.LogCaptureFixture) -> None:
    """O-12: the link of an identifier that can be one, with the database away, is named"""
    with connection.execute_wrapper(away):
        Client().get("/ref/abc123")
    assert "abc123" in caplog.text


def statements(ask: Callable[[], Any]) -> list[str]:
    """Return the text of every statement, without its parameters."""
    told: list[str] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        told.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        response = ask()
        if getattr(response, "streaming", False):
            for _ in response:
                pass
    return told


def test_filters_reach_the_database_as_parameters_alone() -> None:
    """D-21, dashboard-21: of every page and export of the dashboard, and of every list of the admin"""
    partner = make_partner(name=f"{MARK} ltd")
    make_hit(link=home_link(partner))
    staff = Client()
    staff.force_login(make_staff())
    payload = f"{MARK}' OR '1'='1"
    for page in catalogue.PAGES:
        names = [*(field.name for field in page.fields), "sort", "after", "range", "type"]
        base = "/referrals/" if page.name == "overview" else f"/referrals/{page.name.removesuffix('_feed')}/"
        for path in (base, f"{base}export.csv"):
            told = statements(partial(staff.get, path, dict.fromkeys(names, payload)))
            assert not any(MARK in sql for sql in told), path
    for model in LISTS:
        path = f"/admin/livereferrals/{model}/"
        for names in (["q"], ["partner", "link", "day", "flag", "state", "trigger", "o", "p", "all"]):
            told = statements(partial(staff.get, path, dict.fromkeys(names, payload)))
            assert not any(MARK in sql for sql in told), (path, names)


def test_text_that_is_searched_for_is_found() -> None:
    """D-21, dashboard-21: the way of the test above does lead to the database"""
    partner = make_partner(name=f"{MARK}' OR '1'='1")
    hit, other = make_hit(link=home_link(partner)), make_hit()
    staff = Client()
    staff.force_login(make_staff())
    text = staff.get("/referrals/hits/", {"partner": f"{MARK}' OR '1'='1"}).content.decode()
    assert str(hit.pk) in text
    assert str(other.pk) not in text


def test_hostile_tokens_and_cursors_reach_no_statement() -> None:
    """feed-6, feed-27: what has not the form of a token or a cursor is refused before the database is asked"""
    row, text = tokens.issue(name="x", partner=make_partner())
    client = Client()
    assert row.pk in text
    for payload in (f"lrf_{MARK}'--_x", f"lrf_{row.pk}_' OR '1'='1", f"{text}'"):
        told = statements(
            partial(client.get, "/referrals/feed/v1/poll", headers={"authorization": f"Bearer {payload}"})
        )
        assert not any(MARK in sql or "' OR '" in sql for sql in told)
