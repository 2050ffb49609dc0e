"""The tokens page: who reads the feed and how far behind, a new token shown once, rotated and revoked by staff alone."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from livereferrals.events.models import ProcessStatus
from livereferrals.exceptions import FeedError
from livereferrals.streaming import tokens
from livereferrals.streaming.models import FeedToken
from tests.dashboard.makers import cursor_of, make_viewer, metrics
from tests.factories import make_partner, make_user

if TYPE_CHECKING:
    from django.http import HttpResponse

pytestmark = pytest.mark.django_db
PAGE = reverse("livereferrals_dashboard:tokens")
NEW = reverse("livereferrals_dashboard:token_new")
TOKEN = re.compile(r"lrf_[A-Za-z0-9]{12}_[A-Za-z0-9]{40}")


@pytest.fixture
def keeper() -> Client:
    """The browser of somebody who looks after tokens."""
    client = Client()
    client.force_login(make_viewer("view_dashboard", "manage_tokens"))
    return client


def text_of(answer: HttpResponse) -> str:
    return str(answer.content.decode())


def page(client: Client, **query: str) -> str:
    response = client.get(PAGE, query)
    assert response.status_code == 200
    return text_of(response)  # type: ignore[arg-type] # the test client's answer


def act(name: str, token: FeedToken) -> str:
    return reverse(f"livereferrals_dashboard:token_{name}", args=[token.pk])


def a_token(**values: Any) -> FeedToken:
    terms: dict[str, Any] = {"name": "Warehouse", "partner": make_partner(name="Acme")} | values
    return tokens.issue(**terms)[0]


def fill(client: Client, url: str = NEW, **values: Any) -> dict[str, Any]:
    """Return the form as somebody fills it in."""
    found = re.search(r'name="token_id" value="(\w+)"', client.get(url).content.decode())
    assert found is not None
    return {"name": "Warehouse", "reads": ["hits", "confirmations"], "token_id": found[1]} | values


def test_tokens_stand_there_with_their_use(keeper: Client) -> None:
    """dashboard-1, dashboard-2: name, whose, scopes, state, last used, connections over all processes, and their lag"""
    used, unused = a_token(scopes=["hits", "amounts"]), a_token(name="Spare", partner=None)
    FeedToken.objects.filter(pk=used.pk).update(last_used_at=timezone.now())
    now = timezone.now()
    for name, lag in (("a:1:1", 0), ("b:1:1", 7)):
        ProcessStatus.objects.create(
            id=name, kind="server", started_at=now, seen_at=now, connections={used.pk: 2}, behind={used.pk: lag}
        )
    found = page(keeper)
    assert cursor_of(found)
    assert metrics(found) == {f"open-{used.pk}": "4", f"open-{unused.pk}": "0"}
    for text in ("Warehouse", "Acme", "hits, amounts", f"lrf_{used.pk}_", ">7<", "Everything (the house)", "In use"):
        assert text in found, text
    assert not TOKEN.search(found)


def test_tokens_are_filtered(keeper: Client) -> None:
    """dashboard-25: by state, partner and name"""
    first = a_token(name="First")
    second = a_token(name="Second", partner=make_partner(name="Other"))
    tokens.revoke(second)

    def listed(**query: str) -> set[str]:
        found = page(keeper, **query)
        return {row.name for row in (first, second) if f'id="tokens-{row.pk}"' in found}

    assert listed() == {"First", "Second"}
    assert listed(state="in_use") == listed(partner="Acme") == listed(q="fir") == listed(q=f"lrf_{first.pk}_")
    assert listed(state="ended") == listed(partner="Other") == {"Second"}
    assert listed(q="nothing") == set()


def test_new_token_is_shown_once_with_its_commands(keeper: Client, caplog: pytest.LogCaptureFixture) -> None:
    """dashboard-37: gone after a reload, and in no log, session or history; the form sent twice makes one token"""
    partner = make_partner(name="Acme")
    form = fill(keeper, whose="Acme")
    answer = keeper.post(NEW, form)
    shown = set(TOKEN.findall(answer.content.decode()))
    assert len(shown) == 1
    (text,) = shown
    assert tokens.verify(text).partner == partner.uid
    assert f'data-copy="{text}"' in answer.content.decode()
    assert answer.content.decode().count("data-copy=") == 3
    assert "sse?cursor=oldest" in answer.content.decode()
    assert (
        "python -m livereferrals.client http://testserver/referrals/feed/v1 --start oldest" in answer.content.decode()
    )
    assert answer["Cache-Control"] == "private, no-store"
    again = keeper.post(NEW, form)
    assert again.status_code == 409
    assert "it is shown only once" in again.content.decode()
    for later in (again.content.decode(), page(keeper), keeper.get(NEW).content.decode()):
        assert text not in later
        assert not TOKEN.search(later)
    assert FeedToken.objects.count() == 1
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.change_message) == (FeedToken.objects.get().pk, "Made.")
    secret = text.rpartition("_")[2]
    assert secret not in caplog.text
    assert all(secret not in str(session.get_decoded()) for session in Session.objects.all())


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "Name a partner, or tick"),
        ({"whose": "Acme", "house": "on"}, "Name a partner, or tick"),
        ({"whose": "Nobody"}, "There is no such partner."),
        ({"whose": "Twin"}, "Several partners bear this name."),
        ({"whose": "Acme", "reads": ["amounts"]}, "Choose at least one kind of event."),
        ({"whose": "Acme", "only_links": "foreign"}, "The partner has no link"),
        ({"whose": "Acme", "last_day": "2020-01-01"}, "This day is over."),
        ({"whose": "Acme", "name": ""}, "This field is required."),
    ],
    ids=["nobody", "both", "unknown", "twins", "no-events", "links", "past", "no-name"],
)
def test_bad_wish_is_told_and_makes_nothing(keeper: Client, values: dict[str, Any], says: str) -> None:
    """dashboard-37: a forgotten partner does not open everything"""
    for name in ("Acme", "Twin", "Twin"):
        make_partner(name=name)
    found = keeper.post(NEW, fill(keeper) | values).content.decode()
    assert says in found
    assert 'role="alert"' in found
    assert not FeedToken.objects.exists()


def test_house_token_needs_a_tick(keeper: Client) -> None:
    """dashboard-37"""
    answer = keeper.post(NEW, fill(keeper, house="on"))
    (text,) = set(TOKEN.findall(answer.content.decode()))
    assert tokens.verify(text).partner is None


def test_rotated_token_works_until_its_last_day(keeper: Client) -> None:
    """dashboard-37: the new one is shown once; sent twice makes one"""
    old = a_token()
    last_day = timezone.localdate() + timedelta(days=3)
    url = act("rotate", old)
    found = re.search(r'name="token_id" value="(\w+)"', keeper.get(url).content.decode())
    assert found is not None
    form = {"token_id": found[1], "last_day": last_day.isoformat()}
    answer = keeper.post(url, form)
    assert len(set(TOKEN.findall(answer.content.decode()))) == 1
    assert "it is shown only once" in keeper.post(url, form).content.decode()
    assert FeedToken.objects.count() == 2
    listing = page(keeper)
    assert "Rotated; works until" in listing
    assert act("rotate", old) not in listing
    assert act("revoke", old) in listing
    assert "It was revoked or rotated before." in keeper.get(url).content.decode()


def test_revoked_token_is_shown_as_such_and_cannot_be_revoked_again(keeper: Client) -> None:
    """dashboard-37: asks first; recorded with who did it"""
    row, text = tokens.issue(name="Warehouse", partner=make_partner())
    url = act("revoke", row)
    assert "within ten seconds" in keeper.get(url).content.decode()
    assert tokens.verify(text).token == row.pk
    assert keeper.post(url).status_code == 302
    with pytest.raises(FeedError):
        tokens.verify(text)
    listing = page(keeper)
    assert "Revoked" in listing
    assert url not in listing
    again = keeper.post(url)
    assert again.status_code == 409
    assert "It was revoked before." in again.content.decode()
    assert [entry.change_message for entry in LogEntry.objects.all()] == ["Revoked."]


def test_partner_sees_its_own_tokens_and_changes_none() -> None:
    """dashboard-38: no foreign name or id in a byte; what staff do is refused"""
    user = make_user()
    own = a_token(name="Ours", partner=make_partner(name="Mine", user=user))
    foreign, house = a_token(name="Theirs"), a_token(name="House", partner=None)
    client = Client()
    client.force_login(user)
    found = page(client)
    assert "Ours" in found
    for text in ("Theirs", "Acme", "House", foreign.pk, house.pk, NEW, "Rotate", act("revoke", own)):
        assert text not in found, text
    for url in (NEW, act("rotate", own), act("revoke", own), act("revoke", foreign)):
        assert client.get(url).status_code == 403
        assert client.post(url).status_code == 403
    assert FeedToken.objects.filter(revoked_at__isnull=True).count() == 3


def test_staff_need_the_permission() -> None:
    """dashboard-32: neither tab nor page nor act; strangers sign in"""
    row = a_token()
    client = Client()
    client.force_login(make_viewer("view_dashboard"))
    for url in (PAGE, NEW, act("rotate", row), act("revoke", row)):
        assert client.get(url).status_code == 403
        assert Client().get(url).status_code == 302
    assert PAGE not in client.get(reverse("livereferrals_dashboard:overview")).content.decode()


def test_token_that_is_not_there_is_missing(keeper: Client) -> None:
    """dashboard-38"""
    assert keeper.get(act("revoke", FeedToken(id="nothinghere1"))).status_code == 404


def test_empty_page_says_the_next_step(keeper: Client) -> None:
    """dashboard-52: for those who may make one, and for a partner"""
    found = page(keeper)
    assert "No tokens yet" in found
    assert f'href="{NEW}"' in found
    client = Client()
    partner = make_partner(user=make_user())
    assert partner.user is not None
    client.force_login(partner.user)
    found = page(client)
    assert "No tokens yet" in found
    assert NEW not in found


def test_acts_need_a_csrf_token(keeper: Client) -> None:
    """dashboard-32"""
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(make_viewer("view_dashboard", "manage_tokens"))
    row = a_token()
    assert strict.post(act("revoke", row)).status_code == 403
    assert FeedToken.objects.get().revoked_at is None
