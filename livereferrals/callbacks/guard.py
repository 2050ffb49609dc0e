"""The address guard: which hosts, ports and addresses a callback may go to (callbacks, section 7). Pure; no look-ups.

rules = Rules.of(allow=("127.0.0.0/8:9000",), block=(), ports=(443,))
check_authority("https", "partner.example", rules=rules)      # Origin, or InvalidCallBackURL
may_connect("10.0.0.7", 443, rules=rules, host="partner.example")   # False
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext, gettext_noop

from livereferrals.callbacks import hosts
from livereferrals.callbacks.openings import Rules
from livereferrals.exceptions import InvalidCallBackURL

if TYPE_CHECKING:
    from livereferrals.callbacks.openings import Address, Network

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
DEFAULT_PORTS: Final = {"https": 443, "http": 80}
JUDGED: Final = 4096
"""Judgements that are kept: they depend on the settings and nothing else."""
REFUSED_ADDRESS: Final = gettext_noop("refused: private address")
"""All that anybody is told: inner networks cannot be mapped by reading error messages."""
RESERVED_NAME: Final = gettext_noop("refused: reserved name")
"""Which everybody can read in RFC 6761: it tells nothing of this network."""


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


@lru_cache(maxsize=JUDGED)
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
    # `::` and `::1` lie in the network of the compatible ones and are none (RFC 4291, 2.5).
    if int(address) > 1 and any(address in network for network in CARRIERS):
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [one for one in found if one is not None]


def check_authority(scheme: str, authority: str, *, rules: Rules, plain_http: bool = False) -> Origin:
    """Return where a URL with this scheme and authority leads.

    Raises:
        InvalidCallBackURL: scheme, host form, port or literal address are refused.
    """
    if scheme != "https" and not (scheme == "http" and plain_http):
        raise InvalidCallBackURL(
            gettext("The address must begin with https://; plain HTTP is allowed to few."),
            hint=_how_to_allow_plain_http() if scheme == "http" else "",
        )
    host, port = hosts.split(authority, default=DEFAULT_PORTS[scheme])
    address: Address | None = hosts.literal(host)
    name = str(address) if address is not None else hosts.map_host(host)
    if address is None:
        address = hosts.quad(name)
    origin = Origin(scheme=scheme, host=name, port=port, address=address)
    _refuse_host(origin, rules=rules)
    return origin


def _refuse_host(origin: Origin, *, rules: Rules) -> None:
    host, port = origin.host, origin.port
    opened = rules.opens_name(host, port)
    if origin.address is not None:
        opened = rules.opens_address(origin.address, port)
        if not may_connect(host, port, rules=rules, host=host):
            raise _refused(REFUSED_ADDRESS, origin, rules=rules)
    elif rules.blocks(host, port) or (not opened and hosts.is_private_name(host)):
        raise _refused(RESERVED_NAME if hosts.is_reserved_name(host) else REFUSED_ADDRESS, origin, rules=rules)
    if port not in rules.ports and not opened:
        known = ", ".join(map(str, rules.ports))
        raise InvalidCallBackURL(
            gettext("Port %(port)s cannot be called; use one of %(known)s.") % {"port": port, "known": known},
            hint=_how_to_open(origin),
        )


def _refused(cause: str, origin: Origin, *, rules: Rules) -> InvalidCallBackURL:
    message = gettext("This host cannot be called (%(cause)s).") % {"cause": gettext(cause)}
    return InvalidCallBackURL(message, hint="" if _is_never_meant(origin, rules=rules) else _how_to_open(origin))


def _is_never_meant(origin: Origin, *, rules: Rules) -> bool:
    """Whether nobody should open it: what `BLOCK` names, a name that never leads anywhere, metadata services of clouds."""
    address = origin.address
    if address is None:
        return rules.blocks(origin.host, origin.port) or origin.host.rpartition(".")[2] == "invalid"
    is_metadata = any(address.version == never.version and address in never for never in NEVER_BY_NAME)
    return is_metadata or not _would_open(origin) or rules.blocks_address(address, origin.port)


def _would_open(origin: Origin) -> bool:
    """Whether an entry with this address opens it: not where it carries another one."""
    rules = Rules.of(allow=(_entry(origin),), block=(), ports=())
    return may_connect(origin.host, origin.port, rules=rules, host=origin.host)


def _entry(origin: Origin) -> str:
    host = f"[{origin.host}]" if isinstance(origin.address, IPv6Address) else origin.host
    return f"{host}:{origin.port}"


def _how_to_open(origin: Origin) -> str:
    """Return what staff may hand to a developer; it says nothing that was not typed."""
    setting = f'LIVEREFERRALS["CALLBACKS"]["ALLOW"] = ["{_entry(origin)}"]'
    return gettext("If you trust this server, a developer can allow it in the settings: %(setting)s") % {
        "setting": setting
    }


def _how_to_allow_plain_http() -> str:
    return gettext(
        "For a test server, somebody with the permission “Can allow callbacks over plain HTTP” ticks “Allow plain HTTP” "
        "on the subscription's own page, under “Limits”."
    )
