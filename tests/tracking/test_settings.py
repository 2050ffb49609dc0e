"""Settings that a test overrides are the ones that are used, and the order of apps decides nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings as django_settings
from django.test import override_settings

from livereferrals import conf
from livereferrals.tracking.models import ReferralHit
from tests.servers import ROOT, server_environment

if TYPE_CHECKING:
    from types import SimpleNamespace

    from tests.tracking.browsers import Browser

OTHERS: dict[str, Any] = {
    "BASE_URL": "https://www.example.com",
    "PARAMETERS": {"via": "link"},
    "PARAMETER_HOPS": {"via": "link_url"},
    "EXCLUDE_PATHS": ("/api/",),
    "DEFAULT_REDIRECT": "/welcome/",
    "ALLOWED_REDIRECT_HOSTS": ("app.example",),
    "MAX_NEXT_LENGTH": 100,
    "COOKIE_NAME": "who",
    "COOKIE_MAX_AGE": 60,
    "COOKIE_DOMAIN": ".shop.example",
    "COOKIE_PATH": "/shop/",
    "COOKIE_SAMESITE": "Strict",
    "COOKIE_HTTPONLY": False,
    "COOKIE_SECURE": True,
    "VISITOR_CARRIER": "session",
    "SESSION_KEY": "who",
    "CONSENT": len,
    "RESPECT_GPC": True,
    "BOTS": "flag",
    "BOT_PATTERNS": (re.compile("mine"),),
    "SELF_REFERRALS": "allow",
    "IP": "none",
    "TRUSTED_PROXIES": 2,
    "CLIENT_IP": len,
    "REDACT_PARAMETERS": ("secret",),
}
OLD: dict[str, tuple[str, Any, str, Any]] = {
    "query key": ("AFFILIATE_QUERY_STRING_KEY", "p", "PARAMETERS", {"ref": "link", "p": "partner"}),
    "session key": ("AFFILIATE_SESSION_KEY", "who", "SESSION_KEY", "who"),
    "cookie": ("DJANGO_REFERRALS_SETTINGS", {"COOKIE_KEY": "rk"}, "COOKIE_NAME", "rk"),
    "parameter": ("DJANGO_REFERRALS_SETTINGS", {"URL_PARAM": "r"}, "PARAMETER_HOPS", {"r": "link_url"}),
}


@pytest.mark.parametrize("key", sorted(OTHERS))
def test_setting_can_be_overridden_and_comes_back(key: str) -> None:
    """X-24: nothing is read at import"""
    before = getattr(conf.settings, key)
    with override_settings(LIVEREFERRALS={key: OTHERS[key]}):
        assert getattr(conf.settings, key) == OTHERS[key] != before
    assert getattr(conf.settings, key) == before


@pytest.mark.parametrize("what", sorted(OLD))
def test_old_name_can_be_overridden_and_yields_to_the_new_one(what: str) -> None:
    """X-24, P-33"""
    old, value, key, expected = OLD[what]
    with override_settings(LIVEREFERRALS={}, **{old: value}):
        assert getattr(conf.settings, key) == expected
        with override_settings(LIVEREFERRALS={key: OTHERS[key]}):
            assert getattr(conf.settings, key) == OTHERS[key]
    assert getattr(conf.settings, key) != expected


# --- the client's address -------------------------------------------------------------------------------------------------


def first_entry(request: Any) -> str:
    """A hook that knows the host's own proxy."""
    return str(request.headers["X-Real-Address"])


@pytest.mark.django_db
@pytest.mark.urls("tests.tracking.urls")
@pytest.mark.parametrize(
    ("keys", "headers", "kept"),
    [
        ({}, {"x-forwarded-for": "203.0.113.77"}, "127.0.0.1"),
        ({"TRUSTED_PROXIES": 1}, {"x-forwarded-for": "6.6.6.6, 203.0.113.77"}, "203.0.113.77"),
        ({"TRUSTED_PROXIES": 1}, {"x-forwarded-for": "[2001:db8::1]:443"}, "2001:db8::1"),
        ({"TRUSTED_PROXIES": 1}, {"x-forwarded-for": "garbage"}, None),
        ({"TRUSTED_PROXIES": 2}, {"x-forwarded-for": "203.0.113.77"}, "127.0.0.1"),
        ({"CLIENT_IP": first_entry}, {"x-real-address": "::ffff:203.0.113.77"}, "203.0.113.77"),
        ({"CLIENT_IP": f"{__name__}.first_entry"}, {"x-real-address": "fe80::1%eth0"}, "fe80::1"),
        ({"CLIENT_IP": first_entry}, {}, None),
        ({"CLIENT_IP": "no.such.hook"}, {}, None),
    ],
    ids=["nobody", "one proxy", "port", "garbage", "past a proxy", "hook", "dotted", "hook fails", "no hook"],
)
def test_address_is_the_one_that_can_be_believed(
    world: SimpleNamespace, browser: Browser, settings: Any, keys: dict[str, Any], headers: dict[str, str], kept: str
) -> None:
    """V-13, X-12, X-24: never an error, and never the proxy's where the host has said what it is"""
    settings.LIVEREFERRALS = {"IP": "full"} | keys
    assert browser.get("/ref/abc123", headers=headers).status_code == 302
    assert ReferralHit.objects.get().ip == kept


# --- the order of apps ----------------------------------------------------------------------------------------------------

STORY = """
import django
from django.core.management import call_command
django.setup()
call_command("migrate", verbosity=0)
from django.test import Client
from django.contrib.auth.models import User
from tests.factories import make_link, make_partner, make_subscription
from livereferrals.tracking.models import Confirmation, ReferralHit
client = Client()
partner = make_partner()
make_link(identifier="abc123", partner=partner)
make_subscription(partner=partner, trigger="User registered")
client.get("/page/?ref=abc123", follow=True)
password = "xk3-Plum-Harbour"
response = client.post("/signup/", {"username": "carl", "password1": password, "password2": password})
assert response.status_code == 302, response.content
hit = ReferralHit.objects.get()
print(hit.user.username, Confirmation.objects.get().trigger, Confirmation.objects.get().hit == hit)
"""


@pytest.mark.once
@pytest.mark.parametrize("order", ["as documented", "backwards"])
def test_order_of_the_apps_decides_nothing(order: str, tmp_path: Any) -> None:
    """X-24: a hit, a claim and a confirmation, whichever app Django sets up first"""
    apps = [app for app in django_settings.INSTALLED_APPS if app != "daphne"]  # which has to be before staticfiles
    environment = server_environment(
        INSTALLED_APPS=["daphne", *(apps if order == "as documented" else reversed(apps))],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "db.sqlite3")}},
    )
    environment.pop("TEST_DATABASE_NAME")
    told = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-c", STORY], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert told.stdout.split("\n")[-2:-1] == ["carl User registered True"], told.stderr
