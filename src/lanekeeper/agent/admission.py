"""What a guest of this host may be given."""

from __future__ import annotations

from collections.abc import Sequence

from lanekeeper.agent.cleaning import check_identity
from lanekeeper.agent.macvtap import check_bare
from lanekeeper.agent.observe import View
from lanekeeper.domain.errors import Forbidden, HostFault, Unavailable
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.host.machine import Machine
from lanekeeper.protocol import DeviceWanted, TapWanted


def check_bridge(tap: TapWanted, view: View) -> None:
    """Pass a card whose bridge is this host's for guests. Raises Forbidden, Unavailable."""
    bridge = view.switching.bridges.get(tap.physical_network)
    if bridge is None and view.switching.silence:
        raise Unavailable(f"port {tap.port_id}: {view.switching.silence}")
    if bridge is None or bridge.name != tap.bridge:
        raise Forbidden(
            f"port {tap.port_id}: this host has no bridge {tap.bridge} on {tap.physical_network}",
            hint="[ovs] bridge_mappings of this host names the bridges that are for guests",
        )


def check_device(
    machine: Machine,
    device: PciDevice,
    wanted: DeviceWanted,
    view: View,
    own: Sequence[PciAddress],
    *,
    leaves: bool = True,
) -> None:
    """Pass a device that a guest may have.

    Args:
        machine: this host.
        device: what is there.
        wanted: what the controller believes is there.
        view: what may be touched here.
        own: functions that the guest has, or gets, with it.
        leaves: whether it goes into the guest; below a macvtap it stays with the host.

    Raises:
        Forbidden: it is not listed.
        HostFault: another device is there, something stands on it, or its IOMMU group hinders.
    """
    if not view.may_touch(device.address):
        raise Forbidden(
            f"{device.address} is not listed in device_spec of this host, so it is not touched"
        )
    check_identity(machine, device, wanted)
    check_bare(machine, device)
    if not leaves:
        return
    if device.iommu_group is None:
        raise HostFault(
            f"{device.address} is in no IOMMU group, so no guest can have it",
            hint="lanekeeper host check says how to switch the IOMMU on",
        )
    others = [one for one in machine.blockers(device.address) if one not in own]
    if others:
        raise HostFault(
            f"{device.address} shares IOMMU group {device.iommu_group} with "
            f"{', '.join(map(str, others))}, which the host itself uses"
        )
