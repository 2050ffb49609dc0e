"""Callback URLs: what validates renders, and nothing else does."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livereferrals.callbacks.placeholders import MACROS, examine, parse
from livereferrals.exceptions import InvalidCallBackURL, Unrenderable

pytestmark = pytest.mark.once

URI = re.compile(r"https://[A-Za-z0-9.:-]+/[A-Za-z0-9._~!$&'()*+,;=:@/?%-]*\Z")
BASE = "https://partner.example"

values = st.dictionaries(st.sampled_from(MACROS), st.text(max_size=40))
pieces = st.one_of(
    st.text(alphabet="abcXYZ019._~-!$&'()*+,;=:@/?", max_size=8),
    st.sampled_from(["%20", "%C3%BC", "{{", "}}", "/"]),
    st.sampled_from(MACROS).map(lambda name: f"{{{name}}}"),
    st.sampled_from(MACROS).map(lambda name: f"{{{name}|none}}"),
)
templates = st.lists(pieces, max_size=12).map(lambda parts: f"{BASE}/" + "".join(parts))


@given(template=templates, values=values)
def test_what_validates_renders(template: str, values: dict[str, str]) -> None:
    """callback-S4, D-11: a template that is accepted gives a URL of URL characters, or says why these values cannot."""
    parsed, mistakes = examine(template)
    if parsed is None:
        assert mistakes
        return
    try:
        url = parsed.render(values)
    except Unrenderable:
        return
    assert URI.match(url)
    assert urlsplit(url).netloc == "partner.example"


@given(template=st.text(max_size=60))
def test_any_text_is_judged_without_an_exception(template: str) -> None:
    """callback-S4: whatever is typed gets mistakes with a position, or a template."""
    parsed, mistakes = examine(f"{BASE}/{template}")
    assert (parsed is None) == bool(mistakes)
    assert all(mistake.position is not None for mistake in mistakes)


@given(value=st.text(min_size=1, max_size=60))
def test_value_arrives_exactly_as_stored(value: str) -> None:
    """callback-S5: a value is one parameter and decodes to itself, CR, LF and NUL included."""
    template = parse(f"{BASE}/p?a=1&ref={{reference}}&z=2")
    try:
        url = template.render({"reference": value})
    except Unrenderable:
        assert any("\ud800" <= character <= "\udfff" for character in value)
        return
    first, reference, last = urlsplit(url).query.split("&")
    assert (first, last) == ("a=1", "z=2")
    assert unquote(reference.removeprefix("ref="), errors="strict") == value


def test_fallback_stands_in_for_an_empty_value() -> None:
    """D-11: `{amount|0}` sends 0 where there is no amount; braces are doubled for themselves."""
    template = parse(f"{BASE}/p?sum={{amount|0}}&x={{{{y}}}}")
    assert template.render({}) == f"{BASE}/p?sum=0&x=%7By%7D"
    assert template.render({"amount": "12.50"}) == f"{BASE}/p?sum=12.50&x=%7By%7D"


def test_placeholder_in_a_value_is_text() -> None:
    """callback-S4: a value is never parsed again."""
    url = parse(f"{BASE}/{{reference}}?v={{click_id}}").render({"reference": "{0.__class__}", "click_id": "{link}"})
    assert url == f"{BASE}/%7B0.__class__%7D?v=%7Blink%7D"


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_value_that_bends_the_path_cannot_be_rendered(value: str) -> None:
    """callback-S4: encoding does not protect an empty segment or dots."""
    with pytest.raises(Unrenderable):
        parse(f"{BASE}/a/{{reference}}/b").render({"reference": value})


def test_encoded_dot_beside_a_value_bends_the_path_too() -> None:
    """callback-S4: servers take `%2e.` for `..`."""
    with pytest.raises(Unrenderable):
        parse(f"{BASE}/a/%2e{{reference}}").render({"reference": "."})


def test_url_that_gets_too_long_cannot_be_rendered() -> None:
    """callback-S20: at most 8,000 bytes leave."""
    with pytest.raises(Unrenderable):
        parse(f"{BASE}/?r={{reference}}").render({"reference": "x" * 8000})


def test_url_without_path_gets_one() -> None:
    """callback-S6: the request target is never empty."""
    assert parse(f"{BASE}?r={{reference}}").render({"reference": "1"}) == f"{BASE}/?r=1"


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("", "must begin with https://"),
        ("/relative", "must begin with https://"),
        ("partner.example/x", "must begin with https://"),
        ("https:///x", "host name is missing"),
        ("https://{link}.example/", "host name or port"),
        ("https://partner.example:{link}/", "host name or port"),
        ("https://{link}", "host name or port"),
        ("https://user:pass@partner.example/", "user name or password"),
        (f"{BASE}/#top", "fragment"),
        (f"{BASE}/{{visitr_id}}", "Did you mean {visitor_id}?"),
        (f"{BASE}/{{visitor_id.__class__}}", "plain name"),
        (f"{BASE}/{{link[0]}}", "plain name"),
        (f"{BASE}/{{link!r}}", "plain name"),
        (f"{BASE}/{{link:>9}}", "plain name"),
        (f"{BASE}/{{0}}", "needs a name"),
        (f"{BASE}/{{}}", "needs a name"),
        (f"{BASE}/{{Link}}", "Did you mean {link}?"),
        (f"{BASE}/{{ link }}", "Did you mean {link}?"),
        (f"{BASE}/{{link", "{ without its }"),
        (f"{BASE}/link}}", "} without its {"),
        (f"{BASE}/{{link|a b}}", "fallback"),
        (f"{BASE}/{{link|%00}}", "control character"),
        (f"{BASE}/%zz", "two hexadecimal digits"),
        (f"{BASE}/%0d%0a", "control character"),
        (f"{BASE}/a b", "Write %20"),
        (f"{BASE}/a\\b", "backslash"),
        (f'{BASE}/"', "quotation mark"),
        (f"{BASE}/<b>", "<"),
        (f"{BASE}/ü", "Write %C3%BC"),
        (f"{BASE}/\r\nX: y", "U+000D"),
        (f"{BASE}/\t", "U+0009"),
        (f"{BASE}/a/../b", ". or .."),
        (f"{BASE}/%2E%2e/b", ". or .."),
        (f"{BASE}/" + "{link}" * 31, "more than 30"),
        (f"{BASE}/" + "x" * 2000, "longer than 2,000"),
        ("https://partner.exam ple/", "space or control character"),
    ],
)
def test_mistake_is_named_with_its_place(template: str, words: str) -> None:
    """D-11, callback-S4: each mistake is refused in words a person can act on."""
    with pytest.raises(InvalidCallBackURL) as caught:
        parse(template)
    assert words in caught.value.message
    assert caught.value.position is not None


def test_every_mistake_is_named_at_once() -> None:
    """D-11: one message for each mistake."""
    _, mistakes = examine(f"{BASE}/{{nope}}/%zz#x")
    assert len(mistakes) == 3
    assert mistakes[0].placeholder == "nope"


def test_get_without_an_identifying_placeholder_is_warned_of() -> None:
    """D-11: a GET that does not tell events apart gets a warning, a POST carries the event itself."""
    assert parse(f"{BASE}/?v={{visitor_id}}").warnings(method="GET")
    assert not parse(f"{BASE}/?v={{visitor_id}}").warnings(method="POST")
    assert not parse(f"{BASE}/?v={{delivery_id}}").warnings(method="GET")


def test_literal_secret_is_warned_of() -> None:
    """callback-S11: a literal that looks like a secret is pointed out."""
    assert parse(f"{BASE}/?api_token=abc&r={{reference}}").warnings(method="GET")
    assert not parse(f"{BASE}/?token={{click_id}}&r={{reference}}").warnings(method="GET")


def test_there_is_no_macro_for_personal_data() -> None:
    """callback-S18: the list is closed, and nothing in it names a person, an address or a secret."""
    assert len(MACROS) == 24
    for word in ("user", "email", "mail", "ip", "address", "secret", "name"):
        assert word not in MACROS
        with pytest.raises(InvalidCallBackURL):
            parse(f"{BASE}/?x={{{word}}}")
