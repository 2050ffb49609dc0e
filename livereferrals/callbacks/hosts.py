"""Forms of a host in a URL: one reading, whatever resolver reads it (callbacks, section 7). Pure."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Final

import idna
from django.utils.translation import gettext

from livereferrals.exceptions import InvalidCallBackURL

PRIVATE_NAMES: Final = ("localhost", "local", "internal", "home.arpa", "onion", "invalid", "test")
RESERVED_NAMES: Final = ("invalid", "onion", "test")
LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z", re.ASCII)
NUMERIC = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z", re.ASCII)
MAX_PORT: Final = 65_535


def is_private_name(host: str) -> bool:
    """Whether the name is never a public one: a single label, or below a suffix that is kept for private use."""
    return "." not in host or any(host == name or host.endswith(f".{name}") for name in PRIVATE_NAMES)


def is_reserved_name(host: str) -> bool:
    """Whether the name leads to no server of anybody's by a standard (RFC 6761, RFC 7686)."""
    return host.rpartition(".")[2] in RESERVED_NAMES


def split(authority: str, *, default: int) -> tuple[str, int]:
    """Return host and port of an authority.

    Raises:
        InvalidCallBackURL: it has another form, user name and password included.
    """
    found = re.match(r"(\[[^\]]*\]|[^:]*)(?::([0-9]{1,5}))?\Z", authority, re.ASCII)
    if found is None or (found[2] is not None and not 0 < int(found[2]) <= MAX_PORT):
        raise InvalidCallBackURL(gettext("Host and port look like partner.example or partner.example:8443."))
    return found[1], int(found[2] or default)


def literal(host: str) -> IPv6Address | None:
    """Return the address in brackets, if there is one.

    Raises:
        InvalidCallBackURL: there are brackets and no address, or one with a zone, which is another one on each machine.
    """
    if not host.startswith("["):
        return None
    try:
        return IPv6Address(host[1:-1])
    except ValueError as error:
        raise InvalidCallBackURL(gettext("What stands in square brackets is no IPv6 address.")) from error


def quad(host: str) -> IPv4Address | None:
    """Return the dotted quad; a host whose last label is a number must be one, in its canonical form.

    `0x7f.1`, `0177.0.0.1`, `127.1` and `2130706433` mean different hosts to different resolvers.

    Raises:
        InvalidCallBackURL: it is a number in another form.
    """
    if not NUMERIC.match(host.rpartition(".")[2]):
        return None
    try:
        return IPv4Address(host)
    except ValueError as error:
        raise InvalidCallBackURL(gettext("A numeric host must be an address like 198.51.100.7.")) from error


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
        raise InvalidCallBackURL(gettext("%(host)s is no host name.") % {"host": host}) from error
    if len(ascii_host) > 253 or not all(LABEL.match(label) for label in ascii_host.split(".")):
        raise InvalidCallBackURL(gettext("%(host)s is no host name.") % {"host": host})
    return ascii_host
