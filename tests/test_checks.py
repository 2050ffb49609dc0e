"""System checks: each mistake has its id and the text to paste."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings as django_settings
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connections

from livereferrals import checks, conf
from livereferrals.checks import deploy, host, moved, serving, triggers, values
from livereferrals.triggers import Trigger

if TYPE_CHECKING:
    from django.core.checks import CheckMessage
    from pytest_django import Settings

POST_SAVE = "django.db.models.signals.post_save"
CREATED = "livereferrals.triggers.object_created"
SAVED = "livereferrals.triggers.object_saved"
GOOD: dict[str, Any] = {"signal": POST_SAVE, "receiver": CREATED, "sender": "auth.User"}


def found() -> list[CheckMessage]:
    """What the checks of this package say."""
    return [message for message in run_checks(tags=["livereferrals"]) if str(message.id).startswith("livereferrals.")]


def ids() -> list[str]:
    return [str(message.id).removeprefix("livereferrals.") for message in found()]


def put(settings: Settings, **keys: Any) -> None:
    settings.LIVEREFERRALS = {**django_settings.LIVEREFERRALS, **keys}


def test_a_good_project_is_told_nothing(settings: Settings) -> None:
    """O-08: no message without a mistake; no database and no network is asked (O-09: this test may use neither)."""
    put(settings, TRIGGERS=[Trigger("User registered", **GOOD)])
    assert found() == []


def test_the_command_says_what_to_paste(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """O-08, O-09: `manage.py check` itself."""
    put(settings, REPEAT_WINDO=1)
    call_command("check")
    printed = capsys.readouterr().err
    assert "livereferrals.W001" in printed
    assert "REPEAT_WINDOW" in printed


def test_checks_are_registered_once() -> None:
    """S-09: `ready()` may run again."""
    from django.core.checks.registry import registry

    before = len(registry.get_checks())
    checks.register_all()
    assert len(registry.get_checks()) == before


@pytest.mark.parametrize(
    ("keys", "number", "hint"),
    [
        ({"COOKIE_NAME": 7}, "E001", "livereferrals_visitor"),
        ({"TRIGGER_ERRORS": "loud"}, "E001", "'log'"),
        ({"PARAMETERS": "ref"}, "E001", "'ref': 'link'"),
        ({"CALLBACKS": {"CONCURRENCY": 0}}, "E001", "'CONCURRENCY': 200"),
        ({"COOKIE_NME": "x"}, "W001", "COOKIE_NAME"),
        ({"CALLBACKS": {"WORKR": "off"}}, "W001", "WORKER"),
        ({"ZZZZ": 1}, "W001", 'Remove "ZZZZ"'),
        ({"TRIGGERS": "User registered"}, "E002", "Trigger("),
        ({"TRIGGERS": ["User registered"]}, "E002", "Trigger("),
        ({"TRIGGERS": [("", POST_SAVE, CREATED, None)]}, "E002", "Trigger("),
        ({"TRIGGERS": [("x" * 101, POST_SAVE, CREATED, None)]}, "E002", "Trigger("),
        ({"TRIGGERS": [("T", "a.b", CREATED, None)]}, "E003", POST_SAVE),
        ({"TRIGGERS": [("T", "django.db.models.Model", CREATED, None)]}, "E003", POST_SAVE),
        ({"TRIGGERS": [("T", POST_SAVE, f"{CREATED}x", None)]}, "E004", CREATED),
        ({"TRIGGERS": [("T", POST_SAVE, None, None)]}, "E004", CREATED),
        ({"TRIGGERS": [("T", POST_SAVE, CREATED, "auth.Usr")]}, "E005", "auth.User"),
        ({"TRIGGERS": [("T", POST_SAVE, CREATED, "User")]}, "E005", "auth.User"),
        ({"TRIGGERS": [("T", POST_SAVE, CREATED, None)] * 2}, "E006", "name of its own"),
        ({"PARAMETERS": {"next": "link"}}, "E008", "PARAMETERS"),
        ({"PARAMETERS": {"a b": "link"}}, "E008", "PARAMETERS"),
        ({"PARAMETERS": {"a=b&c": "link"}}, "E008", "PARAMETERS"),
        ({"ALLOWED_REDIRECT_HOSTS": ["*"]}, "E009", "www.example.org"),
        ({"ALLOWED_REDIRECT_HOSTS": ["https://www.example.org"]}, "E009", "www.example.org"),
        ({"ALLOWED_REDIRECT_HOSTS": ["www.example.org/x"]}, "E009", "www.example.org"),
        ({"DEFAULT_REDIRECT": "https://evil.example/"}, "E009", '"DEFAULT_REDIRECT": "/"'),
        ({"DEFAULT_REDIRECT": "//evil.example"}, "E009", '"DEFAULT_REDIRECT": "/"'),
        ({"DEFAULT_REDIRECT": "start"}, "E009", '"DEFAULT_REDIRECT": "/"'),
        ({"COOKIE_SAMESITE": "None"}, "E010", '"COOKIE_SECURE": True'),
        ({"COOKIE_NAME": "a b"}, "E010", "COOKIE_NAME"),
        ({"COOKIE_NAME": "a;b"}, "E010", "COOKIE_NAME"),
        ({"COOKIE_NAME": "__Secure-a"}, "E010", '"COOKIE_SECURE": True'),
        ({"COOKIE_NAME": "__Host-a", "COOKIE_SECURE": True, "COOKIE_PATH": "/x"}, "E010", '"COOKIE_PATH": "/"'),
        ({"REPEAT_WINDOW": -1}, "E011", "REPEAT_WINDOW"),
        ({"ATTRIBUTION_WINDOW": "90 days"}, "E011", "ATTRIBUTION_WINDOW"),
        ({"FEED_RETENTION": timedelta(0)}, "E011", "FEED_RETENTION"),
        ({"FEED_HEARTBEAT": 4}, "E011", "timedelta(seconds=20)"),
        ({"FEED_HEARTBEAT": 31}, "E011", "timedelta(seconds=20)"),
        ({"TRIGGERS": [Trigger("T", window=timedelta(0), **GOOD)]}, "E011", "timedelta(days=30)"),
        ({"ATTRIBUTION": "best"}, "E012", "last_click"),
        ({"ATTRIBUTION": "nowhere.rule"}, "E012", "last_click"),
        ({"ATTRIBUTION": "tests.test_checks.GOOD"}, "E012", "last_click"),
        ({"ATTRIBUTION": "x." * 60 + "y"}, "E012", "last_click"),
        ({"CONSENT": "nowhere.consent"}, "E012", "mysite.referrals.has_consent"),
        ({"CONSENT": "tests.test_checks.GOOD"}, "E012", "mysite.referrals.has_consent"),
        ({"CLIENT_IP": 7}, "E012", "mysite.referrals.client_ip"),
        ({"FEED_ACCESS": "nowhere.access"}, "E012", "mysite.referrals.feed_access"),
        ({"FEED_EVENT_FIELDS": "tests.test_checks.GOOD"}, "E012", "mysite.referrals.event_fields"),
        ({"TRIGGERS": [Trigger("T", attribution="nowhere.rule", **GOOD)]}, "E012", "last_click"),
        ({"CALLBACKS": {"WORKER": "off", "ALLOW": ["10.0.0.0/8"]}}, "W012", '"ALLOW": ["partner.internal:8443"]'),
        ({"CALLBACKS": {"WORKER": "off", "ALLOW": ["127.0.0.1:9000"]}}, "W012", "partner.internal"),
        ({"CALLBACKS": {"WORKER": "off", "ALLOW": ["[fd00::1]:443"]}}, "W012", "partner.internal"),
        ({"CALLBACKS": {"WORKER": "off", "ALLOW": ["10.0.0.0/8:*"]}}, "W012", "partner.internal"),
        ({"CALLBACKS": {"WORKER": "off", "ALLOW": ["10.0.0.0/99"]}}, "E014", '"ALLOW": ["10.1.2.0/24:9000"'),
        ({"CALLBACKS": {"WORKER": "off", "BLOCK": ["http://x.example"]}}, "E014", "partner.internal"),
        ({"CALLBACKS": {"WORKER": "off", "PROXY": "proxy.internal"}}, "E014", "http://proxy.internal:3128"),
        ({"CALLBACKS": {"WORKER": "off", "PROXY": 3128}}, "E001", "PROXY"),
        ({"TRIGGERS": [Trigger("T", attribution="best", **GOOD)]}, "E012", "last_click"),
        ({"COOKIE_MAX_AGE": 3600}, "W007", str(90 * 86_400)),
        ({"COOKIE_MAX_AGE": 500 * 86_400}, "W007", str(400 * 86_400)),
        ({"TRIGGERS": [Trigger("T", window=timedelta(days=399), **GOOD)]}, "W007", str(399 * 86_400)),
        ({"TRIGGERS": [Trigger("T", once=False, **GOOD | {"receiver": SAVED})]}, "W005", 'reference="pk"'),
    ],
    ids=str,
)
def test_a_mistake_has_its_id_and_its_cure(settings: Settings, keys: dict[str, Any], number: str, hint: str) -> None:
    """O-08: one message for one mistake, with the text to paste."""
    put(settings, **keys)
    (message,) = found()
    assert (message.id, hint in str(message.hint)) == (f"livereferrals.{number}", True), message


@pytest.mark.parametrize("value", ["TRIGGERS", [], None], ids=repr)
def test_settings_that_are_no_dict_are_told_without_a_traceback(settings: Settings, value: object) -> None:
    """O-08 E001: everything else is judged by the defaults."""
    settings.LIVEREFERRALS = value
    assert set(ids()) == {"E001", "E002"}


def test_several_mistakes_are_told_together(settings: Settings) -> None:
    """O-08: every part of every trigger."""
    put(settings, TRIGGERS=[("T", "a.b", "c.d", "e.f"), "nothing"], COOKIE_NAME=7)
    assert sorted(ids()) == ["E001", "E002", "E003", "E004", "E005"]


def test_one_name_twice_shows_both_places(settings: Settings) -> None:
    """S-02, E006: of the new setting and of the old."""
    put(settings, TRIGGERS=[("T", POST_SAVE, CREATED, None)])
    settings.AFFILIATE_TRIGGERS = [("T", POST_SAVE, CREATED, None)]
    (message,) = found()
    assert message.id == "livereferrals.E006"
    assert "LIVEREFERRALS['TRIGGERS'][0]" in message.msg
    assert "AFFILIATE_TRIGGERS[0]" in message.msg


@pytest.mark.parametrize(
    ("old", "keys", "hint"),
    [
        ({"AFFILIATE_QUERY_STRING_KEY": "aff"}, {"PARAMETERS": {"ref": "link"}}, "AFFILIATE_QUERY_STRING_KEY"),
        ({"AFFILIATE_SESSION_KEY": "old"}, {"SESSION_KEY": "new"}, "\"SESSION_KEY\": 'old'"),
        ({"DJANGO_REFERRALS_SETTINGS": {"COOKIE_KEY": "old"}}, {"COOKIE_NAME": "new"}, "['COOKIE_KEY']"),
        ({"DJANGO_REFERRALS_SETTINGS": {"COOKIE_HTTPONLY": False}}, {"COOKIE_HTTPONLY": True}, "['COOKIE_HTTPONLY']"),
        ({"DJANGO_REFERRALS_SETTINGS": {"COOKIE_MAX_AGE": 31_000_000}}, {"COOKIE_MAX_AGE": 30_000_000}, "31000000"),
    ],
    ids=["parameter", "session", "cookie", "flag", "age"],
)
def test_an_old_setting_that_disagrees_is_told(
    settings: Settings, old: dict[str, Any], keys: dict[str, Any], hint: str
) -> None:
    """W002: which one is not read; the same value under both names is fine."""
    put(settings, **keys)
    assert found() == []
    for name, value in old.items():
        setattr(settings, name, value)
    (message,) = found()
    assert message.id == "livereferrals.W002"
    assert hint in str(message.hint)
    put(settings, **{name: conf.old_values()[name] for name in keys})
    assert found() == []


def test_every_old_setting_is_known_by_name() -> None:
    """W002: the hint can say where it stands."""
    assert set(conf.OLD_NAMES) == {name for name, key in conf.Settings.declared().items() if key.old is not None}


@pytest.mark.parametrize("path", moved.OLD_MIDDLEWARE)
def test_an_older_packages_middleware_is_told(settings: Settings, path: str) -> None:
    """W006: every follow would count twice; what to remove is named."""
    settings.MIDDLEWARE = [*django_settings.MIDDLEWARE, path]
    (message,) = found()
    assert message.id == "livereferrals.W006"
    assert path in str(message.hint)


def deployed() -> list[CheckMessage]:
    """What `check --deploy` adds."""
    messages = run_checks(tags=["livereferrals"], include_deployment_checks=True)
    return [message for message in messages if message.id == "livereferrals.W008"]


@pytest.mark.parametrize("layers", [{}, {"default": {"BACKEND": deploy.IN_MEMORY}}], ids=["none", "in memory"])
def test_what_serves_one_process_is_told_before_a_deployment(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, layers: dict[str, Any]
) -> None:
    """W008: in `check --deploy` alone, and not while debugging."""
    sqlite = {**connections.settings["default"], "ENGINE": "django.db.backends.sqlite3"}
    monkeypatch.setitem(connections.settings, "default", sqlite)
    settings.CHANNEL_LAYERS = layers
    layer, database = deployed()
    assert "channels_redis.core.RedisChannelLayer" in str(layer.hint)
    assert "django.db.backends.postgresql" in str(database.hint)
    assert "W008" not in ids()
    settings.DEBUG = True
    assert deployed() == []


def test_a_grown_up_set_up_is_told_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """W008: PostgreSQL and a layer that reaches other processes."""
    postgres = {**connections.settings["default"], "ENGINE": "django.db.backends.postgresql"}
    monkeypatch.setitem(connections.settings, "default", postgres)
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels_redis.core.RedisChannelLayer"}}
    assert deployed() == []


@pytest.mark.parametrize("entry", ["partner.internal", "*.internal:8443", "93.184.216.34", "2606:2800::/32"])
def test_a_name_or_a_public_network_opens_nothing_private(settings: Settings, entry: str) -> None:
    """W012: they are meant one by one."""
    put(settings, CALLBACKS={"WORKER": "off", "ALLOW": [entry]})
    assert found() == []


def test_a_developer_may_open_what_is_private(settings: Settings) -> None:
    """W012: while `DEBUG` is on."""
    put(settings, CALLBACKS={"WORKER": "off", "ALLOW": ["127.0.0.0/8"]})
    settings.DEBUG = True
    assert found() == []


class Elsewhere:
    """A router that sends one app to a database of its own."""

    def __init__(self, app: str) -> None:
        self.app = app

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "other" if model._meta.app_label == self.app else None


@pytest.mark.parametrize("app", ["livereferrals", "shop"])
def test_a_router_that_parts_what_belongs_together_is_told(settings: Settings, app: str) -> None:
    """W010: our tables, or a trigger's sender; with what a crash would lose."""
    put(settings, TRIGGERS=[Trigger("Order placed", **GOOD | {"sender": "shop.Order"})])
    settings.DATABASE_ROUTERS = [Elsewhere(app)]
    doubts = [message for message in host.check_router() + triggers.check_triggers() if message.id]
    assert {message.id for message in doubts} == {"livereferrals.W010"}
    assert all("loses" in message.msg and "DATABASE_ROUTERS" in str(message.hint) for message in doubts)


def test_a_session_carrier_without_sessions_is_told(settings: Settings) -> None:
    """W009: the cookie is used in its place."""
    put(settings, VISITOR_CARRIER="session")
    assert found() == []
    settings.MIDDLEWARE = [host.AUTHENTICATION, host.OURS]
    (message,) = found()
    assert (message.id, host.SESSIONS in str(message.hint)) == ("livereferrals.W009", True)


def test_a_secure_cross_site_cookie_is_fine(settings: Settings) -> None:
    """E010: as browsers take it."""
    put(settings, COOKIE_SAMESITE="None", COOKIE_SECURE=True, COOKIE_NAME="__Host-ref")
    assert found() == []


def test_a_default_on_an_allowed_host_is_fine(settings: Settings) -> None:
    """E009: the shop's start page may be elsewhere."""
    put(settings, DEFAULT_REDIRECT="https://www.example.org/x", ALLOWED_REDIRECT_HOSTS=[".example.org"])
    assert found() == []


@pytest.mark.parametrize("base_url", ["https://shop.example", "https://["], ids=["good", "broken"])
def test_a_default_on_the_own_host_is_fine(settings: Settings, base_url: str) -> None:
    """E009: as `BASE_URL` names it; a broken one allows nothing."""
    put(settings, DEFAULT_REDIRECT="https://shop.example/x", BASE_URL=base_url)
    assert ids() == ([] if base_url == "https://shop.example" else ["E009"])


def test_an_endless_window_asks_nothing_of_the_cookie(settings: Settings) -> None:
    """W007: no cookie lives for ever."""
    put(settings, ATTRIBUTION_WINDOW=None, COOKIE_MAX_AGE=3600)
    assert values.longest_window() is None
    assert found() == []


class OwnMiddleware:
    """Stands for somebody else's."""


def middleware(*parts: str) -> list[str]:
    known = {"session": host.SESSIONS, "auth": host.AUTHENTICATION, "ours": host.OURS, "derived": f"{__name__}.Derived"}
    return [known.get(part, part) for part in parts]


def __getattr__(name: str) -> Any:
    """Derive a middleware of the host's from ours, once Django is set up."""
    if name != "Derived":
        raise AttributeError(name)
    from livereferrals.middleware import ReferralMiddleware

    return type("Derived", (ReferralMiddleware,), {})


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("session", "auth", "ours"), []),
        (("session", "auth", "derived"), []),
        (("session", "auth", "nowhere.Middleware", f"{__name__}.OwnMiddleware", f"{__name__}.middleware", "ours"), []),
        (("session", "auth"), ["E007"]),
        (("session", "auth", "ours", "ours"), ["E007"]),
        (("session", "ours", "auth"), ["E007"]),
        (("ours", "session", "auth"), ["E007"]),
        (("session", "ours"), ["W009"]),
    ],
    ids=str,
)
def test_the_middleware_is_there_once_after_authentication(
    settings: Settings, parts: tuple[str, ...], expected: list[str]
) -> None:
    """E007, W009: missing, twice, too early; a class derived from ours counts as ours."""
    settings.MIDDLEWARE = middleware(*parts)
    assert ids() == expected
    assert all(host.OURS in str(message.hint) for message in found())


def test_daphne_without_an_application_is_told(settings: Settings) -> None:
    """E013: with the name to paste."""
    settings.ASGI_APPLICATION = None
    (message,) = found()
    assert message.id == "livereferrals.E013"
    assert message.hint == 'ASGI_APPLICATION = "tests.asgi.application"'
    settings.INSTALLED_APPS = [app for app in django_settings.INSTALLED_APPS if app != "daphne"]
    assert found() == []


def test_an_application_that_is_nowhere_is_told(settings: Settings) -> None:
    """E013: pasted into a project of another name; nothing is imported to find out."""
    for path in ("mysite.asgi.application", "tests.asgy.application", "application", "tests.asgi.x.application"):
        settings.ASGI_APPLICATION = path
        (message,) = found()
        assert (message.id, message.hint) == ("livereferrals.E013", 'ASGI_APPLICATION = "tests.asgi.application"')
        assert repr(path.rpartition(".")[0]) in message.msg


def test_an_application_that_is_not_wrapped_is_told(settings: Settings) -> None:
    """W014: `asgi.py` as `startproject` wrote it, or with our import alone; whoever composes by hand names us, or makes nothing of Django's there."""
    settings.ASGI_APPLICATION = "tests.management.bare.application"
    (message,) = found()
    assert message.id == "livereferrals.W014"
    assert "In tests/management/bare.py: " in str(message.hint)
    assert "application = referral_application(get_asgi_application())" in str(message.hint)
    settings.ASGI_APPLICATION = "tests.management.imported.application"
    assert [message.id for message in found()] == ["livereferrals.W014"]
    settings.ASGI_APPLICATION = "tests.ports.application"
    assert found() == []
    settings.ASGI_APPLICATION = "math.application"
    assert found() == []


def test_a_runserver_that_is_not_live_is_mentioned(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """I001: while debugging, where there is a dashboard, and where `runserver` is nobody else's."""
    settings.DEBUG = True
    owner = {"runserver": "django.contrib.staticfiles"}
    monkeypatch.setattr(serving, "get_commands", lambda: owner)
    call_command("check", fail_level="WARNING")
    printed = capsys.readouterr().err
    assert "livereferrals.I001" in printed
    assert 'INSTALLED_APPS = ["daphne", ...]' in printed
    owner["runserver"] = "mysite"
    assert ids() == []
    owner["runserver"] = "django.core"
    settings.ROOT_URLCONF = "tests.tracking.bare_urls"
    assert "I001" not in ids()
    settings.ROOT_URLCONF = "tests.urls"
    settings.DEBUG = False
    assert ids() == []


def test_a_dashboard_without_its_template_tags_is_told(settings: Settings) -> None:
    """E017: its pages would all fail; a project without dashboard does without."""
    settings.INSTALLED_APPS = [app for app in django_settings.INSTALLED_APPS if app != "django_htmx"]
    (message,) = found()
    assert (message.id, '"django_htmx"' in str(message.hint)) == ("livereferrals.E017", True)
    settings.ROOT_URLCONF = "tests.tracking.bare_urls"
    assert "E017" not in ids()


def test_links_and_dashboard_without_url_are_told(settings: Settings) -> None:
    """W003, W013: what is not included; without any URLs there is nothing to say."""
    settings.ROOT_URLCONF = __name__
    links, dashboard = found()
    assert (links.id, dashboard.id) == ("livereferrals.W003", "livereferrals.W013")
    assert 'include("livereferrals.urls")' in str(links.hint)
    assert 'path("referrals/", include("livereferrals.dashboard.urls"))' in str(dashboard.hint)
    settings.ROOT_URLCONF = None
    assert found() == []


urlpatterns: list[Any] = []


def test_a_replaced_user_model_is_told(settings: Settings) -> None:
    """W004, S-05: the right one is named."""
    put(settings, TRIGGERS=[Trigger("User registered", **GOOD)])
    settings.AUTH_USER_MODEL = "shop.Order"
    (message,) = found()
    assert message.id == "livereferrals.W004"
    assert message.hint == 'Write sender="shop.Order"'


@pytest.mark.parametrize(
    ("options", "name", "expected"),
    [
        ({"transaction_mode": "immediate", "timeout": 5, "init_command": "PRAGMA journal_mode=wal"}, "db", []),
        ({}, "db", ["W011"]),
        ({}, ":memory:", []),
        ({}, "file:x?mode=memory&cache=shared", []),
        ({"transaction_mode": "IMMEDIATE", "timeout": 5}, "db", ["W011"]),
        ({"transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL"}, "db", ["W011"]),
        ({"timeout": 5, "init_command": "PRAGMA journal_mode=WAL"}, "db", ["W011"]),
    ],
)
def test_sqlite_that_locks_is_told(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], name: str, expected: list[str]
) -> None:
    """W011: each missing option, with all of them to paste; a database in memory has no use for them."""
    database = {
        **connections.settings["default"],
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": name,
        "OPTIONS": options,
    }
    monkeypatch.setitem(connections.settings, "default", database)
    assert ids() == expected
    assert all("IMMEDIATE" in str(message.hint) and "WAL" in str(message.hint) for message in found())


def test_another_database_is_not_asked_for_sqlites_options(monkeypatch: pytest.MonkeyPatch) -> None:
    """W011: SQLite alone."""
    database = {**connections.settings["default"], "ENGINE": "django.db.backends.postgresql", "OPTIONS": {}}
    monkeypatch.setitem(connections.settings, "default", database)
    assert found() == []
