"""Addresses that are refused: which networks, and until when.

In: records of the registry. Out: a yes or no for an address, at the cost of a look-up for each prefix length in use.
"""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from headwater.registry import Block

Network = IPv4Network | IPv6Network


class Blocks:
    """Networks by the length of their prefix."""

    def __init__(self) -> None:
        self._until: dict[Network, int] = {}
        self._lengths: dict[tuple[int, int], int] = {}  # (IP version, prefix length) → how many

    def put(self, block: Block) -> None:
        """Take what it says; a removed one is forgotten."""
        network = ip_network(block.name)
        kind = (network.version, network.prefixlen)
        if self._until.pop(network, None) is not None:
            self._lengths[kind] -= 1
            if not self._lengths[kind]:
                del self._lengths[kind]
        if not block.removed:
            self._until[network] = block.until
            self._lengths[kind] = self._lengths.get(kind, 0) + 1

    def has(self, address: str, when: int) -> bool:
        """True if it is in one of them at this time (microseconds UTC). What is no address is in none."""
        if not self._until:
            return False
        try:
            found = ip_address(address)
        except ValueError:
            return False
        found = getattr(found, "ipv4_mapped", None) or found
        for version, length in self._lengths:
            if version == found.version:
                until = self._until.get(ip_network((found, length), strict=False))
                if until is not None and (until == 0 or when < until):
                    return True
        return False
