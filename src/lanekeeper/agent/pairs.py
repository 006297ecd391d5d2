"""Failover pairs of running guests: which VFs have to be away, and which cards carry meanwhile.

A guest's kernel sends by the card that stands by as soon as its VF has no link, and takes nothing
from that card as long as it has the VF. So a VF whose uplink is down is taken out of the guest, and
given back when that is up again.

Source: Linux ``drivers/net/net_failover.c``, net_failover_handle_frame.
"""

from __future__ import annotations

from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.hypervisor.driver import Guest, Inventory
from lanekeeper.protocol import Desired, NicWanted


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
