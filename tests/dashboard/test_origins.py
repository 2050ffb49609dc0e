from __future__ import annotations

import pytest

from livereferrals.dashboard import origins


def scope(**headers: str) -> dict[str, object]:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"headers": pairs, "server": ("127.0.0.1", 8000)}


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("https://shop.example", "shop.example", True),
        ("https://shop.example:443", "shop.example", True),
        ("http://shop.example:8000", "shop.example:8000", True),
        ("http://SHOP.example", "shop.example", True),
        ("http://[::1]:8000", "[::1]:8000", True),
        ("https://evil.example", "shop.example", False),
        ("https://shop.example.evil", "shop.example", False),
        ("https://shop.example:8443", "shop.example", False),
        ("http://shop.example:99999", "shop.example", False),
        ("null", "shop.example", False),
        ("file://shop.example", "shop.example", False),
        ("", "shop.example", False),
        ("https://shop.example", "bad host", False),
    ],
)
def test_only_pages_of_the_own_host_may_connect(settings, origin, host, own):
    """dashboard-17"""
    settings.ALLOWED_HOSTS = ["*"]
    assert origins.is_own(scope(origin=origin, host=host)) is own


def test_missing_origin_is_a_no():
    """dashboard-17"""
    assert not origins.is_own(scope(host="shop.example"))


def test_host_that_the_project_does_not_allow_is_a_no(settings):
    """dashboard-17"""
    settings.ALLOWED_HOSTS = ["other.example"]
    assert not origins.is_own(scope(origin="https://shop.example", host="shop.example"))


def test_forwarded_host_counts_where_the_project_trusts_it(settings):
    """dashboard-17"""
    settings.ALLOWED_HOSTS = ["shop.example"]
    asked = scope(origin="https://shop.example", host="inner:8000", x_forwarded_host="shop.example")
    assert not origins.is_own(asked)
    settings.USE_X_FORWARDED_HOST = True
    assert origins.is_own(asked)


def test_connection_without_host_header_is_judged_by_the_server(settings):
    """dashboard-17"""
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    assert origins.is_own(scope(origin="http://127.0.0.1:8000"))
    assert not origins.is_own({"headers": [(b"origin", b"http://shop.example")], "server": None})
