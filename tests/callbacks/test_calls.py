"""From a row to a request: what is checked once more before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from livereferrals.callbacks import calls, checking
from livereferrals.exceptions import InvalidCallBackURL, Unrenderable
from tests.callbacks.sending import EVENT, make_job

if TYPE_CHECKING:
    from livereferrals.callbacks.calls import Job

pytestmark = pytest.mark.once


def prepare(job: Job) -> calls.Call:
    return calls.prepare(job, rules=checking.rules(), at=timezone.now())


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/a\r\nX: y", "http://127.0.0.1/{nope}", "http://127.0.0.1/ b", "", "nonsense"]
)
def test_row_changed_by_hand_is_checked_again_before_sending(url: str) -> None:
    """callback-S5, callback-S6: the database is trusted no more than a form."""
    with pytest.raises(Unrenderable):
        prepare(make_job(url))


def test_address_that_is_not_allowed_any_more_is_refused_before_sending(settings: Any) -> None:
    """callback-S6: the settings of today count."""
    settings.LIVEREFERRALS = {}
    with pytest.raises(InvalidCallBackURL, match="refused"):
        prepare(make_job("http://127.0.0.1/"))


def test_header_changed_by_hand_is_refused_before_sending() -> None:
    """callback-S5, callback-S7: no second header through a stored row."""
    with pytest.raises(Unrenderable):
        prepare(make_job("http://127.0.0.1/", headers=[{"name": "X-A", "value": "a\r\nHost: b"}]))


@pytest.mark.parametrize(
    "method", ["PUT", "", "get", "GET / HTTP/1.1\r\nX: y\r\n\r\nGET"], ids=["put", "none", "small", "break"]
)
def test_method_changed_by_hand_is_refused_before_sending(method: str) -> None:
    """callback-S5, callback-S6: POST or GET, whatever the row says."""
    with pytest.raises(Unrenderable, match="neither POST nor GET"):
        prepare(make_job("http://127.0.0.1/", method=method))


def test_erased_payload_and_bad_unicode_cannot_be_rendered() -> None:
    """callback-S19: nothing is made up for what was erased."""
    with pytest.raises(Unrenderable):
        prepare(make_job("http://127.0.0.1/", payload=None))
    with pytest.raises(Unrenderable):
        prepare(make_job("http://127.0.0.1/", payload={**EVENT, "data": {"reference": "\ud800"}}))


def test_call_for_people_hides_secrets() -> None:
    """callback-S11: in the URL, in headers and in the object's own text."""
    call = prepare(
        make_job(
            "http://127.0.0.1/?token=abc123",
            secrets=("whsec_" + "A" * 44,),
            headers=[{"name": "X-Mine", "value": "very-secret", "secret": True}, {"name": "Accept", "value": "text/x"}],
        )
    )
    assert call.shown_url().endswith("?token=***")
    assert call.shown_headers()["X-Mine"] == "***"
    assert "whsec_" not in repr(call)
    assert call.headers["Accept"] == "text/x"
    assert list(map(str.lower, call.headers)).count("accept") == 1
