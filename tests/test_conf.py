"""Settings: typed, read at use, under old names too, and every mistake said in words."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from livereferrals import conf, setting_types
from livereferrals.exceptions import ConfigurationError
from livereferrals.feed_limits import FeedLimits, feed_limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django.fixtures import Settings


def test_defaults_hold_where_the_host_says_nothing(settings: Settings) -> None:
    """V-01 A host that sets nothing gets a year's cookie, a day's repeat window and 90 days of attribution."""
    del settings.LIVEREFERRALS
    assert conf.settings.COOKIE_MAX_AGE == 31_536_000
    assert timedelta(hours=24) == conf.settings.REPEAT_WINDOW
    assert timedelta(days=90) == conf.settings.ATTRIBUTION_WINDOW
    assert conf.settings.PARAMETERS == {"ref": "link", "affiliate_id": "partner"}
    assert conf.callbacks.WORKER == "embedded"
    assert conf.problems() == []
    assert conf.unknown_keys() == []


def test_the_retry_schedule_is_twelve_attempts_in_about_three_days(settings: Settings) -> None:
    """callback-S3 Eleven waits, 72 hours in all, rising."""
    del settings.LIVEREFERRALS
    schedule = conf.callbacks.RETRY_SCHEDULE
    assert len(schedule) == 11
    assert list(schedule) == sorted(schedule)
    assert timedelta(hours=70) < sum(schedule, timedelta()) < timedelta(hours=74)


def test_values_are_read_when_used_and_follow_an_override(settings: Settings) -> None:
    """O-08 `override_settings` works, in both dicts, as often as it is used."""
    settings.LIVEREFERRALS = {"REPEAT_WINDOW": 60, "CALLBACKS": {"CONCURRENCY": 3}}
    assert timedelta(minutes=1) == conf.settings.REPEAT_WINDOW
    assert conf.callbacks.CONCURRENCY == 3
    settings.LIVEREFERRALS = {"REPEAT_WINDOW": timedelta(seconds=5)}
    assert timedelta(seconds=5) == conf.settings.REPEAT_WINDOW
    assert conf.callbacks.CONCURRENCY == 200


def test_a_value_is_parsed_once(settings: Settings) -> None:
    """P-31 Reading a setting costs no more than an attribute once it has been read."""
    settings.LIVEREFERRALS = {"ALLOWED_REDIRECT_HOSTS": ["a.example"]}
    assert conf.settings.ALLOWED_REDIRECT_HOSTS is conf.settings.ALLOWED_REDIRECT_HOSTS == ("a.example",)


def test_old_names_are_read_where_the_new_ones_are_silent(settings: Settings) -> None:
    """P-33 The settings of both older packages keep working."""
    settings.LIVEREFERRALS = {}
    settings.AFFILIATE_QUERY_STRING_KEY = "aid"
    settings.AFFILIATE_SESSION_KEY = "affiliate"
    settings.DJANGO_REFERRALS_SETTINGS = {
        "URL_PARAM": "r",
        "COOKIE_KEY": "hype",
        "COOKIE_MAX_AGE": 100,
        "COOKIE_HTTPONLY": False,
    }
    assert conf.settings.PARAMETERS == {"r": "link", "aid": "partner"}
    assert conf.settings.COOKIE_NAME == "hype"
    assert conf.settings.COOKIE_MAX_AGE == 100
    assert conf.settings.COOKIE_HTTPONLY is False


def test_one_old_name_leaves_the_other_parameter_as_it_is(settings: Settings) -> None:
    """P-33 Who comes from one of the packages has the default of the other."""
    settings.LIVEREFERRALS = {}
    settings.AFFILIATE_QUERY_STRING_KEY = "aid"
    assert conf.settings.PARAMETERS == {"ref": "link", "aid": "partner"}


def test_a_new_name_wins_over_the_old_one(settings: Settings) -> None:
    """P-33 What is written in `LIVEREFERRALS` holds."""
    settings.LIVEREFERRALS = {"COOKIE_NAME": "new", "PARAMETERS": {"via": "partner"}}
    settings.DJANGO_REFERRALS_SETTINGS = {"COOKIE_KEY": "old", "URL_PARAM": "old"}
    assert conf.settings.COOKIE_NAME == "new"
    assert conf.settings.PARAMETERS == {"via": "partner"}


def test_triggers_of_both_settings_are_joined_with_their_places(settings: Settings) -> None:
    """S-01 S-02 New settings first; each with the place to look at."""
    settings.LIVEREFERRALS = {"TRIGGERS": ["a", "b"]}
    settings.AFFILIATE_TRIGGERS = [("c", "signal", "receiver", "sender")]
    assert conf.settings.trigger_entries() == [
        ("LIVEREFERRALS['TRIGGERS'][0]", "a"),
        ("LIVEREFERRALS['TRIGGERS'][1]", "b"),
        ("AFFILIATE_TRIGGERS[0]", ("c", "signal", "receiver", "sender")),
    ]


@pytest.mark.parametrize("wrong", ["text", {"a": 1}, 5], ids=["text", "dict", "number"])
def test_triggers_that_are_no_list_are_said_to_be_so(settings: Settings, wrong: object) -> None:
    """S-01 The error names the setting and what was found."""
    settings.LIVEREFERRALS = {"TRIGGERS": wrong}
    with pytest.raises(ConfigurationError, match=r"LIVEREFERRALS\['TRIGGERS'\]: expected a list"):
        conf.settings.trigger_entries()


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "number as text": ({"COOKIE_MAX_AGE": "100"}, "expected a whole number from 1 to "),
    "number too small": ({"COOKIE_MAX_AGE": 0}, "expected a whole number"),
    "Boolean as number": ({"MAX_NEXT_LENGTH": True}, "expected a whole number"),
    "number as Boolean": ({"COOKIE_HTTPONLY": 1}, "expected True or False, got 1"),
    "flag or nothing": ({"COOKIE_SECURE": "yes"}, "expected True or False, got 'yes'"),
    "unknown word": ({"COOKIE_SAMESITE": "lax"}, "expected one of 'Lax', 'Strict', 'None', got 'lax'"),
    "unknown rule": ({"ATTRIBUTION": "best"}, "expected one of 'last_click', 'first_click'"),
    "negative time": ({"REPEAT_WINDOW": timedelta(-1)}, "expected a positive timedelta"),
    "time as text": ({"REPEAT_WINDOW": "24h"}, "expected a positive timedelta, got '24h'"),
    "empty text": ({"COOKIE_NAME": ""}, "expected text, got ''"),
    "text for a list": ({"ALLOWED_REDIRECT_HOSTS": "example.org"}, "expected a list of texts, got 'example.org'"),
    "number in a list": ({"ALLOWED_REDIRECT_HOSTS": [1]}, "expected text, got 1"),
    "list for a dict": ({"PARAMETERS": ["ref"]}, r"expected a dict, got ['ref']"),
    "wrong word in a dict": ({"PARAMETERS": {"ref": "user"}}, "expected one of 'link', 'partner', got 'user'"),
    "unknown limit": ({"FEED_LIMITS": {"speed": 1}}, "unknown limit 'speed'; known are"),
    "limit as text": ({"FEED_LIMITS": {"frames_s": "20"}}, "expected a whole number"),
    "limits as list": ({"FEED_LIMITS": [1]}, "expected a dict"),
    "callbacks: worker": ({"CALLBACKS": {"WORKER": "on"}}, "expected one of 'embedded', 'external', 'off'"),
    "callbacks: port": ({"CALLBACKS": {"PORTS": [70_000]}}, "expected a whole number from 1 to 65535"),
    "callbacks: ports": ({"CALLBACKS": {"PORTS": 80}}, "expected a list of ports, got 80"),
    "callbacks: schedule": ({"CALLBACKS": {"RETRY_SCHEDULE": "fast"}}, "expected a list of timedeltas"),
    "callbacks: wait": ({"CALLBACKS": {"RETRY_SCHEDULE": [10, -1]}}, "expected a positive timedelta"),
}


@pytest.mark.parametrize(("value", "words"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_value_is_one_problem_that_names_key_and_value(
    settings: Settings, value: dict[str, Any], words: str
) -> None:
    """O-08 The check has one line to show for each wrong value, with the key and what was expected."""
    settings.LIVEREFERRALS = value
    (problem,) = conf.problems()
    assert words in str(problem)
    assert isinstance(problem, ImproperlyConfigured)
    (key,) = value
    if key == "CALLBACKS":
        (inner,) = value[key]
        assert problem.key == f"LIVEREFERRALS['CALLBACKS'][{inner!r}]"
    else:
        assert problem.key == f"LIVEREFERRALS[{key!r}]"
    assert problem.problem in str(problem)


def test_using_a_wrong_value_raises_it(settings: Settings) -> None:
    """O-08 Who reads it gets the same words; the right ones beside it can be used."""
    settings.LIVEREFERRALS = {"REPEAT_WINDOW": "x", "COOKIE_NAME": "c"}
    with pytest.raises(ConfigurationError, match="REPEAT_WINDOW"):
        _ = conf.settings.REPEAT_WINDOW
    assert conf.settings.COOKIE_NAME == "c"


@pytest.mark.parametrize(
    ("value", "key"),
    [([], "LIVEREFERRALS"), ({"CALLBACKS": "embedded"}, "LIVEREFERRALS['CALLBACKS']")],
    ids=["the dict", "the sub-dict"],
)
def test_no_dict_at_all_is_one_problem_for_each_dict_and_not_one_for_each_key(
    settings: Settings, value: object, key: str
) -> None:
    """O-08 A list in place of the dict is said once."""
    settings.LIVEREFERRALS = value
    (problem,) = conf.problems()
    assert problem.key == key
    assert "expected a dict" in str(problem)


def test_unknown_keys_are_named_with_their_place(settings: Settings) -> None:
    """O-08 A misspelt key is found, in both dicts; known ones are not named."""
    settings.LIVEREFERRALS = {
        "COOKIE_NAME": "x",
        "COKIE_NAME": "x",
        "TRIGGERS": [],
        "CALLBACKS": {"WORKR": 1, "PORTS": [80]},
    }
    assert conf.unknown_keys() == ["LIVEREFERRALS['COKIE_NAME']", "LIVEREFERRALS['CALLBACKS']['WORKR']"]


def test_limits_may_be_set_one_by_one(settings: Settings) -> None:
    """feed-1 One number is overridden, the others keep the protocol's."""
    settings.LIVEREFERRALS = {"FEED_LIMITS": {"window_events": 10}}
    assert conf.settings.FEED_LIMITS.window_events == 10
    assert conf.settings.FEED_LIMITS.batch_events == 500


def test_no_limit_may_be_none(settings: Settings) -> None:
    """A-02 `None` switches the attribution window and the list of origins off."""
    settings.LIVEREFERRALS = {"ATTRIBUTION_WINDOW": None, "FEED_ALLOWED_ORIGINS": None, "BASE_URL": None}
    assert conf.problems() == []
    assert conf.settings.ATTRIBUTION_WINDOW is None
    assert conf.settings.FEED_ALLOWED_ORIGINS is None


def test_every_key_has_a_default_that_it_would_accept(settings: Settings) -> None:
    """O-08 What is documented as the default can be written down by the host."""
    for group in (conf.settings, conf.callbacks):
        for name, key in group.declared().items():
            if isinstance(key.default, FeedLimits):
                continue
            assert key.parse(key.default) == key.default, name


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.timedeltas(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
PARSERS: dict[str, Callable[[object], object]] = {
    "text": setting_types.text,
    "optional_text": setting_types.optional_text,
    "flag": setting_types.flag,
    "optional_flag": setting_types.optional_flag,
    "whole": setting_types.whole(1, 10),
    "one_of": setting_types.one_of("a", "b"),
    "span": setting_types.span,
    "optional_span": setting_types.optional_span,
    "texts": setting_types.texts,
    "spans": setting_types.spans,
    "ports": setting_types.ports,
    "words": setting_types.words(("link", "partner")),
    "feed_limits": feed_limits,
}


@pytest.mark.parametrize("parse", PARSERS.values(), ids=PARSERS.keys())
@given(value=anything)
def test_a_parser_gives_a_value_or_a_value_error(parse: Callable[[object], object], value: object) -> None:
    """O-08 Whatever stands in the settings, the check ends with words, never with another exception."""
    with contextlib.suppress(ValueError):
        parse(value)
