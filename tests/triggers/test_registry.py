"""From the settings to connected signals."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, User
from django.contrib.auth.signals import user_logged_in
from django.db.models.signals import m2m_changed, post_save
from django.test import override_settings
from django.utils.functional import SimpleLazyObject, lazystr

from livereferrals.triggers import Trigger, receivers, registry
from tests.factories import make_user
from tests.shop.models import Order
from tests.shop.signals import order_paid

if TYPE_CHECKING:
    from pytest_django import Settings

    from tests.triggers.conftest import Declare

seen: list[tuple[str, Any]] = []
CONSTANT = "a sender that is text"
POST_SAVE = "django.db.models.signals.post_save"


@pytest.fixture(autouse=True)
def _unseen() -> None:
    seen.clear()


def note(sender: Any, *, affiliate_trigger_name: str, **kwargs: Any) -> None:
    """A receiver of the host's own."""
    seen.append((affiliate_trigger_name, sender))


def entry(name: str = "T", *, sender: Any = "auth.User", **overrides: Any) -> Trigger:
    values: dict[str, Any] = {"signal": POST_SAVE, "receiver": f"{__name__}.note", "sender": sender}
    return Trigger(name, **values | overrides)


def names() -> list[str]:
    return [each.trigger.name for each in registry.connected()]


def test_both_settings_and_both_forms_are_joined(declare: Declare, settings: Settings) -> None:
    """S-01, S-02: new and old setting, `Trigger` and four items."""
    declare(entry("new"), ("tuple", POST_SAVE, f"{__name__}.note", "auth.User"))
    settings.AFFILIATE_TRIGGERS = [("old", POST_SAVE, "affiliations.triggers.object_created", User)]
    assert names() == ["new", "tuple", "old"]
    assert [each.name for each in registry.triggers()] == ["new", "tuple", "old"]


@pytest.mark.parametrize("name", ["object_created", "object_saved"])
def test_receivers_are_known_by_their_old_paths(name: str) -> None:
    """S-03: without the old package."""
    assert registry.load_receiver(f"affiliations.triggers.{name}") is getattr(receivers, name)


@pytest.mark.parametrize(
    ("value", "sender"),
    [
        ("auth.User", User),
        ("django.contrib.auth.models.User", User),
        ("tests.shop.models.Order", Order),
        (User, User),
        (SimpleLazyObject(get_user_model), User),
        (lazystr("auth.User"), User),
        (f"{__name__}.note", note),
        (f"{__name__}.CONSTANT", CONSTANT),
        (None, None),
    ],
    ids=["label", "path", "path of a model", "class", "lazy object", "lazy text", "function", "constant", "any"],
)
def test_a_sender_may_be_named_in_many_ways(value: object, sender: object) -> None:
    """S-04, X-49: label, path, class, lazy object, lazy text, function, constant, nothing; the object itself is found."""
    assert registry.load_sender(value) is sender


@pytest.mark.parametrize("value", ["User", "auth.Usr", "nowhere.at.all"])
def test_a_sender_that_is_nothing_is_refused(value: str) -> None:
    """S-04, X-49: undotted text, an unknown label, an unknown path."""
    with pytest.raises((ValueError, ImportError)):
        registry.load_sender(value)


@pytest.mark.parametrize(
    "signal",
    [POST_SAVE, post_save, m2m_changed, user_logged_in, "django.contrib.auth.signals.user_logged_in", order_paid],
    ids=["path", "object", "m2m_changed", "user_logged_in", "its path", "custom"],
)
def test_a_signal_may_be_a_path_or_the_object(signal: object) -> None:
    """S-07: built-in and custom ones."""
    assert hasattr(registry.load_signal(signal), "connect")


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"signal": "django.db.models.Model"}, "is not a signal"),
        ({"signal": "nowhere.signal"}, "nowhere"),
        ({"receiver": "livereferrals.triggers.object_creatd"}, "object_creatd"),
        ({"receiver": f"{__name__}.CONSTANT"}, "cannot be called"),
        ({"sender": "auth.Usr"}, "Usr"),
    ],
)
def test_a_bad_trigger_is_left_out_and_logged(
    declare: Declare, caplog: pytest.LogCaptureFixture, bad: dict[str, str], words: str
) -> None:
    """S-07: the site starts, and the good triggers work."""
    declare(entry("bad", **bad), entry("good"))
    assert names() == ["good"]
    assert words in caplog.text
    assert "manage.py check" in caplog.text


@pytest.mark.parametrize("value", [None, "auth.User", {"a": 1}], ids=repr)
def test_a_setting_that_is_no_list_stops_nothing(
    settings: Settings, caplog: pytest.LogCaptureFixture, value: object
) -> None:
    """S-07: no trigger is used, which is logged."""
    settings.LIVEREFERRALS = {"TRIGGERS": value}
    assert registry.connected() == ()
    assert "expected a list of triggers" in caplog.text


def test_of_one_name_the_first_counts(declare: Declare, caplog: pytest.LogCaptureFixture) -> None:
    """S-02: the second is left out, with both places in the log."""
    declare(entry("same"), entry("same", sender=None))
    assert [each.sender for each in registry.connected()] == [User]
    assert "TRIGGERS'][1]" in caplog.text
    assert "TRIGGERS'][0]" in caplog.text


def test_no_triggers_at_all_is_fine(declare: Declare, caplog: pytest.LogCaptureFixture) -> None:
    """S-08, X-48: nothing is connected and nothing is said."""
    declare()
    assert registry.connected() == ()
    assert registry.triggers() == ()
    assert not caplog.records


@pytest.mark.django_db
def test_connecting_again_connects_once(declare: Declare) -> None:
    """S-09, X-50: `ready()` may be called by a test; triggers of one signal and sender live side by side."""
    declare(entry("first"), entry("second"))
    apps.get_app_config("livereferrals").ready()
    registry.connect_all()
    make_user()
    assert seen == [("first", User), ("second", User)]


@pytest.mark.django_db
def test_overridden_settings_reconnect_and_come_back(declare: Declare) -> None:
    """S-10: the old set works again afterwards."""
    declare(entry("before"))
    with override_settings(LIVEREFERRALS={"TRIGGERS": [entry("during")]}):
        make_user()
        assert registry.trigger("before") is None
    make_user()
    assert seen == [("during", User), ("before", User)]


@pytest.mark.django_db
def test_only_the_sender_itself_fires(declare: Declare) -> None:
    """S-06: neither another model nor a sub-class; no sender means any."""
    declare(entry("user"), entry("any", sender=None))
    Group.objects.create(name="g")
    assert seen == [("any", Group)]


def test_disconnecting_takes_every_trigger_off(declare: Declare) -> None:
    """S-09: the signal is as it was."""
    before = len(post_save.receivers)
    declare(entry("one"), entry("two"))
    assert len(post_save.receivers) == before + 2
    registry.disconnect_all()
    assert len(post_save.receivers) == before


def test_an_unknown_trigger_is_logged_once(declare: Declare, caplog: pytest.LogCaptureFixture) -> None:
    """S-31 no. 1: a warning, not one for each time."""
    declare()
    with caplog.at_level(logging.WARNING):
        assert registry.trigger("Ordr paid") is None
        assert registry.trigger("Ordr paid") is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
