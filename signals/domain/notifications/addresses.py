"""Which addresses a message may be sent to: public ones, and those that the operator allows.

Sources: https://www.iana.org/assignments/iana-ipv4-special-registry,
https://www.iana.org/assignments/iana-ipv6-special-registry
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, Self

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LINK_LOCAL: Final[tuple[Network, ...]] = (ip_network("169.254.0.0/16"), ip_network("fe80::/10"))
"""Metadata of cloud machines is served here: only an entry within these networks allows them."""

# Python calls these global, or does so in some versions: they lead to another address, or nowhere.
NEVER_PUBLIC: Final[tuple[Network, ...]] = (
    ip_network("192.88.99.0/24"),  # RFC 7526: the withdrawn anycast of 6to4
    ip_network("::/96"),  # RFC 4291: IPv4-compatible, withdrawn
    ip_network("64:ff9b::/96"),  # RFC 6052: NAT64
    ip_network("64:ff9b:1::/48"),  # RFC 8215: local NAT64
    ip_network("2002::/16"),  # RFC 3056: 6to4
    ip_network("2001::/32"),  # RFC 4380: Teredo
    ip_network("fec0::/10"),  # RFC 3879: site-local, withdrawn
    ip_network("3fff::/20"),  # RFC 9637: documentation
    ip_network("5f00::/16"),  # RFC 9602: segment routing
)


class InvalidAllowListError(ValueError):
    """An entry is neither a network nor a host name; the text quotes it and shows a good one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowList:
    """Addresses that may be reached though they are not public: networks, and hosts by name."""

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()

    @property
    def text(self) -> str:
        """The entries as `parse` reads them."""
        return ",".join([*(str(one) for one in self.networks), *sorted(self.hosts)])

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read networks (CIDR), addresses and host names, separated by commas.

        Raises:
            InvalidAllowListError: quoting the entry at fault.
        """
        networks, hosts = [], set()
        for entry in (part.strip().lower() for part in text.split(",")):
            if not entry:
                continue
            try:
                networks.append(ip_network(entry))
            except ValueError:
                if "/" in entry or ":" in entry or not any(letter.isalpha() for letter in entry):
                    raise InvalidAllowListError(
                        f"{entry!r} is neither a network like 10.20.0.0/16 nor a host name like ntfy.example"
                    ) from None
                hosts.add(entry)
        return cls(networks=tuple(networks), hosts=frozenset(hosts))

    def admits(self, host: str, address: Address) -> bool:
        """Whether an entry names this address, or this host; a wide network does not open link-local ones."""
        special = next((net for net in LINK_LOCAL if _within(address, net)), None)
        if special is not None:
            return any(
                _within(net.network_address, special) and _within(address, net) for net in self.networks
            )
        return host.lower() in self.hosts or any(_within(address, net) for net in self.networks)


def is_public(address: Address) -> bool:
    """Whether the address belongs to one host on the public Internet."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return False  # a public server has an address of its own kind
    if any(_within(address, net) for net in NEVER_PUBLIC):
        return False
    return address.is_global and not address.is_multicast


def unmapped(address: Address) -> Address:
    """Return the IPv4 address inside `::ffff:0:0/96`, any other address as it is."""
    return getattr(address, "ipv4_mapped", None) or address


def refusal(host: str, addresses: Iterable[Address], allowed: AllowList) -> str | None:
    """Return why a host must not be connected to, None when every answer for its name may be.

    One private answer among public ones refuses the host: the next look-up could put it first.
    """
    known = list(addresses)
    if not known:
        return "the host has no address"
    if all(allowed.admits(host, unmapped(one)) or is_public(one) for one in known):
        return None
    return (
        "the host's address is private, local or reserved; "
        "an operator can allow it with SIGNALS_NOTIFY_ALLOW (a network or host name)"
    )


def parse_address(text: str) -> Address:
    """Read an address as `getaddrinfo` returns it, a scope id left out."""
    return ip_address(text.partition("%")[0])


def _within(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network
