"""Failover pairs of running guests: which VFs have to be away, and which cards carry meanwhile.

A guest's kernel sends by the card that stands by as soon as its VF has no link, and takes nothing
from that card as long as it has the VF. So a VF whose uplink is down is taken out of the guest, and
given back when that is up again.

Source: Linux ``drivers/net/net_failover.c``, net_failover_handle_frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lanekeeper.domain.errors import HostFault, NotFound
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host.machine import Machine
from lanekeeper.hypervisor.driver import Guest, Inventory
from lanekeeper.protocol import Desired, NicWanted


@dataclass(frozen=True, slots=True)
class Pair:
    """The VF of a pair, of whose guest it is, and the PF that it hangs on."""

    server_id: str
    nic: NicWanted
    address: PciAddress
    pf: PciAddress


def pairs_of(machine: Machine, desired: Desired) -> tuple[Pair, ...]:
    """List the pairs whose VFs are there."""
    return tuple(_pairs(machine, desired))


def _pairs(machine: Machine, desired: Desired) -> Iterator[Pair]:
    for server in desired.servers:
        for nic in server.nics:
            if not nic.failover:
                continue
            address = PciAddress.parse(nic.device.address)
            try:
                parent = machine.device(address).parent
            except (NotFound, HostFault):
                continue
            if parent is not None:
                yield Pair(server.id, nic, address, parent)


def has_left(nic: NicWanted, guest: Guest) -> bool:
    """Whether a guest has of a pair the card alone that stands by."""
    held = {one.address for one in guest.devices}
    return (
        nic.failover
        and nic.port_id in guest.taps
        and PciAddress.parse(nic.device.address) not in held
    )


def carrying(desired: Desired, inventory: Inventory) -> frozenset[str]:
    """Ports whose card that stands by carries, since their VF is away."""
    return frozenset(
        nic.port_id
        for server in desired.servers
        if (guest := inventory.guest(server.id)) is not None and guest.is_active
        for nic in server.nics
        if has_left(nic, guest)
    )


def said_of(pairs: tuple[Pair, ...], down: Mapping[PciAddress, str]) -> tuple[str, ...]:
    """Say of each pair whose uplink is down what carries it."""
    return tuple(
        f"port {pair.nic.port_id} of server {pair.server_id} has to do with the card that stands "
        f"by: of {pair.pf}, whose VF {pair.address} it has, {down[pair.pf]}"
        for pair in pairs
        if pair.pf in down
    )
