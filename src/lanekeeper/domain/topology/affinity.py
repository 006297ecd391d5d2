"""How near a device has to be to a guest's CPUs, and how near it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from lanekeeper.domain.pci.alias import NumaPolicy


class Distance(IntEnum):
    """From a device to the guest's nodes, the nearest first."""

    LOCAL = 0
    UNKNOWN = 1
    SAME_SOCKET = 2
    REMOTE = 3


class RootPolicy(StrEnum):
    """Whether a server's devices have to share a PCIe root port, so that they reach each other
    without passing the CPU: a GPU and the network card that feeds it. Nova has no such policy.
    """

    ANY = "any"
    PREFERRED = "preferred"
    REQUIRED = "required"


_WITHIN = {
    NumaPolicy.REQUIRED: frozenset({Distance.LOCAL}),
    NumaPolicy.SOCKET: frozenset({Distance.LOCAL, Distance.SAME_SOCKET}),
    NumaPolicy.LEGACY: frozenset({Distance.LOCAL, Distance.UNKNOWN}),
    NumaPolicy.PREFERRED: frozenset(Distance),
}
"""What each policy lets pass. Source: nova ``pci/stats.py``, _filter_pools_for_numa_cells."""


@dataclass(frozen=True, slots=True)
class Locality:
    """Where a guest is on a host.

    Attributes:
        nodes: the host's NUMA nodes that the guest's cells are on; None for a guest without a NUMA
            topology, whose CPUs are everywhere, so that every device is local to it.
        sockets: the socket of each of the host's nodes; None where it is not known.
    """

    nodes: frozenset[int] | None = None
    sockets: Mapping[int, int | None] = field(default_factory=dict)

    def distance(self, node: int | None) -> Distance:
        """How far a device on *node* is; None and numbers below 0 are no node at all."""
        if self.nodes is None or node in self.nodes:
            return Distance.LOCAL
        if node is None or node < 0:
            return Distance.UNKNOWN
        if None not in self.sockets.values() and self.sockets.get(node) in {
            self.sockets[own] for own in self.nodes if own in self.sockets
        }:
            return Distance.SAME_SOCKET
        return Distance.REMOTE

    def allows(self, policy: NumaPolicy, node: int | None) -> bool:
        return self.distance(node) in _WITHIN[policy]


ANYWHERE = Locality()
