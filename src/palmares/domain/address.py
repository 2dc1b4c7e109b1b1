"""Which network addresses belong to the public internet.

The table lists what is special, from the registries of special-purpose addresses, and what clouds put behind
addresses that look public. Whatever is not known to be public is private.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

_SPECIAL_4 = [
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # between a provider and its customers; some clouds tell secrets there
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # the host of a virtual machine in Azure
        "169.254.0.0/16",  # link-local; most clouds tell secrets there
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; one cloud tells secrets there
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays from IPv6
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # measurements
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
]
_GLOBAL_6 = IPv6Network("2000::/3")
_SPECIAL_6 = [
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, some of which hold an IPv4 address
        "2001:db8::/32",  # documentation
        "2002::/16",  # holds an IPv4 address
        "3fff::/20",  # documentation
    )
]
# What a gateway between the two internets makes of a public IPv4 address.
_TRANSLATED = IPv6Network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet."""
    if isinstance(address, IPv6Address):
        if address in _TRANSLATED:
            return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        return address in _GLOBAL_6 and not any(address in network for network in _SPECIAL_6)
    return not any(address in network for network in _SPECIAL_4)


def parse_address(text: str) -> Address | None:
    """The address that a text is, without a zone such as `%eth0`; None when it is a name."""
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None
