"""A host project changes the dashboard by its settings and templates."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings as django_settings
from django.core.checks import run_checks
from django.test import Client
from django.urls import reverse
from django.utils.translation import gettext_lazy

from livereferrals.dashboard import catalogue
from livereferrals.dashboard.access import CODENAMES, VIEW_DASHBOARD
from tests.dashboard import hosts, makers
from tests.dashboard.sockets import Browser, sign_in
from tests.factories import make_link, make_partner, make_staff, make_user

if TYPE_CHECKING:
    from pytest_django import Settings

DOCUMENT = Path(__file__).parents[2] / "docs/dashboard.md"
TEMPLATES = Path(__file__).parents[2] / "livereferrals/templates/livereferrals/dashboard"
ENTRY = {"label": "Shop", "url_name": "home"}

pytestmark = pytest.mark.django_db


def put(settings: Settings, **keys: Any) -> None:
    settings.LIVEREFERRALS = {**django_settings.LIVEREFERRALS, **keys}


def browser(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page(user: Any, name: str = "links") -> str:
    return browser(user).get(reverse(f"livereferrals_dashboard:{name}")).content.decode()


def columns(*names: str) -> dict[str, list[str]]:
    return {"links": [f"tests.dashboard.hosts.{name}" for name in names]}


# --- columns ------------------------------------------------------------------------------------------------------------


def test_column_of_the_host_stands_last_and_is_looked_up_once(settings: Settings) -> None:
    """dashboard.md 1: one query for a page of rows, not one for each"""
    put(settings, DASHBOARD_COLUMNS=columns("shelf", "length"))
    for name in ("abc", "defgh"):
        make_link(owner="house", identifier=name)
    hosts.LOOKED_UP.clear()
    shown = page(make_staff())
    assert [key for key in ("Leads to", "Shelf", "Length") if key in shown] == ["Leads to", "Shelf", "Length"]
    assert shown.index("Leads to") < shown.index("Shelf") < shown.index("Length")
    assert "shelf of defgh" in shown
    assert "5 letters" in shown
    assert hosts.LOOKED_UP == [2]


def test_column_of_the_host_is_exported(settings: Settings) -> None:
    """dashboard-49"""
    put(settings, DASHBOARD_COLUMNS=columns("shelf"))
    make_link(owner="house", identifier="abc")
    answer = browser(make_staff()).get(reverse("livereferrals_dashboard:links_export"))
    head, line = b"".join(answer).decode().splitlines()
    assert head.endswith(",shelf")
    assert line.endswith(",shelf of abc")


@pytest.mark.django_db(transaction=True)
async def test_column_of_the_host_is_live(settings: Settings) -> None:
    """dashboard.md 1: same markup both ways"""
    from channels.db import database_sync_to_async

    put(settings, DASHBOARD_COLUMNS=columns("shelf"))
    client = await sign_in(await database_sync_to_async(make_staff)())
    async with Browser(client, view="links") as socket:
        await database_sync_to_async(lambda: makers.hit(make_link(identifier="abc")))()
        while "shelf of abc" not in await socket.frame():
            pass


def test_column_of_the_host_is_not_for_partners_unless_it_says_so(settings: Settings) -> None:
    """dashboard-38: what colleagues note of a partner is not the partner's"""
    put(settings, DASHBOARD_COLUMNS=columns("shelf", "length"))
    user = make_user()
    make_partner(user=user, uid="abcdefgh")
    shown = page(user)
    assert "8 letters" in shown
    assert "helf" not in shown


def test_column_of_the_host_may_need_a_permission(settings: Settings) -> None:
    """dashboard-39"""
    put(settings, DASHBOARD_COLUMNS=columns("worth"))
    make_link(owner="house")
    assert "fortune" not in page(makers.make_viewer())
    assert "fortune" in page(makers.make_viewer("view_dashboard", "view_amounts"))


def test_column_of_the_host_that_raises_shows_a_dash(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """dashboard-53: its mistake stays in its cells, whichever way it raises, and is logged once for a page of them"""
    put(settings, DASHBOARD_COLUMNS=columns("unfounded", "partial", "length"))
    for name in ("abc", "defgh", "abcd"):
        make_link(owner="house", identifier=name)
    shown = page(make_staff())
    cells = {
        label: {text.strip() for text in re.findall(rf'data-label="{label}"[^>]*>(.*?)</td>', shown, re.DOTALL)}
        for label in ("Unfounded", "Partial", "Length")
    }
    assert cells == {
        "Unfounded": {"\N{EN DASH}"},
        "Partial": {"\N{EN DASH}", "fine for defgh", "fine for abcd"},
        "Length": {"3 letters", "5 letters", "4 letters"},
    }
    failed = [vars(each)["column"] for each in caplog.records if getattr(each, "action", "") == "column.failed"]
    assert sorted(failed) == ["partial", "unfounded"]


# --- navigation -----------------------------------------------------------------------------------------------------------


def test_entry_of_the_host_stands_in_the_bar(settings: Settings) -> None:
    """dashboard.md 7"""
    put(settings, DASHBOARD_NAVIGATION=[ENTRY, ENTRY | {"label": gettext_lazy("Yes"), "url_name": "page"}])
    with_language = browser(make_staff()).get("/referrals/")
    tabs = re.search(r'<nav class="lr-tabs".*?</nav>', with_language.content.decode(), re.DOTALL)
    assert tabs is not None
    assert '<a class="lr-tabs__tab" href="/">Shop</a>' in tabs[0]
    assert '<a class="lr-tabs__tab" href="/page/">Yes</a>' in tabs[0]


def test_entry_of_the_host_may_need_a_permission(settings: Settings) -> None:
    """dashboard.md 5: without permission it is absent"""
    put(settings, DASHBOARD_NAVIGATION=[ENTRY | {"permission": "livereferrals.view_amounts"}])
    assert ">Shop<" not in page(makers.make_viewer())
    assert ">Shop<" in page(makers.make_viewer("view_dashboard", "view_amounts"))


# --- templates ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def own_templates(tmp_path: Path, settings: Settings) -> Path:
    """The directory of a host's own templates of the dashboard, which are found first."""
    first, *others = settings.TEMPLATES
    settings.TEMPLATES = [first | {"DIRS": [str(tmp_path)]}, *others]
    folder = tmp_path / "livereferrals/dashboard"
    folder.mkdir(parents=True)
    return folder


def test_stylesheet_of_the_host_comes_after_ours_on_every_page(own_templates: Path) -> None:
    """dashboard.md 7: hosts override the custom properties in one stylesheet"""
    (own_templates / "base.html").write_text(
        '{% extends "livereferrals/dashboard/base.html" %}{% load static %}'
        '{% block extra_head %}<link rel="stylesheet" href="{% static "mysite/referrals.css" %}">{% endblock %}'
    )
    for user in (make_staff(), make_user()):
        shown = page(user)
        assert shown.index("livereferrals/app.css") < shown.index("/static/mysite/referrals.css")


def test_partial_of_the_host_is_used_by_page_and_by_frames(own_templates: Path) -> None:
    """dashboard.md 1: same markup both ways"""
    (own_templates / "_event_row.html").write_text('<tr id="{{ row.id }}"><td>ours: {{ row.link }}</td></tr>')
    makers.hit(make_link(identifier="abc"))
    client = browser(make_staff())
    assert "ours: abc" in client.get("/referrals/").content.decode()
    assert "ours: abc" in client.get("/referrals/", headers={"HX-Request": "true"}).content.decode()


BLOCKS = {
    "base.html": {"title", "scripts", "extra_head", "body_attributes", "brand", "bar", "content", "footer"},
    "page.html": {"extra_tabs", "heading", "before_regions", "regions", "after_regions"},
}
"""What hosts build on: a block that goes or is renamed breaks their pages."""


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_that_hosts_build_on_are_there(name: str) -> None:
    """dashboard.md 7"""
    found = set(re.findall(r"{% block (\w+) %}", (TEMPLATES / name).read_text()))
    assert BLOCKS[name] <= found
    text = DOCUMENT.read_text()
    assert [block for block in sorted(BLOCKS[name]) if f"`{block}`" not in text] == []


@pytest.mark.parametrize("block", ["brand", "extra_tabs", "before_regions", "after_regions", "footer"])
def test_block_of_the_host_shows(own_templates: Path, block: str) -> None:
    """dashboard.md 7"""
    (own_templates / "page.html").write_text(
        '{% extends "livereferrals/dashboard/page.html" %}{% block ' + block + " %}<b>ours</b>{% endblock %}"
    )
    assert "<b>ours</b>" in page(make_staff())


def test_url_names_permissions_and_properties_that_hosts_build_on_are_documented() -> None:
    """dashboard.md 2, 5, 7"""
    text = DOCUMENT.read_text()
    css = (TEMPLATES.parents[3] / "frontend/dashboard/src/tokens.css").read_text()
    names = {page.name for page in catalogue.PAGES} | {
        f"{page.name}_export" for page in catalogue.PAGES if page.exports
    }
    names |= {VIEW_DASHBOARD, *CODENAMES} | set(BLOCKS["base.html"])
    names |= {name for name in re.findall(r"--lr-[\w-]+", css) if name != "--lr-edge"}
    assert sorted(name for name in names if f"`{name}`" not in text) == []


# --- checks ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "number", "said"),
    [
        ({"DASHBOARD_COLUMNS": []}, "E001", "expected a dict"),
        ({"DASHBOARD_COLUMNS": {"links": "a.b"}}, "E001", "expected a list of texts"),
        ({"DASHBOARD_COLUMNS": {"pages": ["a.b"]}}, "E015", "there is no list 'pages'"),
        ({"DASHBOARD_COLUMNS": {"links": ["nowhere.column"]}}, "E015", "cannot be imported"),
        ({"DASHBOARD_COLUMNS": columns("nothing")}, "E015", "is no livereferrals.dashboard.columns.ExtraColumn"),
        ({"DASHBOARD_COLUMNS": columns("misspelt")}, "E015", "needs 'view_everything'"),
        ({"DASHBOARD_COLUMNS": columns("shelf", "shelf")}, "E015", "two columns 'shelf'"),
        ({"DASHBOARD_NAVIGATION": ENTRY}, "E001", "expected a list of dicts"),
        ({"DASHBOARD_NAVIGATION": ["home"]}, "E001", "expected a dict"),
        ({"DASHBOARD_NAVIGATION": [ENTRY | {"url": "/"}]}, "E001", "unknown key 'url'"),
        ({"DASHBOARD_NAVIGATION": [{"label": "Shop"}]}, "E001", "expected text"),
        ({"DASHBOARD_NAVIGATION": [ENTRY | {"permission": "view_order"}]}, "E001", "'app.codename'"),
        ({"DASHBOARD_NAVIGATION": [ENTRY | {"url_name": "nowhere"}]}, "E016", "there is no URL 'nowhere'"),
    ],
    ids=str,
)
def test_mistakes_are_found_by_the_check(settings: Settings, keys: dict[str, Any], number: str, said: str) -> None:
    """O-08"""
    put(settings, **keys)
    found = [message for message in run_checks(tags=["livereferrals"]) if "DASHBOARD" in message.msg]
    (message,) = found
    assert message.id == f"livereferrals.{number}"
    assert said in message.msg
    assert message.hint


def test_good_additions_are_told_nothing(settings: Settings) -> None:
    """O-08"""
    put(settings, DASHBOARD_COLUMNS=columns("shelf", "length", "worth"), DASHBOARD_NAVIGATION=[ENTRY])
    assert [message for message in run_checks(tags=["livereferrals"]) if "DASHBOARD" in message.msg] == []
