"""`FEED_EVENT_FIELDS`: the host's own fields of an event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from livereferrals.callbacks import payload
from livereferrals.events import log, sequencer, wire
from livereferrals.events.extras import Fields
from livereferrals.events.models import Event, EventType
from tests.factories import make_entry, make_user

if TYPE_CHECKING:
    from livereferrals.events.log import Entry

pytestmark = pytest.mark.django_db

ANSWER: dict[str, Any] = {}
"""What `answering` gives, set by a test."""


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has failed in one test has not failed before in another."""
    monkeypatch.setattr(log, "fields", Fields())


def answering(entry: Entry) -> Any:
    return ANSWER["value"]


def telling(entry: Entry) -> dict[str, Any]:
    return {
        "type": entry.type,
        "campaign": entry.data.get("click_id"),
        "rates": [1, 0.1, 1e-7],
        "names": ("Grüße", None),
    }


def changing(entry: Entry) -> None:
    entry.data["hit"] = "changed"


def breaking_the_database(entry: Entry) -> dict[str, Any]:
    make_user(username="written-by-the-hook")
    make_user(username="taken")
    return {}


def raising(entry: Entry) -> dict[str, Any]:
    raise LookupError("the host's mistake")


def use(settings: Any, function: Any) -> None:
    settings.LIVEREFERRALS = {"FEED_EVENT_FIELDS": f"{__name__}.{function.__name__}"}


def stored() -> Event:
    sequencer.number_events()
    return Event.objects.get()


def test_without_the_setting_nothing_is_added() -> None:
    """feed-18"""
    assert log.append(make_entry(data={"hit": "h"})).data == {"hit": "h"}


def test_fields_land_under_their_own_key(settings: Any) -> None:
    """feed-18: and cannot hide a field of ours"""
    use(settings, telling)
    log.append(make_entry(data={"hit": "h", "click_id": "c"}))
    assert stored().data == {
        "hit": "h",
        "click_id": "c",
        "extra": {"type": "hit", "campaign": "c", "rates": [1, 0.1, 1e-7], "names": ["Grüße", None]},
    }


def test_callback_body_equals_the_feed_event(settings: Any) -> None:
    """feed-58: the body is frozen before the insert, the event is read back from the database"""
    use(settings, telling)
    event = log.append(make_entry(type=EventType.CONFIRMATION, data={"click_id": "c", "amount": "1.00"}))
    body = payload.frozen(event)
    fed = wire.event_object(stored(), epoch="k3f9")
    assert wire.canonical({**fed, "cursor": None}) == wire.canonical(body)
    assert body["data"]["extra"]["names"] == ["Grüße", None]


def test_nothing_to_add_is_null(settings: Any) -> None:
    """feed-18: a field without a value is null, not absent; and the entry it gets is a copy"""
    use(settings, changing)
    log.append(make_entry(data={"hit": "h"}))
    assert stored().data == {"hit": "h", "extra": None}


@pytest.mark.parametrize(
    "value",
    [
        ["a list"],
        {"a": object()},
        {"a": float("nan")},
        {"a": "x" * 32_768},
        {"a": "\0"},
        {"\0": 1},
        {"a": "\ud800"},
        {"a": 1e300},
        {"a": [-0.0]},
        {"a": 10**5000},
    ],
    ids=["list", "object", "nan", "big", "nul", "nul-key", "surrogate", "huge-float", "minus-zero", "huge-int"],
)
def test_what_cannot_be_kept_is_left_out_and_logged(
    settings: Any, caplog: pytest.LogCaptureFixture, value: Any
) -> None:
    """feed-56: an event stays below its limit, and what a database would change or refuse never gets there"""
    use(settings, answering)
    ANSWER["value"] = value
    log.append(make_entry(data={"hit": "h"}))
    assert stored().data == {"hit": "h", "extra": None}
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_broken_function_harms_nothing(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    """S-30: what the host's transaction has written stays, what the function wrote goes"""
    make_user(username="taken")
    use(settings, breaking_the_database)
    with transaction.atomic():
        make_user(username="of-the-host")
        log.append(make_entry(data={"hit": "h"}))
    assert stored().data == {"hit": "h", "extra": None}
    assert set(User.objects.values_list("username", flat=True)) == {"taken", "of-the-host"}
    assert caplog.records[0].exc_info is not None
    assert isinstance(caplog.records[0].exc_info[1], IntegrityError)


def test_function_that_keeps_failing_is_logged_once(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    """feed-18: once for each change of state, not for each hit"""
    use(settings, raising)
    log.append_all([make_entry(), make_entry()])
    assert len(caplog.records) == 1
    use(settings, telling)
    log.append(make_entry())
    use(settings, raising)
    log.append(make_entry())
    assert len(caplog.records) == 2


def test_function_that_is_not_there_harms_nothing(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    """O-08: `check` says so; the hits go on"""
    settings.LIVEREFERRALS = {"FEED_EVENT_FIELDS": "nowhere.fields"}
    log.append(make_entry(data={"hit": "h"}))
    assert stored().data == {"hit": "h", "extra": None}
