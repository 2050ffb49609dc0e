"""Whatever stands in the parameters: no error, no other site, no second hit."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, quote_from_bytes, urlsplit

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from livereferrals.events.models import Event
from livereferrals.tracking.models import ReferralHit
from tests.tracking.browsers import HOST, KINDS, Browser

if TYPE_CHECKING:
    from types import SimpleNamespace

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.tracking.urls")]

fuzzed = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])

telling = st.sampled_from(
    [
        b"abc123", b"qqq777", b"moox6esi", b"house1", b"unknown", b"", b"\x00", b"/", b"//", b"///", b"\\", b"..", b"/../",
        b"http:", b"https://", b"evil.example", b"shop.example", b"@", b":", b"?", b"#", b"&", b"=", b";", b"%", b"%2F", b"%00",
        b"%FF", b"\r\n", b"\t", b" ", b"+", b"/ref/abc123", b"/ref/", b"ref=abc123", b"affiliate_id=moox6esi", b"next=/x",
        b"\xff", b"\xc3", "é".encode(), "日".encode(), "\u202e".encode(), "\U0001f4a9".encode(), b"{0}", b"'", b'"', b"<script>",
    ]
)  # fmt: skip
pieces = st.lists(
    st.one_of(telling, st.binary(max_size=5), st.text(max_size=5).map(lambda t: t.encode("utf-8", "replace")))
)
long = st.builds(lambda piece, times: piece * times, telling, st.sampled_from([50, 200, 2000, 9000])).map(
    lambda raw: raw[:20_000]
)
values = st.builds(quote_from_bytes, st.one_of(pieces.map(b"".join), long), safe=st.sampled_from(["", "/", "/:@=+;,"]))
names = st.sampled_from(
    ["next", "ref", "affiliate_id", "click_id", "sub1", "sub5", "sub6", "a", "", "%6Eext", "%72ef", "Ref", "next[]"]
)
pairs = st.builds(lambda name, sign, value: f"{name}{sign}{value}", names, st.sampled_from(["=", "", "=="]), values)
queries = st.lists(pairs, max_size=6).map("&".join)
identifiers = st.one_of(
    st.sampled_from(["abc123", "qqq777", "moox6esi", "ann1", "house1", "unknown"]), values.map(lambda v: v[:3000])
)


def walked(kind: str, path: str) -> None:
    """Follow what is answered as a browser does, and hold it against the promises."""
    before = ReferralHit.objects.count()
    browser = Browser(kind)
    response = browser.get(path)
    for _ in range(4):
        assert response.status_code < 500, path
        if response.status_code != 302:
            break
        location = response["Location"]
        assert location.isascii()
        assert location == location.strip()
        assert not set(location) & set("\r\n\\\x00")
        parts = urlsplit(location)
        assert parts.netloc.lower() in {"", HOST, f"{HOST}:443"}, location
        assert parts.scheme in {"", "https"}
        assert location.startswith("/") or parts.netloc, location
        assert not location.startswith("//"), location
        response = browser.get(f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}")
    else:
        pytest.fail(f"more redirects than any page needs: {path!r}")
    assert ReferralHit.objects.count() - before <= 1, path
    assert Event.objects.filter(type="hit").count() == ReferralHit.objects.count()


@pytest.mark.parametrize("kind", KINDS)
@fuzzed
@given(identifier=identifiers, query=queries)
def test_nothing_in_a_links_url_breaks_it(world: SimpleNamespace, kind: str, identifier: str, query: str) -> None:
    """L-20, L-41, L-43, L-50, L-06, X-13, X-14"""
    walked(kind, f"/ref/{identifier}?{query}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["ref", "affiliate_id"])
@fuzzed
@given(value=st.one_of(values, identifiers), query=queries)
def test_nothing_in_a_parameter_breaks_a_page(
    world: SimpleNamespace, kind: str, name: str, value: str, query: str
) -> None:
    """P-04, P-11, P-21, P-26, X-14, X-32, X-35"""
    walked(kind, f"/x?{query}&{name}={value}")


@pytest.mark.parametrize("kind", KINDS)
@fuzzed
@example(path="/", name="affiliate_id=moox6esi")
@given(path=values, name=st.sampled_from(["ref=abc123", "affiliate_id=moox6esi"]))
def test_nothing_in_the_path_beside_a_parameter_leads_away(
    world: SimpleNamespace, kind: str, path: str, name: str
) -> None:
    """P-26, X-16, X-35"""
    walked(kind, f"/{quote(path, safe='%/')}?{name}")
