from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livereferrals.tracking.privacy import client_address, kept_address, parse_address


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


@given(st.from_regex(r"\A[0-9. ]{1,16}\Z") | st.ip_addresses(v=4).map(str))
def test_plain_addresses_are_read_as_python_reads_them(text: str) -> None:
    """Y-01: the short way to most of them takes none for an address that is none"""
    address = parse_address(text)
    assert kept_address(text, mode="truncate") == (
        None if address is None else str(ip_network((address, 24), strict=False).network_address)
    )


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


PROXY = "10.0.0.9"


@pytest.mark.parametrize(
    ("forwarded", "trusted", "client"),
    [
        ("203.0.113.77", 0, PROXY),
        ("203.0.113.77", 1, "203.0.113.77"),
        ("6.6.6.6, 203.0.113.77", 1, "203.0.113.77"),
        ("6.6.6.6, 203.0.113.77, 10.0.0.8", 2, "203.0.113.77"),
        ("203.0.113.77", 2, PROXY),
        ("", 1, PROXY),
        ("6.6.6.6 ,  203.0.113.77 ", 1, "203.0.113.77"),
        (",", 1, ""),
    ],
)
def test_forwarded_address_is_believed_as_far_as_the_hosts_own_proxies_wrote_it(
    forwarded: str, trusted: int, client: str
) -> None:
    """V-13, X-12: what stands before their entries can be written by anybody"""
    assert client_address(PROXY, forwarded=forwarded, trusted_proxies=trusted) == client


@given(forwarded=st.text(), trusted=st.integers(0, 5))
def test_no_forwarded_text_is_an_error(forwarded: str, trusted: int) -> None:
    """V-13"""
    kept_address(client_address(PROXY, forwarded=forwarded, trusted_proxies=trusted), mode="truncate")
