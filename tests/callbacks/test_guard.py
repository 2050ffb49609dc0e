"""The address guard: hosts, ports and addresses that may be called."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livereferrals.callbacks.guard import REFUSED, UNICAST, check_authority, may_connect
from livereferrals.callbacks.hosts import map_host
from livereferrals.callbacks.openings import Opening, Rules
from livereferrals.exceptions import InvalidCallBackURL

pytestmark = pytest.mark.once

PORTS = (80, 443, 8080, 8443)
NONE = Rules.of(allow=(), block=(), ports=PORTS)
REFUSED_V4 = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "168.63.129.16/32",
]
REFUSED_V6 = [
    "::/128",
    "::1/128",
    "::/96",
    "100::/64",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
    "4000::/3",
]


def rules(*allow: str, block: tuple[str, ...] = ()) -> Rules:
    return Rules.of(allow=allow, block=block, ports=PORTS)


@pytest.mark.parametrize("network", [*REFUSED_V4, *REFUSED_V6])
def test_listed_address_is_refused_at_connect_and_at_save(network: str) -> None:
    """callback-S1, X-59: first, last and a middle address of every listed network, as an answer and as a literal."""
    block = ip_network(network)
    for address in {block[0], block[-1], block[block.num_addresses // 2]}:
        assert not may_connect(str(address), 443, rules=NONE, host="partner.example")
        literal = f"[{address}]" if address.version == 6 else str(address)
        with pytest.raises(InvalidCallBackURL):
            check_authority("https", literal, rules=NONE)


def test_table_refuses_without_the_help_of_python() -> None:
    """callback-S1, callback-F27: `is_global` differs between patch releases, so our own list has every network."""
    for text in (*REFUSED_V4, *REFUSED_V6):
        network = ip_network(text)
        listed = [own for own in REFUSED if own.version == network.version]
        is_unicast = network.version == 4 or network.subnet_of(UNICAST)
        assert not is_unicast or any(network.subnet_of(own) for own in listed), text  # type: ignore[arg-type] # alike


def test_opened_carrier_does_not_open_what_it_carries() -> None:
    """callback-S1, callback-F27: a network with NAT64 opens its prefix, and not the private addresses behind it."""
    opened = rules("64:ff9b::/96", "::ffff:0:0/96")
    for carrier in ("64:ff9b::", "::ffff:"):
        assert may_connect(f"{carrier}8.8.8.8", 443, rules=opened, host="partner.example")
        for private in ("10.0.0.1", "127.0.0.1", "169.254.169.254"):
            assert not may_connect(f"{carrier}{private}", 443, rules=opened, host="partner.example")


@given(st.ip_addresses(v=4))
def test_address_carried_by_another_is_judged_too(address: object) -> None:
    """callback-S1: mapped, compatible, translated, NAT64 and 6to4 forms pass no more than the address itself."""
    for form in ("::ffff:{}", "::{}", "::ffff:0:{}", "64:ff9b::{}"):
        assert not may_connect(form.format(address), 443, rules=NONE, host="partner.example")


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450::1"])
def test_public_address_may_be_called(address: str) -> None:
    """callback-S1: the guard lets the internet through."""
    assert may_connect(address, 443, rules=NONE, host="partner.example")


@pytest.mark.parametrize("address", ["fe80::1%eth0", "2a00:1450::1%1", "not an address", ""])
def test_zone_or_nonsense_is_refused(address: str) -> None:
    """callback-S1: what is no plain address is not connected to."""
    assert not may_connect(address, 443, rules=NONE, host="partner.example")


def test_allowed_network_opens_its_addresses_and_port_only() -> None:
    """callback-S1: `ALLOW` opens exactly what it names."""
    opened = rules("127.0.0.0/8:9000", "[fd00::/8]:8000")
    assert may_connect("127.0.0.1", 9000, rules=opened, host="x.example")
    assert not may_connect("127.0.0.1", 9001, rules=opened, host="x.example")
    assert may_connect("fd12::1", 8000, rules=opened, host="x.example")
    assert not may_connect("10.0.0.1", 9000, rules=opened, host="x.example")
    assert check_authority("https", "127.0.0.1:9000", rules=opened).port == 9000
    with pytest.raises(InvalidCallBackURL):
        check_authority("https", "127.0.0.1:9001", rules=opened)


def test_the_machine_itself_is_opened_by_its_name_in_either_version() -> None:
    """callback-S1: `[::1]` carries no IPv4 address; without an entry it stays shut."""
    for entry, address in (("127.0.0.1:9377", "127.0.0.1"), ("[::1]:9377", "::1")):
        assert may_connect(address, 9377, rules=rules(entry), host=address)
        assert not may_connect(address, 9378, rules=rules(entry), host=address)
        assert not may_connect(address, 9377, rules=NONE, host=address)
    assert not may_connect("::", 9377, rules=rules("[::1]:9377"), host="::")


def test_entry_without_a_port_opens_the_usual_ports_and_no_other() -> None:
    """callback-S1: who names a network means web servers, not the databases and caches beside them."""
    for entry in ("10.0.0.0/8", "partner.lan"):
        opened, host = rules(entry), "10.1.2.3" if entry[0] == "1" else entry
        for port in PORTS:
            assert may_connect("10.1.2.3", port, rules=opened, host=host)
            assert check_authority("https", f"{host}:{port}", rules=opened).port == port
        for port in (22, 5432, 6379, 9000):
            assert not may_connect("10.1.2.3", port, rules=opened, host=host)
            with pytest.raises(InvalidCallBackURL):
                check_authority("https", f"{host}:{port}", rules=opened)


def test_any_port_is_opened_by_a_star_alone() -> None:
    """callback-S1: whoever wants every port has to say so."""
    for entry, host in (("10.0.0.0/8:*", "10.1.2.3"), ("partner.lan:*", "partner.lan"), ("*.lan:*", "partner.lan")):
        opened = rules(entry)
        assert may_connect("10.1.2.3", 6379, rules=opened, host=host)
        assert check_authority("https", f"{host}:6379", rules=opened).port == 6379
    assert may_connect("fd12::1", 6379, rules=rules("[fd00::/8]:*"), host="fd12::1")


def test_block_without_a_port_closes_every_port() -> None:
    """callback-S1: what is refused is refused wholly, unless a port is named."""
    closed = rules("10.0.0.0/8:*", block=("10.0.0.5", "10.0.0.6:25", "10.0.0.7:*"))
    assert not may_connect("10.0.0.5", 9000, rules=closed, host="x.example")
    assert not may_connect("10.0.0.6", 25, rules=closed, host="x.example")
    assert may_connect("10.0.0.6", 26, rules=closed, host="x.example")
    assert not may_connect("10.0.0.7", 26, rules=closed, host="x.example")


def test_allowed_name_opens_private_answers_but_never_metadata_services() -> None:
    """callback-S1: a name in `ALLOW` that points to a cloud's metadata service is an attack."""
    opened = rules("partner.lan", "*.svc.local")
    assert may_connect("10.1.2.3", 443, rules=opened, host="partner.lan")
    assert may_connect("10.1.2.3", 443, rules=opened, host="a.svc.local")
    assert not may_connect("10.1.2.3", 443, rules=opened, host="other.lan")
    for address in ("169.254.169.254", "fd00:ec2::254", "168.63.129.16", "100.100.100.200"):
        assert not may_connect(address, 443, rules=opened, host="partner.lan")
        assert may_connect(address, 443, rules=rules(address, "partner.lan"), host="partner.lan")


def test_block_wins_over_allow() -> None:
    """callback-S1: `BLOCK` adds refusals, by name and by network."""
    both = rules("10.0.0.0/8", "evil.example", block=("10.0.0.5/32", "evil.example", "8.8.8.8"))
    assert may_connect("10.0.0.4", 443, rules=both, host="x.example")
    assert not may_connect("10.0.0.5", 443, rules=both, host="x.example")
    assert not may_connect("8.8.8.8", 443, rules=both, host="x.example")
    assert not may_connect("1.1.1.1", 443, rules=both, host="evil.example")
    with pytest.raises(InvalidCallBackURL):
        check_authority("https", "evil.example", rules=both)


@pytest.mark.parametrize(
    "host",
    [
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "1.2.3",
        "1.2.3.4.5",
        "partner.example.",
        "a..example",
        "a_b.example",
        "-a.example",
        "a-.example",
        "100%25.example",
        f"{'a' * 64}.example",
        ".".join(["a" * 60] * 5),
        "[::1",
        "[1.2.3.4]",
        "[fe80::1%25eth0]",
        "partner.example:0",
        "partner.example:65536",
        "partner.example:",
        "partner.example:8o",
        "xn--zzzzzzz\u00fc.example",
    ],
)
def test_host_that_means_different_things_to_different_resolvers_is_refused(host: str) -> None:
    """callback-S21: only one reading of a host is let through."""
    with pytest.raises(InvalidCallBackURL):
        check_authority("https", host, rules=NONE)


@pytest.mark.parametrize(
    ("host", "cause"),
    [
        *(
            (name, "private address")
            for name in ("localhost", "a.localhost", "printer.local", "x.internal", "intranet")
        ),
        ("h.home.arpa", "private address"),
        *((name, "reserved name") for name in ("x.onion", "x.test", "nope.invalid", "invalid")),
    ],
)
def test_private_name_is_refused_unless_allowed_by_name(host: str, cause: str) -> None:
    """callback-S1: names that are never public are refused before any look-up; one that is reserved is called so."""
    with pytest.raises(InvalidCallBackURL, match=f"refused: {cause}"):
        check_authority("https", host, rules=NONE)
    assert check_authority("https", host, rules=rules(host)).host == host


@pytest.mark.parametrize(
    ("typed", "mapped"),
    [
        ("PARTNER.example", "partner.example"),
        ("münchen.example", "xn--mnchen-3ya.example"),
        ("ＰＡＲＴＮＥＲ.example", "partner.example"),  # noqa: RUF001 - full width on purpose
        ("partner。example", "partner.example"),
        ("1.1.1.1", "1.1.1.1"),
    ],
)
def test_host_is_connected_to_in_its_mapped_form(typed: str, mapped: str) -> None:
    """callback-S21: mapping comes before judging, and the mapped form is what is used."""
    assert check_authority("https", typed, rules=NONE).host == mapped


@pytest.mark.parametrize("host", ["①②⑦.0.0.1", "１２７.0.0.1", "127。0。0。1", "ⓛocalhost"])  # noqa: RUF001 - on purpose
def test_disguised_loopback_is_recognised(host: str) -> None:
    """callback-S21: circled and full-width characters and the ideographic dot spell addresses too."""
    with pytest.raises(InvalidCallBackURL, match="refused: private address"):
        check_authority("https", host, rules=NONE)


def test_refusals_tell_nobody_what_is_inside() -> None:
    """callback-S14: every private address gets the same words."""
    said = set()
    for host in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "localhost"):
        with pytest.raises(InvalidCallBackURL) as caught:
            check_authority("https", host, rules=NONE)
        said.add(caught.value.message)
    assert len(said) == 1


def hint(authority: str, *, scheme: str = "https", rules: Rules = NONE) -> str:
    with pytest.raises(InvalidCallBackURL) as caught:
        check_authority(scheme, authority, rules=rules)
    # It is kept with a delivery, and partners read that.
    assert "LIVEREFERRALS" not in str(caught.value.message)
    return caught.value.hint


@pytest.mark.parametrize(
    ("authority", "entry"),
    [
        ("127.0.0.1:9377", "127.0.0.1:9377"),
        ("10.0.0.1", "10.0.0.1:443"),
        ("[::1]:9377", "[::1]:9377"),
        ("[fd12::1]:8443", "[fd12::1]:8443"),
        ("[2606:4700::1]:9000", "[2606:4700::1]:9000"),
        ("sink.internal:9000", "sink.internal:9000"),
        ("x.test", "x.test:443"),
        ("partner.example:9000", "partner.example:9000"),
    ],
)
def test_a_refusal_says_how_a_server_of_ones_own_is_allowed(authority: str, entry: str) -> None:
    """D-11: with the line for the settings, which does allow it"""
    assert hint(authority).endswith(f'in the settings: LIVEREFERRALS["CALLBACKS"]["ALLOW"] = ["{entry}"]')
    assert check_authority("https", authority, rules=rules(entry)).port


def test_nobody_is_told_how_to_open_what_nobody_should() -> None:
    """callback-S1: metadata services of clouds, addresses inside addresses, what `BLOCK` names; and what leads nowhere"""
    for authority in ("169.254.169.254", "[fd00:ec2::254]", "[::ffff:10.0.0.1]", "nope.invalid"):
        assert hint(authority) == ""
    blocking = Rules.of(allow=(), block=("10.0.0.0/8", "evil.example"), ports=PORTS)
    assert hint("10.0.0.1", rules=blocking) == ""
    assert hint("evil.example", rules=blocking) == ""


def test_a_refusal_of_plain_http_says_who_allows_it_and_where() -> None:
    """D-11"""
    assert "“Can allow callbacks over plain HTTP” ticks “Allow plain HTTP”" in hint("partner.example", scheme="http")
    assert hint("partner.example", scheme="ftp") == ""


def test_scheme_and_port_are_closed_lists() -> None:
    """D-11: https; plain HTTP where the subscription may; the ports of the setting."""
    with pytest.raises(InvalidCallBackURL, match="https"):
        check_authority("http", "partner.example", rules=NONE)
    with pytest.raises(InvalidCallBackURL, match="https"):
        check_authority("ftp", "partner.example", rules=NONE, plain_http=True)
    origin = check_authority("http", "partner.example", rules=NONE, plain_http=True)
    assert (origin.port, origin.authority) == (80, "partner.example")
    with pytest.raises(InvalidCallBackURL, match="Port 25"):
        check_authority("https", "partner.example:25", rules=NONE)
    assert check_authority("https", "[2606:4700::1]:8443", rules=NONE).authority == "[2606:4700::1]:8443"


@pytest.mark.parametrize(
    "entry", ["10.0.0.0/99", "a b", "*.*.x", "", "http://x.example", "10.0.0.300", "x:65536", "x:0", "x:"]
)
def test_unreadable_entry_of_the_settings_is_an_error(entry: str) -> None:
    """callback-S1: a mistyped `ALLOW` opens nothing silently."""
    with pytest.raises(ValueError, match=r"no network|ports are"):
        Opening.parse(entry)


def test_mapping_refuses_what_is_no_name() -> None:
    """callback-S21: no host name, no connection."""
    with pytest.raises(InvalidCallBackURL):
        map_host("a\u200bb.example\ufffe")
