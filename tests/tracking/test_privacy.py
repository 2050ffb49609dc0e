from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livereferrals.tracking.privacy import kept_address


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("203.0.113.77", "203.0.113.0"),
        ("203.0.113.77:4711", "203.0.113.0"),
        ("2001:db8:1:2::3", "2001:db8:1::"),
        ("[2001:db8:1:2::3]:443", "2001:db8:1::"),
        ("[2001:db8:1:2::3]", "2001:db8:1::"),
        ("fe80::1%eth0", "fe80::"),
        ("::ffff:203.0.113.77", "203.0.113.0"),
        (" 203.0.113.77 ", "203.0.113.0"),
        ("", None),
        (None, None),
        ("unix:", None),
        ("unix:/run/web.sock", None),
        ("203.0.113", None),
        ("203.0.113.256", None),
        ("garbage", None),
        ("[", None),
    ],
)
def test_address_is_cut_and_anything_else_is_none(text: str | None, kept: str | None) -> None:
    """Y-01, V-11, V-13"""
    assert kept_address(text, mode="truncate") == kept


def test_other_modes_keep_all_or_nothing() -> None:
    """Y-01"""
    assert kept_address("::ffff:203.0.113.77", mode="full") == "203.0.113.77"
    assert kept_address("garbage", mode="full") is None
    assert kept_address("203.0.113.77", mode="none") is None


@given(text=st.text())
def test_no_text_is_an_error(text: str) -> None:
    """V-13"""
    kept_address(text, mode="truncate")


@given(address=st.ip_addresses())
def test_cut_address_is_one_of_its_network(address: object) -> None:
    """Y-01"""
    kept = kept_address(str(address), mode="truncate")
    assert kept is not None
    assert kept_address(kept, mode="truncate") == kept
