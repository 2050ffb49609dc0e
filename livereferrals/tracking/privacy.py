"""What is kept of a person: addresses are cut before anything else sees them."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ipaddress import IPv4Address

PREFIXES: Final = {4: 24, 6: 48}
"""How many bits of an address are kept (design, 6.12)."""
# Most addresses; `ipaddress` takes longer over them than all else takes that is kept of a request.
_OCTET: Final = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
IPV4: Final = re.compile(rf"((?:{_OCTET}\.){{3}}){_OCTET}\Z")
"""Four numbers without leading noughts, as `ipaddress` takes them."""


def kept_address(text: str | None, *, mode: str) -> str | None:
    """Return what may be kept of an address, `mode` being `truncate`, `full` or `none` (the setting `IP`).

    Text that is no address is kept as none: an unknown address is no reason to lose a hit (V-11, V-13).
    """
    if mode == "none" or not text:
        return None
    if mode == "truncate" and (network := IPV4.match(text)) is not None:
        return f"{network[1]}0"
    address = parse_address(text)
    if address is None or mode == "full":
        return None if address is None else str(address)
    dropped = address.max_prefixlen - PREFIXES[address.version]
    # A network of `ipaddress` takes three times as long to be made.
    return str(type(address)(int(address) >> dropped << dropped))


def client_address(remote: str, *, forwarded: str, trusted_proxies: int) -> str:
    """Return the address that the request comes from, as far as it can be believed (V-13).

    Each proxy adds the address that it was called from at the end of `X-Forwarded-For`. What stands before the entries of
    the host's own proxies can be written by anybody. A request with fewer entries has come past them.
    """
    entries = [entry.strip() for entry in forwarded.split(",")] if forwarded else []
    if not trusted_proxies or len(entries) < trusted_proxies:
        return remote
    return entries[-trusted_proxies]


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address that the text names, without port and zone; IPv4 in IPv6 form is IPv4."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
