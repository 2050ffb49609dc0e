from __future__ import annotations

import unicodedata
from urllib.parse import urlsplit

import pytest
from django.utils.encoding import iri_to_uri
from hypothesis import given
from hypothesis import strategies as st

from livereferrals.tracking import targets
from livereferrals.tracking.targets import Site

SITE = Site(host="shop.example", secure=True)
DEFAULT = "/default/"


def settle(target: str, site: Site = SITE) -> str:
    return targets.settled([target], default=DEFAULT, site=site)


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("/", id="root"),
        pytest.param("/x", id="path"),
        pytest.param("/x?a=1&b=2#part", id="query and fragment (L-48)"),
        pytest.param("/x?q=a%26b", id="escaped part (L-47)"),
        pytest.param("/x//y", id="inner slashes"),
        pytest.param("https://shop.example/x", id="same host (L-45)"),
        pytest.param("https://SHOP.example/x", id="host in capitals (L-45)"),
        pytest.param("https://shop.example:443/x", id="the scheme's own port (L-45)"),
        pytest.param("https://shop.example", id="no path"),
    ],
)
def test_target_on_this_site_is_kept_as_given(target: str) -> None:
    """L-40, L-45, L-47, L-48"""
    assert settle(target) == target


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https:evil.example",
        "http:///evil.example",
        "https://shop.example@evil.example/",
        "https://evil.example",
        "https://shop.example.evil.example/",
        "https://shop.example\\@evil.example/",
        "https://shop.example\\.evil.example/",
        "https://evil.example\\shop.example",
        "https://user:secret@shop.example/",
        "https://shop.example:8443/x",
        "https://shop.example:x/",
        "https://[shop.example/",
        "https://shop\u3002example/",
        "https:/evil.example",
        "https://",
    ],
)
def test_target_on_another_site_becomes_the_default(target: str) -> None:
    """L-41"""
    assert settle(target) == DEFAULT


@pytest.mark.parametrize(
    "target",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "jaVascript://shop.example/%0aalert(1)",
        "data:text/html,x",
        "vbscript:x",
        "mailto:a@b.example",
        "ftp://shop.example/x",
        "file:///etc/passwd",
        "HTTPS+x://shop.example/",
    ],
)
def test_scheme_that_is_not_http_becomes_the_default(target: str) -> None:
    """L-42"""
    assert settle(target) == DEFAULT


@pytest.mark.parametrize(
    "target",
    [
        "\t//evil.example",
        "\n/x",
        " //evil.example",
        " /x",
        "\u00a0/x",
        "/x\r\nSet-Cookie: a=b",
        "/x\ny",
        "/x\ry",
        "/\x00",
        "/x\x7f",
        "/\t/evil.example",
        "ht\ntps://shop.example/",
        "/x\ud800",
    ],
)
def test_control_characters_and_leading_white_space_become_the_default(target: str) -> None:
    """L-43"""
    assert settle(target) == DEFAULT


@pytest.mark.parametrize("target", ["foo", "foo/bar", "?a=1", "#top", ".", "../x", "shop.example/x"])
def test_relative_reference_becomes_the_default(target: str) -> None:
    """L-44"""
    assert settle(target) == DEFAULT


def test_plain_http_is_no_target_of_an_https_request() -> None:
    """L-45"""
    assert settle("http://shop.example/x") == DEFAULT
    assert settle("http://shop.example/x", Site(host="shop.example", secure=False)) == "http://shop.example/x"


@pytest.mark.parametrize(
    ("target", "host", "kept"),
    [
        ("http://shop.example:8000/x", "shop.example:8000", True),
        ("http://shop.example/x", "shop.example:8000", True),
        ("http://shop.example:8001/x", "shop.example:8000", False),
        ("http://[::1]:8000/x", "[::1]:8000", True),
        ("http://[::2]:8000/x", "[::1]:8000", False),
        ("http://shop.example/x", "", False),
        ("http://shop.example/x", "shop.example:x", False),
    ],
)
def test_port_is_the_requests_or_the_schemes_own(target: str, host: str, kept: bool) -> None:
    """L-45"""
    assert (settle(target, Site(host=host, secure=False)) == target) is kept


def test_listed_hosts_are_kept_and_a_leading_dot_means_sub_domains() -> None:
    """L-40, L-46"""
    site = Site(host="shop.example", secure=True, allowed_hosts=("app.example", ".example.org"))
    for target in ("https://app.example/x", "https://a.b.example.org/", "https://example.org/"):
        assert settle(target, site) == target
    for target in ("https://www.app.example/x", "https://badexample.org/"):
        assert settle(target, site) == DEFAULT


def test_listed_host_is_kept_over_plain_http_too_and_may_name_a_port() -> None:
    """L-46: as given, whatever the request came over; the request's own host is not less secure (L-45)"""
    site = Site(host="shop.example", secure=True, allowed_hosts=("App.example", "dev.example:8443", "own.example"))
    for target in ("http://app.example/x", "https://APP.example:8443/x", "https://dev.example:8443/"):
        assert settle(target, site) == target
    for target in ("https://dev.example/", "https://dev.example:9/", "http://shop.example/", "ftp://app.example/"):
        assert settle(target, site) == DEFAULT


def test_non_ascii_target_is_escaped_once() -> None:
    """L-47"""
    assert settle("/café?q=€") == "/caf%C3%A9?q=%E2%82%AC"
    assert settle("/caf%C3%A9?q=%E2%82%AC") == "/caf%C3%A9?q=%E2%82%AC"


def test_long_target_is_kept_up_to_the_limit_in_its_escaped_form() -> None:
    """L-49"""
    site = Site(host="shop.example", secure=True, max_length=8192)
    assert settle("/" + "a" * 8191, site) == "/" + "a" * 8191
    assert settle("https://shop.example/" + "a" * 8000, site) != DEFAULT
    assert settle("/" + "a" * 8192, site) == DEFAULT
    assert settle("/" + "é" * 1500, site) == DEFAULT


def test_first_usable_candidate_wins_and_empty_ones_count_as_absent() -> None:
    """L-03, L-04, L-51"""
    assert targets.settled(["/next", "/own"], default="/", site=SITE) == "/next"
    assert targets.settled(["", "/own"], default="/", site=SITE) == "/own"
    assert targets.settled(["//evil.example", "/own"], default="/", site=SITE) == "/own"
    assert targets.settled(["//evil.example", "https://evil.example"], default="/", site=SITE) == "/"


pieces = st.sampled_from(
    [
        "/",
        "//",
        "\\",
        "http",
        "https",
        ":",
        "@",
        "shop.example",
        "evil.example",
        "?",
        "#",
        "%2F",
        "\r\n",
        "\t",
        " ",
        ".",
    ]
)
addresses = st.one_of(st.text(), st.lists(st.one_of(pieces, st.text(max_size=2)), max_size=10).map("".join))


@given(target=addresses, secure=st.booleans())
def test_no_text_leaves_the_site_or_carries_a_control_character(target: str, secure: bool) -> None:
    """L-40, L-41, L-42, L-43, L-44: whatever is written in `next`"""
    found = settle(target, Site(host="shop.example", secure=secure))
    assert found.isascii()
    assert not any(unicodedata.category(character).startswith("C") for character in found)
    assert "\\" not in found
    assert "Location: " + found == ("Location: " + found).splitlines()[0]
    # As a browser reads it: a path, or our own host. Two slashes would name another one.
    if found.startswith("/"):
        assert not found.startswith("//")
    else:
        parts = urlsplit(found)
        assert parts.scheme in {"http", "https"}
        assert parts.netloc.lower().removesuffix(":80").removesuffix(":443") == "shop.example"


@given(target=addresses)
def test_accepted_target_is_only_escaped(target: str) -> None:
    """L-45, L-47, L-48: as given"""
    assert settle(target) in {DEFAULT, iri_to_uri(target) if targets.may_redirect_to(target, site=SITE) else DEFAULT}


# --- parameters -----------------------------------------------------------------------------------------------------------


def test_everything_else_in_the_query_is_kept_byte_for_byte() -> None:
    """P-21"""
    assert targets.without(b"b=2&ref=abc123&a=1&a=&b=%20+%2f&c", {"ref"}) == b"b=2&a=1&a=&b=%20+%2f&c"
    assert targets.without(b"ref=abc123", {"ref"}) == b""
    assert targets.without(b"&&ref=1&&", {"ref"}) == b"&&&"
    assert targets.without(b"a=1&ref=1&ref=2&%72ef=3&b", {"ref"}) == b"a=1&b"


def test_parameter_is_its_whole_decoded_name() -> None:
    """P-23, P-24"""
    query = b"my_ref=1&q=ref&Ref=2&ref=a&%72ef=b"
    assert targets.parameters(query)["ref"] == "b"
    assert targets.without(query, {"ref"}) == b"my_ref=1&q=ref&Ref=2"


@pytest.mark.parametrize(
    ("url", "left"),
    [
        ("/x?ref=a", "/x"),
        ("/x?a=1&ref=a&b=%20+#part?ref=b", "/x?a=1&b=%20+#part?ref=b"),
        ("/x?%72ef=a&refs=1&Ref=2", "/x?refs=1&Ref=2"),
        ("/x#?ref=a", "/x#?ref=a"),
        ("https://shop.example?ref=a&ref", "https://shop.example"),
        ("/x?ref&ref=", "/x"),
        ("/x?", "/x?"),
        ("/x", "/x"),
    ],
)
def test_parameters_are_taken_off_a_target_and_all_else_is_as_it_was(url: str, left: str) -> None:
    """L-50"""
    assert targets.stripped(url, {"ref"}) == left


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("/x?a=1&token=s3cret&b=2", "/x?a=1&b=2"),
        ("/x?Token=s3cret#top", "/x#top"),
        ("/x?%74oken=s3cret&tokens=2", "/x?tokens=2"),
        ("https://[broken?token=s3cret", "https://[broken"),
        ("", ""),
    ],
)
def test_redacted_url_has_lost_the_named_parameters_in_any_case(url: str, kept: str) -> None:
    """Y-09"""
    assert targets.redacted(url, ("TOKEN", "password")) == kept


@given(url=st.text(), names=st.sets(st.text(max_size=3)))
def test_no_url_is_an_error_when_parameters_are_taken_off(url: str, names: set[str]) -> None:
    """L-50, Y-09"""
    targets.stripped(url, names)
    targets.redacted(url, names)


@pytest.mark.parametrize(
    "path",
    [
        "/ref/abc",
        "/x/../ref/abc",
        "/x/%2e%2E/ref/abc",
        "/./ref/./abc",
        "/ref/x/../abc",
        "/../../ref/abc",
        "/ref%2Fabc",
        "/x%2F..%2Fref/abc",
        "/x//../../ref/abc",
        "/r%65f/abc?a=1#b",
        "https://shop.example/x/../ref/abc",
        "/x/..//ref/abc",
    ],
)
def test_path_is_found_that_a_browser_would_ask_for(path: str) -> None:
    """L-50: dots are walked and escapes undone, as browsers, proxies and servers do"""
    assert "/ref/abc" in targets.paths_of(path)


def test_other_paths_are_not_taken_for_it() -> None:
    """L-50"""
    for path in ("/ref/abc/x", "/x/ref/abc", "/?/ref/abc", "/x#/ref/abc", "https://shop.example", "/ref/abc/.."):
        assert "/ref/abc" not in targets.paths_of(path)


names = st.sampled_from([b"ref", b"a", b"%72ef", b"", b"ref%00", b"refs"])
values = st.binary(max_size=4).map(lambda raw: raw.replace(b"&", b"").replace(b"#", b""))
queries = st.lists(st.tuples(names, st.sampled_from([b"=", b""]), values).map(b"".join)).map(b"&".join)


@given(query=queries)
def test_no_query_breaks_the_rules_and_what_is_left_is_in_order(query: bytes) -> None:
    """P-21: also for bytes that are no UTF-8"""
    left = targets.without(query, {"ref"})
    assert "ref" not in targets.parameters(left)
    remaining = iter(query.split(b"&"))
    assert all(piece in remaining for piece in left.split(b"&") if piece)


@pytest.mark.parametrize(
    ("path", "query", "url"),
    [
        pytest.param("", b"", "/", id="no path"),
        pytest.param("x", b"a", "/x?a", id="no slash"),
        pytest.param("//evil.example/x", b"", "/%2Fevil.example/x", id="two slashes"),
        pytest.param("///evil.example", b"", "/%2F/evil.example", id="three slashes"),
        pytest.param("/\\evil.example/x", b"", "/%5Cevil.example/x", id="backslash"),
        pytest.param("/a%3Fb/%23c", b"a=1", "/a%3Fb/%23c?a=1", id="escaped (X-16)"),
        pytest.param("/x", "q=é".encode(), "/x?q=%C3%A9", id="unescaped bytes"),
        pytest.param("/x", b"q=\r\na", "/x?q=%0D%0Aa", id="line break"),
    ],
)
def test_own_url_stays_on_this_host(path: str, query: bytes, url: str) -> None:
    """P-26"""
    assert targets.own_url(path, query) == url


@given(path=st.text().map(lambda text: "/" + text.encode("utf-8", "replace").decode()), query=st.binary())
def test_own_url_is_a_target_of_this_site_for_every_request(path: str, query: bytes) -> None:
    """P-22, P-26: no fragment, no other host, nothing that ends a header"""
    url = targets.own_url(path, query)
    assert targets.may_redirect_to(url, site=Site(host="shop.example", secure=True, max_length=10**6))
    assert "#" not in url
    assert "\\" not in url
