"""What the host project's settings `ALLOW`, `BLOCK` and `PORTS` open and close (callbacks, section 7). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import TypeAlias

from livereferrals.callbacks.hosts import LABEL, MAX_PORT, NUMERIC

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

ENTRY_IN_BRACKETS = re.compile(r"\[([^\]]+)\](?::([0-9]+|\*))?\Z", re.ASCII)
ENTRY_WITH_PORT = re.compile(r"([^:]+):([0-9]+|\*)\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Opening:
    """One entry of `ALLOW` or `BLOCK`: a network, a name or all names below a suffix, and at which ports.

    `10.1.2.0/24` means the ports of `PORTS`, `10.1.2.0/24:9000` that port alone, `10.1.2.0/24:*` any. An entry that
    opened every port because none was typed would open databases and caches besides the server that was meant.
    """

    network: Network | None
    name: str
    port: int | None
    """`None` for those of `PORTS`, or for any."""
    has_any_port: bool = False

    @classmethod
    def parse(cls, text: str) -> Opening:
        """Return the entry that the text spells.

        Raises:
            ValueError: it is no network and no host name.
        """
        found = ENTRY_IN_BRACKETS.match(text) or ENTRY_WITH_PORT.match(text)
        place, port = (found[1], found[2]) if found else (text, None)
        number = int(port) if port and port != "*" else None
        if number is not None and not 0 < number <= MAX_PORT:
            raise ValueError(f"{text!r}: ports are 1 to {MAX_PORT}")
        try:
            return cls(ip_network(place, strict=False), "", number, port == "*")
        except ValueError:
            name = place.lower()
            if NUMERIC.match(name.rpartition(".")[2]) or not all(map(LABEL.match, name.removeprefix("*.").split("."))):
                raise ValueError(f"{text!r} is no network, host name or *.suffix, with or without :port") from None
            return cls(None, name, number, port == "*")

    def names(self, host: str) -> bool:
        """Whether the entry names this host."""
        if self.network is not None:
            return False
        return host.endswith(self.name[1:]) if self.name.startswith("*.") else host == self.name

    def holds(self, address: Address) -> bool:
        """Whether the entry's network holds this address."""
        if self.network is None:
            return False
        return address.version == self.network.version and address in self.network

    def opens_port(self, port: int, *, usual: tuple[int, ...]) -> bool:
        """Whether an entry of `ALLOW` opens this port; `usual` are those of `PORTS`."""
        return self.has_any_port or (port in usual if self.port is None else port == self.port)

    def blocks_port(self, port: int) -> bool:
        """Whether an entry of `BLOCK` closes this port; without one it closes all."""
        return self.port in (None, port)


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """What the host project's settings allow and block beyond the built-in lists.

    One object for each spelling of the settings, so that it is told from another by what it is: judgements are kept
    under it, and to compare all its entries would take longer than most of them.
    """

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
        return any(entry.names(host) and entry.opens_port(port, usual=self.ports) for entry in self.allow)

    def opens_address(self, address: Address, port: int) -> bool:
        """Whether `ALLOW` has a network with the address."""
        return any(entry.holds(address) and entry.opens_port(port, usual=self.ports) for entry in self.allow)

    def blocks(self, host: str, port: int) -> bool:
        """Whether `BLOCK` names the host."""
        return any(entry.names(host) and entry.blocks_port(port) for entry in self.block)

    def blocks_address(self, address: Address, port: int) -> bool:
        """Whether `BLOCK` has a network with the address."""
        return any(entry.holds(address) and entry.blocks_port(port) for entry in self.block)
