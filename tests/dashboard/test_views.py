from __future__ import annotations

import time

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import AnonymousUser
from django.test import Client, RequestFactory
from django.urls import clear_script_prefix, set_script_prefix

from livereferrals.dashboard import access, assets, overview, rollups
from livereferrals.dashboard.policy import content_security_policy
from livereferrals.dashboard.views import page_view
from livereferrals.events import log
from tests.dashboard import makers
from tests.factories import make_link, make_partner, make_staff, make_user

pytestmark = pytest.mark.django_db

URL = "/referrals/"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'"
)
HTMX = {"HX-Request": "true"}


@pytest.fixture
def link():
    return make_link()


@pytest.fixture
def staff_client():
    client = Client()
    client.force_login(make_staff(username="boss"))
    return client


def test_page_shows_the_numbers_of_the_database_at_its_cursor(staff_client, link):
    """dashboard-1, dashboard-2"""
    makers.hit(link)
    makers.hit(link, repeat=True)
    makers.claim(link, hits=2)
    makers.confirmed(link, amount="12.50", currency="EUR")

    text = staff_client.get(URL).content.decode()

    cursor = str(log.bounds().newest_cursor)
    assert f'data-cursor="{cursor}" data-view="overview"' in text
    assert makers.cursor_of(text) == cursor
    assert makers.metrics(text) == {
        "hits": "2",
        "visitors": "1",
        "claims": "1",
        "confirmations": "1",
        "amount-EUR": "12.50",
        "rate": "1.000000",
    }


def test_list_shows_the_newest_fifty_events_and_no_unnumbered_one(staff_client, link):
    """dashboard.md 2, overview's live list"""
    events = [makers.hit(link) for _ in range(52)]
    log.append(makers.hit_entry(link))
    rows = makers.rows_of(staff_client.get(URL).content.decode())
    assert len(rows) == 50
    assert f'id="event-{events[-1].seq}"' in rows[0]
    assert f'id="event-{events[2].seq}"' in rows[-1]
    assert link.partner.name in rows[0]
    assert link.identifier in rows[0]


def test_names_of_partners_are_looked_up_together(staff_client, django_assert_max_num_queries):
    """style.md 3: no queries inside a loop"""
    for _ in range(20):
        makers.hit(make_link(partner=make_partner()))
    rollups.advance()
    # Session, user, two for keeping the tail short, the others for the state.
    with django_assert_max_num_queries(23):
        staff_client.get(URL)


def test_empty_log_has_a_page_too(staff_client):
    """dashboard-52"""
    text = staff_client.get(URL).content.decode()
    assert makers.metrics(text) == {
        "hits": "0",
        "visitors": "0",
        "claims": "0",
        "confirmations": "0",
        "amount": "",
        "rate": "",
    }
    assert "\N{EN DASH}" in text


def test_headers_are_strict_and_nothing_is_kept(staff_client):
    """dashboard.md 9, 3"""
    response = staff_client.get(URL)
    assert response["Content-Security-Policy"] == POLICY
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response["Cache-Control"] == "private, no-store"
    assert {"HX-Request", "Cookie"} <= {name.strip() for name in response["Vary"].split(",")}


def test_refusals_have_the_headers_too(client):
    """dashboard.md 9"""
    assert client.get(URL)["Content-Security-Policy"] == POLICY
    client.force_login(make_user())
    assert client.get(URL).status_code == 403


def test_static_files_of_another_origin_are_let_in():
    """dashboard.md 9"""
    policy = content_security_policy("https://cdn.example/static/")
    assert "script-src 'self' https://cdn.example; style-src 'self' https://cdn.example;" in policy
    assert "connect-src 'self';" in policy
    assert content_security_policy("//cdn.example/") == content_security_policy("https://cdn.example/")


def test_page_has_no_inline_script_or_style(staff_client, link):
    """dashboard.md 9"""
    makers.hit(link)
    text = staff_client.get(URL).content.decode()
    for forbidden in ("style=", "<style", "onclick", "hx-on", "javascript:", "js:"):
        assert forbidden not in text
    assert text.count("<script") == text.count("<script src=") + text.count('<script defer src="')


NAUGHTY = "\"><script>alert(1)</script>'{{ 7|add:7 }}"


def test_text_from_outside_is_escaped(staff_client):
    """dashboard-54"""
    link = make_link(partner=make_partner(name=NAUGHTY))
    makers.hit(link, landing=NAUGHTY)
    makers.confirmed(link, reference=NAUGHTY, trigger=NAUGHTY)
    text = staff_client.get(URL, {"type": NAUGHTY, "range": NAUGHTY}).content.decode()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "{{ 7|add:7 }}" in makers.rows_of(text)[0]


# --- filters ----------------------------------------------------------------------------------------------------------


def test_type_filter_narrows_the_list_and_not_the_numbers(staff_client, link):
    """dashboard-21"""
    makers.hit(link)
    makers.claim(link)
    text = staff_client.get(URL, {"type": "claim"}).content.decode()
    assert len(makers.rows_of(text)) == 1
    assert 'data-type="claim"' in makers.rows_of(text)[0]
    assert makers.metrics(text)["hits"] == "1"


def test_filter_request_of_htmx_gets_the_same_regions(staff_client, link):
    """dashboard-21, dashboard.md 1: same markup both ways"""
    makers.hit(link)
    page = staff_client.get(URL, {"range": "7d"}).content.decode()
    answer = staff_client.get(URL, {"range": "7d"}, headers=HTMX).content.decode()
    assert "<main" not in answer
    assert answer.count('hx-swap-oob="morph"') == len(overview.PAGE.regions) + 2
    assert makers.rows_of(answer) == makers.rows_of(page)
    assert makers.metrics(answer) == makers.metrics(page)
    assert makers.filter_of(answer) == makers.filter_of(page)


def test_unknown_filter_value_brings_a_notice(staff_client):
    """dashboard-25"""
    response = staff_client.get(URL, {"range": "century", "type": "moon"})
    assert response.status_code == 200
    assert "century" in response.content.decode()
    assert "moon" in response.content.decode()


def test_restored_history_gets_the_whole_page(staff_client):
    """dashboard-23"""
    headers = HTMX | {"HX-History-Restore-Request": "true"}
    assert "<main" in staff_client.get(URL, headers=headers).content.decode()


# --- polls ------------------------------------------------------------------------------------------------------------


def test_poll_is_silent_until_something_happens(staff_client, link):
    """dashboard-18"""
    makers.hit(link)
    page = staff_client.get(URL).content.decode()
    asked = {"cursor": makers.cursor_of(page), "period": makers.period_of(page)}
    assert staff_client.get(URL, asked, headers=HTMX).status_code == 204
    assert staff_client.get(URL, asked | {"period": "1"}, headers=HTMX).status_code == 200
    makers.hit(link)
    answer = staff_client.get(URL, asked, headers=HTMX).content.decode()
    assert makers.metrics(answer)["hits"] == "2"
    assert answer.count('hx-swap-oob="morph"') == len(overview.PAGE.regions)


def test_poll_works_by_query_too(staff_client):
    """dashboard-18"""
    cursor = str(log.bounds().newest_cursor)
    assert staff_client.get(URL, {"fragment": "1", "cursor": cursor}).status_code == 204
    assert staff_client.get(URL, {"fragment": "1", "cursor": "garbage"}).status_code == 200


# --- who may ----------------------------------------------------------------------------------------------------------


def test_only_the_permission_opens_it(client):
    """dashboard.md 5"""
    client.force_login(make_user(is_staff=True))
    assert client.get(URL).status_code == 403
    client.force_login(makers.make_viewer())
    assert client.get(URL).status_code == 200


def test_without_view_amounts_no_amount_is_in_any_byte(client, link):
    """dashboard-39"""
    client.force_login(makers.make_viewer())
    makers.confirmed(link, amount="98.76", currency="EUR")
    text = client.get(URL).content.decode()
    assert "98.76" not in text
    assert "EUR" not in text
    assert not any(metric.startswith("amount") for metric in makers.metrics(text))


def test_who_is_not_signed_in_goes_to_the_login_url(client, settings):
    """dashboard.md 5"""
    settings.LOGIN_URL = "/login/"
    response = client.get(URL, {"range": "7d"})
    assert response.status_code == 302
    assert response["Location"] == "/login/?next=/referrals/%3Frange%3D7d"


def test_who_is_not_signed_in_goes_to_the_admin_where_login_url_leads_nowhere(client, settings):
    """dashboard.md 5: `startproject` has no page at /accounts/login/"""
    settings.LOGIN_URL = "/accounts/login/"
    assert client.get(URL)["Location"] == "/admin/login/?next=/referrals/"


@pytest.mark.parametrize("declared", ["https://login.example/", "//login.example/", "login", "/admin/login/"])
def test_login_url_that_leads_somewhere_is_kept(settings, declared):
    """dashboard.md 5: another site, a URL name, a path"""
    settings.LOGIN_URL = declared
    expected = "/login/" if declared == "login" else declared
    assert access.login_url("/referrals/") == f"{expected}?next=/referrals/"


def test_project_without_admin_keeps_its_login_url(settings):
    """dashboard.md 5"""
    settings.LOGIN_URL = "/nowhere/"
    settings.ROOT_URLCONF = "tests.dashboard.bare_urls"
    assert access.login_url("/x/") == "/nowhere/?next=/x/"


def test_login_below_a_script_name_is_found(settings):
    """dashboard.md 5"""
    settings.LOGIN_URL = "/app/login/"
    set_script_prefix("/app/")
    try:
        assert access.login_url("/app/referrals/") == "/app/login/?next=/app/referrals/"
        settings.LOGIN_URL = "/outside/"
        assert access.login_url("/app/referrals/") == "/outside/?next=/app/referrals/"
    finally:
        clear_script_prefix()


def test_regions_are_never_a_login_page(client):
    """dashboard-14"""
    poll = client.get(URL, {"cursor": "abcd.1"}, headers=HTMX)
    assert poll.status_code == 401
    assert "HX-Redirect" not in poll
    chosen = client.get(URL, {"range": "7d"}, headers=HTMX)
    assert chosen.status_code == 401
    assert "/referrals/%3Frange%3D7d" in chosen["HX-Redirect"]


def test_only_reading_is_answered(staff_client):
    """dashboard.md 3"""
    assert staff_client.post(URL).status_code == 405
    assert staff_client.head(URL).status_code == 200


def test_view_opens_no_transaction_of_the_hosts_kind():
    """dashboard.md 3: `ATOMIC_REQUESTS`"""
    assert page_view("overview")._non_atomic_requests == {"default"}  # type: ignore[attr-defined] # Django's mark


def test_anonymous_requests_touch_no_log(django_assert_num_queries):
    """dashboard.md 5"""
    request = RequestFactory().get(URL)
    request.user = AnonymousUser()
    with django_assert_num_queries(0):
        assert page_view("overview")(request).status_code == 302


def test_live_url_carries_what_the_frames_need(staff_client, link):
    """dashboard.md 4"""
    makers.hit(link)
    text = staff_client.get(URL, {"range": "7d", "type": "hit"}).content.decode().replace("&amp;", "&")
    cursor, period = makers.cursor_of(text), makers.period_of(text)
    zone = django_settings.TIME_ZONE.replace("/", "%2F")
    wanted = f"/referrals/live/ws?view=overview&language=en-gb&zone={zone}&assets={assets.version()}&cursor={cursor}&period={period}&range=7d&type=hit"
    assert wanted in text


def test_first_paint_is_quick_with_much_in_the_log(staff_client, link):
    """dashboard.md 3: numbers come from rollups plus the tail"""
    log.append_all([makers.hit_entry(link) for _ in range(5000)])
    makers.hit(link)
    staff_client.get(URL)
    began = time.process_time()
    text = staff_client.get(URL).content.decode()
    assert time.process_time() - began < 1
    assert makers.metrics(text)["hits"] == str(log.bounds().head)
