"""Values that try to be more than values: on the wire they are one parameter, one segment, one piece of JSON."""

from __future__ import annotations

import decimal
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from livereferrals.callbacks import calls, checking, payload
from livereferrals.callbacks.payload import Facts
from livereferrals.callbacks.placeholders import MACROS, examine
from livereferrals.events.wire import rfc3339
from livereferrals.exceptions import Unrenderable
from livereferrals.tracking.amounts import canonical_amount, parse_amount
from tests.callbacks.sending import DELIVERY, EVENT, make_job, send
from tests.callbacks.test_placeholders import templates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from livereferrals.callbacks.calls import Call
    from tests.partner import PartnerSink

pytestmark = pytest.mark.once

VALUES: Final = {
    "umlaut": "ü",
    "emoji": "👩‍👩‍👧",
    "escape": "%41",
    "ampersand": "a&admin=1",
    "equals": "=",
    "plus": "1+1",
    "hash": "a#b",
    "question": "a?b=c",
    "slash": "a/b/../c",
    "space": " a b ",
    "line break": "a\r\nX-Evil: 1\r\n\r\nGET /evil HTTP/1.1\r\n",
    "nul": "a\x00b",
    "quotes": "\"'<script>`\\",
    "placeholder": "{reference}",
    "attribute": "{0.__class__}",
    "doubled braces": "{{click_id}}",
    "percent format": "%(reference)s",
    "long": "x" * 1000,
}
GET: Final = "/p/{reference}/end?r={reference}&c={click_id}&s1={sub1}&s5={sub5}&last=1"
MODEST: Final = st.text(alphabet=st.characters(min_codepoint=0x21, exclude_categories=["Cs"]), min_size=1, max_size=20)


def with_value(value: str) -> dict[str, Any]:
    """Return an event with this text wherever the host's or the partner's own text may be."""
    return {**EVENT, "data": {"reference": value, "click_id": value, "subs": [value, "", "", "", value]}}


def prepared(url: str, **overrides: Any) -> Call:
    return calls.prepare(make_job(url, **overrides), rules=checking.rules(), at=timezone.now())


@pytest.mark.parametrize("name", VALUES)
async def test_value_arrives_decoded_exactly_as_stored(sink: PartnerSink, name: str) -> None:
    """callback-F59, callback-F60, callback-S4, callback-S5: by GET in path and query, and by POST in the body."""
    value = VALUES[name]
    await send(make_job(sink.url(GET), method="GET", payload=with_value(value)))
    await send(make_job(sink.url("/post"), payload=with_value(value)))
    get, post = sink.calls
    assert unquote(get.path, errors="strict") == f"/p/{value}/end"
    assert get.path.count("/") == 3
    pairs = parse_qsl(urlsplit(get.target).query, keep_blank_values=True, strict_parsing=True, errors="strict")
    assert pairs == [("r", value), ("c", value), ("s1", value), ("s5", value), ("last", "1")]
    assert post.json()["data"] == with_value(value)["data"]
    for call in sink.calls:
        assert not any("evil" in header for header in call.headers)
        assert call.target.isascii()


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        ("\ud800", "not valid Unicode"),
        ("x" * 10_000, "longer than 8000 bytes"),
        ("..", "path"),
        (".", "path"),
        ("", "path"),
    ],
    ids=["lone surrogate", "too long", "two dots", "one dot", "empty"],
)
def test_value_that_no_url_can_hold_is_unrenderable(value: str, cause: str) -> None:
    """callback-F59, callback-F60: with a cause for the log, in place of another request than was meant."""
    with pytest.raises(Unrenderable, match=cause):
        prepared("http://127.0.0.1" + GET, method="GET", payload=with_value(value))


def test_long_value_goes_out_in_a_body_and_a_lone_surrogate_nowhere() -> None:
    """callback-F59: a body has no such limit; what is no Unicode is nothing that a partner could read."""
    call = prepared("http://127.0.0.1/", payload=with_value("x" * 10_000))
    assert json.loads(call.body or b"")["data"]["reference"] == "x" * 10_000
    with pytest.raises(Unrenderable, match="not valid Unicode"):
        prepared("http://127.0.0.1/", payload=with_value("\ud800"))


def test_dots_that_are_part_of_a_segment_are_a_value_like_any_other() -> None:
    """callback-F60: a whole segment alone would be another path."""
    call = prepared("http://127.0.0.1/v{reference}/x?r={reference}", method="GET", payload=with_value(".."))
    assert call.url.raw_path_qs == "/v../x?r=.."


@given(template=templates, value=MODEST)
def test_every_template_that_validates_renders_with_values_of_common_size(template: str, value: str) -> None:
    """callback-F61, callback-S4: staff never save an address that can only fail."""
    parsed, mistakes = examine(template)
    if parsed is None:
        assert mistakes
        return
    value = "v" + value  # dots alone are the one case that depends on the value
    url = parsed.render(dict.fromkeys(MACROS, value))
    template_parts, parts = urlsplit(template.replace("{{", "").replace("}}", "")), urlsplit(url)
    assert parts.path.count("/") == max(1, template_parts.path.count("/"))
    assert parts.query.count("&") == template_parts.query.count("&")
    assert parts.query.count("=") == template_parts.query.count("=")
    assert parts.fragment == ""


@given(
    template=templates.map(lambda template: template.replace("https://partner.example", "http://127.0.0.1")),
    value=st.text(max_size=50),
)
def test_request_is_made_of_url_characters_or_not_at_all(template: str, value: str) -> None:
    """callback-F59, callback-S5, callback-S6: whatever is stored, one request line and the headers that we set."""
    if examine(template)[0] is None:
        return
    try:
        call = prepared(template, method="GET", payload=with_value(value), secrets=("whsec_" + "A" * 44,))
    except Unrenderable:
        return
    assert re.fullmatch(r"http://127\.0\.0\.1/[A-Za-z0-9._~!$&'()*+,;=:@/?%-]*", str(call.url))
    assert (call.url.host, call.url.raw_fragment) == ("127.0.0.1", "")
    assert set(call.headers) == {
        "User-Agent", "Accept", "Accept-Encoding", "webhook-id", "webhook-timestamp", "webhook-signature",
    }  # fmt: skip
    assert not any("\r" in text or "\n" in text for text in call.headers.values())


@given(value=st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60))
def test_any_text_is_one_parameter_on_the_wire(value: str) -> None:
    """callback-F59: rendered, sent through the client's own URL type, and decoded."""
    call = prepared("http://127.0.0.1/?a=1&ref={reference}&z=2", method="GET", payload=with_value(value))
    pairs = parse_qsl(call.url.raw_query_string, keep_blank_values=True, strict_parsing=True, errors="strict")
    assert pairs == [("a", "1"), ("ref", value), ("z", "2")]


@pytest.mark.parametrize("text", ["/a\r\nX: 1", "/a b", "/a\x00", "/ü", "/a#b", "/a\\b", "/{link}", '/"', "", "/a\n"])
def test_last_look_at_the_url_lets_nothing_through_that_the_client_would_not_stop(text: str) -> None:
    """callback-S5, callback-S6: whatever the renderer might have made of a row."""
    assert calls.WIRE_URL.match(f"http://127.0.0.1{text}") is None
    assert calls.WIRE_URL.match("https://partner.example:8443/a?b=%20&c=d/e?f")


# --- amounts and times ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "currency", "text", "minor"),
    [
        ("0.1", "EUR", "0.10", "10"),
        ("1E+3", "EUR", "1000.00", "100000"),
        ("-0.00", "EUR", "0.00", "0"),
        ("0E-10", "EUR", "0.00", "0"),
        ("999999999999.00", "EUR", "999999999999.00", "99999999999900"),
        ("123456789012.123456", "EUR", "123456789012.12", "12345678901212"),
        ("0.125", "EUR", "0.12", "12"),
        ("1250", "JPY", "1250", "1250"),
        ("1E+3", "JPY", "1000", "1000"),
        ("1.25", "KWD", "1.250", "1250"),
        ("123456789012.123456", "KWD", "123456789012.123", "123456789012123"),
    ],
)
def test_amount_is_sent_in_one_form(amount: str, currency: str, text: str, minor: str) -> None:
    """callback-F61: dot, no exponent, no grouping, the currency's digits, no minus before zero."""
    stored = canonical_amount(parse_amount(Decimal(amount), currency), currency)
    event = {**EVENT, "data": {"amount": stored, "currency": currency}}
    with decimal.localcontext(decimal.Context(prec=3)):  # the host's own, whatever it is
        found = payload.values(event, Facts(delivery=DELIVERY, attempt=1))
    assert (found["amount"], found["amount_minor"], found["currency"]) == (text, minor, currency)


def moments() -> Iterator[tuple[datetime, str, str]]:
    """Give moments around the hour that comes twice in Berlin, and of all lengths of a second."""
    berlin = ZoneInfo("Europe/Berlin")
    twice = datetime(2026, 10, 25, 2, 30, tzinfo=berlin)
    yield twice, "2026-10-25T00:30:00.000Z", "1792888200"
    yield twice.replace(fold=1), "2026-10-25T01:30:00.000Z", "1792891800"
    yield datetime(2026, 3, 29, 3, 0, tzinfo=berlin), "2026-03-29T01:00:00.000Z", "1774746000"
    yield datetime(2026, 1, 1, 0, 0, 0, 1_000, tzinfo=UTC), "2026-01-01T00:00:00.001Z", "1767225600"
    yield datetime(2026, 1, 1, 0, 0, 0, 999_999, tzinfo=UTC), "2026-01-01T00:00:00.999Z", "1767225600"
    yield datetime(2026, 1, 1, 12, tzinfo=ZoneInfo("Asia/Kathmandu")), "2026-01-01T06:15:00.000Z", "1767248100"


@pytest.mark.parametrize(("moment", "text", "seconds"), list(moments()), ids=str)
def test_moment_is_sent_in_utc_with_milliseconds(moment: datetime, text: str, seconds: str) -> None:
    """callback-F61: `Z`, three digits also where they are zero, whole seconds that were not rounded up."""
    found = payload.values({**EVENT, "time": rfc3339(moment)}, Facts(delivery=DELIVERY, attempt=1, hit_at=moment))
    assert (found["timestamp"], found["timestamp_unix"], found["hit_timestamp"]) == (text, seconds, text)


def test_every_macro_has_a_value_or_is_empty_and_there_is_no_other() -> None:
    """callback-S18, callback-F61: an event without anything gives empty texts, never `None`."""
    found = payload.values({**EVENT, "partner": None}, Facts(delivery=DELIVERY, attempt=3))
    assert set(found) == set(MACROS)
    assert {name for name, value in found.items() if value} == {
        "delivery_id", "status", "timestamp", "timestamp_unix", "attempt", "test",
    }  # fmt: skip
    assert "None" not in found.values()
