"""The address guard: which hosts, ports and addresses a callback may go to (callbacks, section 7). Pure; no look-ups.

rules = Rules.of(allow=("127.0.0.0/8:9000",), block=(), ports=(443,))
check_authority("https", "partner.example", rules=rules)      # Origin, or InvalidCallBackURL
may_connect("10.0.0.7", 443, rules=rules, host="partner.example")   # False
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

import idna

from livereferrals.exceptions import InvalidCallBackURL

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

REFUSED: Final[tuple[Network, ...]] = tuple(
    map(
        ip_network,
        [
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
            "2001::/23",
            "2001:db8::/32",
            "2002::/16",
            "2620:4f:8000::/48",
            "3fff::/20",
        ],
    )
)
"""Refused although other lists call some of them global: `is_global` differs between patch releases of Python."""
UNICAST: Final = IPv6Network("2000::/3")
"""Outside it no IPv6 address is called."""
NEVER_BY_NAME: Final[tuple[Network, ...]] = tuple(
    map(ip_network, ("169.254.0.0/16", "fd00:ec2::254/128", "168.63.129.16/32", "100.100.100.200/32"))
)
"""Metadata services of clouds: an allowed name that points there is an attack, so these need a network entry."""
CARRIERS: Final = tuple(map(IPv6Network, ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")))
"""Networks whose last 32 bits are an IPv4 address: compatible, translated, NAT64."""
PRIVATE_NAMES: Final = ("localhost", "local", "internal", "home.arpa", "onion", "invalid", "test")
LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z", re.ASCII)
NUMERIC = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z", re.ASCII)
DEFAULT_PORTS: Final = {"https": 443, "http": 80}
MAX_PORT: Final = 65_535
REFUSED_ADDRESS: Final = "refused: private address"
"""All that anybody is told: inner networks cannot be mapped by reading error messages."""


@dataclass(frozen=True, slots=True)
class Opening:
    """One entry of `ALLOW` or `BLOCK`: a network, a name or all names below a suffix, at one port or at any."""

    network: Network | None
    name: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Opening:
        """Return the entry that the text spells.

        Raises:
            ValueError: it is no network and no host name.
        """
        found = re.match(r"\[([^\]]+)\](?::([0-9]+))?\Z", text) or re.match(r"([^:]+):([0-9]+)\Z", text)
        place, port = (found[1], found[2]) if found else (text, None)
        number = int(port) if port else None
        try:
            return cls(ip_network(place, strict=False), "", number)
        except ValueError:
            name = place.lower()
            if not all(LABEL.match(label) for label in name.removeprefix("*.").split(".")):
                raise ValueError(f"{text!r} is no network, host name or *.suffix, with or without :port") from None
            return cls(None, name, number)

    def covers_name(self, host: str, port: int) -> bool:
        """Whether the entry names this host."""
        if self.network is not None or self.port not in (None, port):
            return False
        return host.endswith(self.name[1:]) if self.name.startswith("*.") else host == self.name

    def covers_address(self, address: Address, port: int) -> bool:
        """Whether the entry's network holds this address."""
        if self.network is None or self.port not in (None, port):
            return False
        return address.version == self.network.version and address in self.network


@dataclass(frozen=True, slots=True)
class Rules:
    """What the host project's settings allow and block beyond the built-in lists."""

    allow: tuple[Opening, ...]
    block: tuple[Opening, ...]
    ports: tuple[int, ...]

    @classmethod
    @cache
    def of(cls, *, allow: tuple[str, ...], block: tuple[str, ...], ports: tuple[int, ...]) -> Rules:
        """Return the rules that these settings spell.

        Raises:
            ValueError: an entry is no network and no host name.
        """
        return cls(tuple(map(Opening.parse, allow)), tuple(map(Opening.parse, block)), ports)

    def opens_name(self, host: str, port: int) -> bool:
        """Whether `ALLOW` names the host."""
        return any(entry.covers_name(host, port) for entry in self.allow)

    def opens_address(self, address: Address, port: int) -> bool:
        """Whether `ALLOW` has a network with the address."""
        return any(entry.covers_address(address, port) for entry in self.allow)

    def blocks(self, host: str, port: int) -> bool:
        """Whether `BLOCK` names the host."""
        return any(entry.covers_name(host, port) for entry in self.block)

    def blocks_address(self, address: Address, port: int) -> bool:
        """Whether `BLOCK` has a network with the address."""
        return any(entry.covers_address(address, port) for entry in self.block)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Scheme, host and port that a callback goes to."""

    scheme: str
    host: str
    """ASCII, mapped, without brackets: what is resolved, judged and connected to."""
    port: int
    address: Address | None
    """The host as an address, if it is one."""

    @property
    def authority(self) -> str:
        """Host and port for a URL; the scheme's own port is left out."""
        host = f"[{self.host}]" if isinstance(self.address, IPv6Address) else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def may_connect(address: str, port: int, *, rules: Rules, host: str) -> bool:
    """Judge an address that `host` resolved to or that is about to be connected to.

    It is judged by a positive list and `is_global`, which must agree; an IPv4 address that an IPv6 one carries is
    judged as well. What an allowed name or network opens is excepted, what `BLOCK` names is not.
    """
    try:
        judged = ip_address(address)
    except ValueError:
        return False
    if isinstance(judged, IPv6Address) and judged.scope_id is not None:
        return False
    every = (judged, *_carried(judged))
    if rules.blocks(host, port) or any(rules.blocks_address(one, port) for one in every):
        return False
    by_name = rules.opens_name(host, port)
    return all(_is_public(one) or _is_opened(one, port, rules=rules, by_name=by_name) for one in every)


def _is_opened(address: Address, port: int, *, rules: Rules, by_name: bool) -> bool:
    if rules.opens_address(address, port):
        return True
    return by_name and not any(address.version == never.version and address in never for never in NEVER_BY_NAME)


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in UNICAST:
        return False
    if any(address.version == network.version and address in network for network in REFUSED):
        return False
    return address.is_global


def _carried(address: Address) -> list[IPv4Address]:
    """Return the IPv4 addresses inside an IPv6 one: mapped, compatible, translated, NAT64, 6to4, Teredo."""
    if isinstance(address, IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in CARRIERS):
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [one for one in found if one is not None]


def check_authority(scheme: str, authority: str, *, rules: Rules, plain_http: bool = False) -> Origin:
    """Return where a URL with this scheme and authority leads.

    Raises:
        InvalidCallBackURL: scheme, host form, port or literal address are refused.
    """
    if scheme != "https" and not (scheme == "http" and plain_http):
        raise InvalidCallBackURL("The address must begin with https://; plain HTTP is allowed to few.")
    host, port = _split(authority, DEFAULT_PORTS[scheme])
    address = _literal(host)
    name = str(address) if address is not None else map_host(host)
    if address is None:
        address = _quad(name)
    origin = Origin(scheme=scheme, host=name, port=port, address=address)
    _refuse_host(origin, rules=rules)
    return origin


def _refuse_host(origin: Origin, *, rules: Rules) -> None:
    host, port = origin.host, origin.port
    opened = rules.opens_name(host, port)
    if origin.address is not None:
        opened = rules.opens_address(origin.address, port)
        if not may_connect(host, port, rules=rules, host=host):
            raise InvalidCallBackURL(f"This host cannot be called ({REFUSED_ADDRESS}).")
    elif rules.blocks(host, port) or (not opened and _is_private_name(host)):
        raise InvalidCallBackURL(f"This host cannot be called ({REFUSED_ADDRESS}).")
    if port not in rules.ports and not opened:
        known = ", ".join(map(str, rules.ports))
        raise InvalidCallBackURL(f"Port {port} cannot be called; use one of {known}.")


def _is_private_name(host: str) -> bool:
    return "." not in host or any(host == name or host.endswith(f".{name}") for name in PRIVATE_NAMES)


def _split(authority: str, default: int) -> tuple[str, int]:
    found = re.match(r"(\[[^\]]*\]|[^:]*)(?::([0-9]{1,5}))?\Z", authority, re.ASCII)
    if found is None or (found[2] is not None and not 0 < int(found[2]) <= MAX_PORT):
        raise InvalidCallBackURL("Host and port look like partner.example or partner.example:8443.")
    return found[1], int(found[2] or default)


def _literal(host: str) -> Address | None:
    """Return the address in brackets, if there is one."""
    if not host.startswith("["):
        return None
    try:
        return IPv6Address(host[1:-1])
    except ValueError as error:
        raise InvalidCallBackURL("What stands in square brackets is no IPv6 address.") from error


def _quad(host: str) -> IPv4Address | None:
    """Return the dotted quad; a host whose last label is a number must be one, in its canonical form.

    `0x7f.1`, `0177.0.0.1`, `127.1` and `2130706433` mean different hosts to different resolvers.
    """
    if not NUMERIC.match(host.rpartition(".")[2]):
        return None
    try:
        return IPv4Address(host)
    except ValueError as error:
        raise InvalidCallBackURL("A numeric host must be an address like 198.51.100.7.") from error


def map_host(host: str) -> str:
    """Return the host name in ASCII: UTS 46 mapping, then IDNA 2008.

    The mapping comes before any judging: circled and full-width digits and the ideographic dot spell addresses too.

    Raises:
        InvalidCallBackURL: it is no host name.
    """
    try:
        mapped = idna.uts46_remap(host, std3_rules=True)
        ascii_host = mapped if mapped.isascii() else idna.encode(mapped).decode("ascii")
    except idna.IDNAError as error:
        raise InvalidCallBackURL(f"{host} is no host name.") from error
    if len(ascii_host) > 253 or not all(LABEL.match(label) for label in ascii_host.split(".")):
        raise InvalidCallBackURL(f"{host} is no host name.")
    return ascii_host
