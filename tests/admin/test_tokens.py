"""Feed tokens in the admin: made, shown once, rotated and revoked."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.urls import reverse
from django.utils import timezone

from livereferrals.events.models import ProcessStatus
from livereferrals.exceptions import FeedError
from livereferrals.streaming import tokens
from livereferrals.streaming.models import FeedToken
from tests.admin.people import act_url, browser_of, change_url, colleague, list_url
from tests.factories import home_link, make_link, make_partner

if TYPE_CHECKING:
    from django.test import Client

pytestmark = pytest.mark.django_db

ADD = "/admin/livereferrals/feedtoken/add/"
TOKEN = re.compile(r"lrf_[A-Za-z0-9]{12}_[A-Za-z0-9]{40}")


@pytest.fixture
def keeper() -> Client:
    """The browser of somebody who looks after tokens."""
    return browser_of(colleague("manage_tokens", "view_partner"))


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def fill(browser: Client, **values: Any) -> dict[str, Any]:
    """Return the add form as somebody fills it in."""
    found = re.search(r'name="token_id" value="(\w+)"', text_of(browser.get(ADD)))
    assert found is not None
    return {"name": "Warehouse", "reads": ["hits", "confirmations"], "token_id": found[1]} | values


def a_token(**values: Any) -> FeedToken:
    terms: dict[str, Any] = {"name": "Warehouse", "partner": make_partner(name="Acme")} | values
    return tokens.issue(**terms)[0]


def test_new_token_is_shown_once(keeper: Client, caplog: pytest.LogCaptureFixture) -> None:
    """feed-6: never again, and in no log, message, session or history"""
    partner = make_partner(name="Acme")
    answer = keeper.post(ADD, fill(keeper, partner=partner.pk))
    shown = set(TOKEN.findall(text_of(answer)))
    assert len(shown) == 1
    token = shown.pop()
    grant = tokens.verify(token)
    assert (grant.partner, grant.types) == (partner.uid, frozenset({"hit", "confirmation", "reversal"}))
    assert "no-store" in answer["Cache-Control"]
    row = FeedToken.objects.get()
    secret = token.rpartition("_")[2]
    for url in (list_url("feedtoken"), change_url(row), reverse("admin:index"), act_url(row, "history")):
        assert secret not in text_of(keeper.get(url))
    kept = [*LogEntry.objects.values_list("change_message", "object_repr"), *keeper.cookies.values()]
    kept += [session.get_decoded() for session in Session.objects.all()]
    assert secret not in f"{kept}{caplog.text}{vars(row)}"


def test_page_has_the_commands_that_use_it(keeper: Client) -> None:
    """feed-60"""
    page = text_of(keeper.post(ADD, fill(keeper, partner=make_partner().pk)))
    token = TOKEN.findall(page)[0]
    assert f"curl -N -H &#x27;Authorization: Bearer {token}&#x27;" in page
    assert "http://testserver/referrals/feed/v1/sse?cursor=oldest" in page
    assert (
        f"LIVEREFERRALS_FEED_TOKEN={token} python -m livereferrals.client http://testserver/referrals/feed/v1 --start oldest"
        in page
    )
    assert page.count("data-lr-copy-text") == 3


def test_form_sent_twice_makes_one_token(keeper: Client) -> None:
    """feed-6: a page that is loaded again says that the token is there, and does not show it"""
    filled = fill(keeper, partner=make_partner().pk)
    keeper.post(ADD, filled)
    again = keeper.post(ADD, filled, follow=True)
    assert FeedToken.objects.count() == 1
    assert "made already" in text_of(again)
    assert TOKEN.search(text_of(again)) is None


def test_token_is_of_a_partner_or_of_the_house(keeper: Client) -> None:
    """feed-16: a partner that was forgotten opens nothing"""
    for values in ({}, {"partner": make_partner().pk, "house": "on"}):
        assert "one of the two" in text_of(keeper.post(ADD, fill(keeper, **values)))
    assert not FeedToken.objects.exists()
    token = TOKEN.findall(text_of(keeper.post(ADD, fill(keeper, house="on"))))[0]
    assert tokens.verify(token).partner is None


def test_links_and_the_last_day_narrow_it(keeper: Client) -> None:
    """feed-17, feed-7: links are named as staff know them; the last day still counts"""
    partner = make_partner()
    link, foreign = home_link(partner), make_link()
    today = timezone.localdate()
    values = fill(keeper, partner=partner.pk, only_links=link.identifier, last_day=today.isoformat())
    token = TOKEN.findall(text_of(keeper.post(ADD, values)))[0]
    assert tokens.verify(token).links == frozenset({link.pk})
    row = FeedToken.objects.get()
    assert row.expires_at is not None
    assert timezone.now() < row.expires_at <= timezone.now() + timedelta(days=1, hours=2)
    for wrong, said in (
        ({"only_links": foreign.identifier}, foreign.identifier),
        ({"last_day": (today - timedelta(days=1)).isoformat()}, "is over"),
        ({"reads": ["amounts"]}, "at least one kind"),
        ({"reads": []}, "required"),
    ):
        assert said in text_of(keeper.post(ADD, fill(keeper, partner=partner.pk) | wrong))
    assert FeedToken.objects.count() == 1


def test_list_says_who_reads_and_whether(keeper: Client, django_assert_max_num_queries: Any) -> None:
    """feed-47, feed-8: state, last use and open connections, in a handful of queries"""
    in_use = a_token()
    tokens.revoke(a_token(name="Old one"))
    now = timezone.now()
    ProcessStatus.objects.create(id="p", kind="server", started_at=now, seen_at=now, connections={in_use.pk: 7})
    for _ in range(20):
        a_token()
    with django_assert_max_num_queries(12):
        page = text_of(keeper.get(list_url("feedtoken")))
    assert '<td class="field-open_now">7</td>' in page
    assert "Revoked" in page
    assert "Acme" in page
    assert "Old one" in text_of(keeper.get(list_url("feedtoken"), {"state": "ended"}))
    assert "Old one" not in text_of(keeper.get(list_url("feedtoken"), {"state": "in_use"}))


def test_partners_page_leads_to_its_tokens(keeper: Client) -> None:
    """D-25"""
    row = a_token()
    other = a_token(name="Elsewhere")
    assert row.partner is not None
    assert other.partner is not None
    listed = f"{list_url('feedtoken')}?partner={row.partner.uid}"
    assert listed.replace("&", "&amp;") in text_of(keeper.get(change_url(row.partner)))
    page = text_of(keeper.get(listed))
    assert "Elsewhere" not in page
    add = re.search(r'href="([^"]*feedtoken/add/\?[^"]*)"', page)
    assert add is not None
    assert f'<option value="{row.partner.pk}" selected>' in text_of(keeper.get(add[1].replace("&amp;", "&")))


def test_terms_can_be_changed(keeper: Client) -> None:
    """feed-17: open connections come back under the new terms"""
    row = a_token()
    grant = tokens.grant_of(row)
    keeper.post(change_url(row), {"name": "Renamed", "reads": ["hits"], "only_links": "", "last_day": ""})
    row.refresh_from_db()
    assert (row.name, row.scopes, row.links) == ("Renamed", ["hits"], None)
    assert tokens.recheck([grant])[grant].code == "resync"


def test_unchanged_form_changes_nothing(keeper: Client) -> None:
    """feed-17: what the page shows is what the row says"""
    partner = make_partner()
    last_moment = timezone.now() + timedelta(days=3)
    row = a_token(partner=partner, links=[home_link(partner).pk], expires_at=last_moment)
    form = keeper.get(change_url(row)).context["adminform"].form
    assert form.initial["only_links"] == home_link(partner).identifier
    assert form["last_day"].value() == timezone.localdate(last_moment)
    assert form["reads"].value() == row.scopes


def test_rotation_shows_the_new_one_and_ends_the_old_one(keeper: Client) -> None:
    """feed-8: at once, or after some days"""
    for days, still_works in ((None, False), (7, True)):
        row, old = tokens.issue(name="Warehouse", partner=make_partner(), scopes=["hits"])
        token_id = keeper.get(act_url(row, "rotate")).context["form"]["token_id"].value()
        last_day = "" if days is None else (timezone.localdate() + timedelta(days=days)).isoformat()
        answer = keeper.post(act_url(row, "rotate"), {"token_id": token_id, "last_day": last_day})
        new = TOKEN.findall(text_of(answer))[0]
        assert tokens.verify(new).types == {"hit"}
        row.refresh_from_db()
        assert (tokens.refusal_of(row, now=timezone.now()) is None) is still_works
        assert old != new
        again = keeper.post(act_url(row, "rotate"), {"token_id": token_id, "last_day": last_day}, follow=True)
        assert "made already" in text_of(again)
        assert ("works until" in text_of(keeper.get(change_url(row)))) is still_works


def test_revoked_token_stays_in_the_list_and_opens_nothing(keeper: Client) -> None:
    """feed-8"""
    row, text = tokens.issue(name="Warehouse", partner=make_partner())
    answer = keeper.post(act_url(row, "revoke"), follow=True)
    assert "within ten seconds" in text_of(answer)
    with pytest.raises(FeedError, match="revoked"):
        tokens.verify(text)
    page = text_of(keeper.get(change_url(row)))
    assert "Revoked" in page
    assert act_url(row, "revoke") not in page
    assert 'name="_save"' not in page


@pytest.mark.parametrize("permissions", [(), ("view_feedtoken",), ("add_feedtoken", "change_feedtoken")])
def test_without_the_permission_no_token_is_made_or_ended(permissions: tuple[str, ...]) -> None:
    """D-25: `manage_tokens` alone opens these pages"""
    browser = browser_of(colleague(*permissions))
    row = a_token()
    assert browser.get(ADD).status_code == 403
    for act in ("rotate", "revoke"):
        assert browser.post(act_url(row, act), {"token_id": tokens.new_id()}).status_code == 403
    assert browser.get(list_url("feedtoken")).status_code == (200 if "view_feedtoken" in permissions else 403)
    if "view_feedtoken" in permissions:
        page = text_of(browser.get(change_url(row)))
        assert "_save" not in page
        assert "hits, claims" in page
    row.refresh_from_db()
    assert row.revoked_at is None


def test_pages_of_no_token_are_not_found(keeper: Client) -> None:
    """D-25"""
    for act in ("rotate", "revoke"):
        assert keeper.get(f"/admin/livereferrals/feedtoken/nothing/{act}/").status_code == 404
