"""Rights: who may only look sees no button that does not work, and who may nothing is refused, by direct POST too."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from django.urls import reverse

from tests.admin.people import act_url, browser_of, change_url, colleague, list_url
from tests.factories import (
    make_confirmation,
    make_delivery,
    make_event,
    make_hit,
    make_link,
    make_partner,
    make_staff,
    make_subscription,
    make_visitor,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.test import Client

pytestmark = pytest.mark.django_db

MAKERS: dict[str, Callable[[], Any]] = {
    "partner": lambda: make_partner(active=False),
    "referrallink": make_link,
    "subscription": make_subscription,
    "visitor": make_visitor,
    "referralhit": make_hit,
    "confirmation": make_confirmation,
    "delivery": make_delivery,
    "event": make_event,
}
models = pytest.mark.parametrize("model", MAKERS)


def buttons(page: str) -> set[str]:
    """Return what can be pressed in the page's body, besides searching, filtering and copying."""
    body = page.split('id="content-main"', 1)[1]
    found = re.findall(r'<(?:input|button)[^>]*type="submit"[^>]*>', body)
    return {
        re.sub(r"\s+", " ", button)
        for button in found
        if 'value="Search"' not in button and 'class="button"' not in button
    }


@models
def test_viewer_sees_no_button_that_does_not_work(model: str) -> None:
    """D-25: on the list and on the page of a row."""
    row = MAKERS[model]()
    viewer = browser_of(colleague(f"view_{model}"))
    for url in (list_url(model), change_url(row)):
        page = viewer.get(url)
        assert page.status_code == 200
        text = page.content.decode()
        assert buttons(text) == set()
        assert 'name="action"' not in text
        assert "addlink" not in text.split('id="content-main"', 1)[1]
        assert not re.search(
            r'<ul class="object-tools">(?:\s*<li>\s*<a href="[^"]*/(?:reverse|archive|which-hit)/)', text
        )


@models
def test_nobody_without_a_permission_gets_in(model: str) -> None:
    """D-25: 403 for each page, also by direct POST."""
    row = MAKERS[model]()
    stranger = browser_of(colleague())
    name = f"admin:livereferrals_{model}"
    urls = [list_url(model), change_url(row), reverse(f"{name}_add"), act_url(row, "delete"), act_url(row, "history")]
    for url in urls:
        assert stranger.get(url).status_code == 403, url
        assert stranger.post(url, {"post": "yes", "name": "x"}).status_code == 403, url


@pytest.mark.parametrize(
    ("model", "act"),
    [
        ("partner", "switch_off"),
        ("referrallink", "switch_off"),
        ("referrallink", "qr"),
        ("subscription", "archive"),
        ("visitor", "asking"),
        ("confirmation", "reverse"),
    ],
)
def test_our_own_acts_refuse_strangers_too(model: str, act: str) -> None:
    """D-25: what we have added to Django's admin is guarded like the rest."""
    row = MAKERS[model]()
    stranger = browser_of(colleague())
    for ask in (stranger.get, stranger.post):
        assert ask(act_url(row, act)).status_code == 403


def test_visitors_are_sent_to_the_login(client: Client) -> None:
    """D-25: who is not logged in is asked to."""
    confirmation = make_confirmation()
    for url in (act_url(confirmation, "reverse"), list_url("referralhit") + "export/"):
        answer = client.post(url)
        assert answer.status_code == 302
        assert "/admin/login/" in answer["Location"]


def test_labels_belong_to_their_fields(client: Client) -> None:
    """D-30: each field that we add has a label or a name; what a copy button did is announced."""
    client.force_login(make_staff())
    confirmation = make_confirmation(amount="1.00")
    pages = [list_url("referralhit"), act_url(confirmation, "reverse"), change_url(make_partner())]
    page = ""
    for url in pages:
        page = client.get(url).content.decode().split('id="content-main"', 1)[1]
        labelled = set(re.findall(r'<label[^>]* for="([^"]+)"', page))
        fields = re.findall(
            r'<(?:input|select|textarea)(?![^>]*type="(?:hidden|submit|checkbox)")[^>]*? id="([^"]+)"', page
        )
        in_tables = {field for field in fields if field.startswith("id_links-")}
        assert set(fields) - labelled - in_tables == set(), url
    assert 'role="status" data-lr-said="Copied"' in page
    assert re.search(r'data-lr-copy="[^"]+" aria-label="Copy http', page)
