"""What the controller is told of a host that changes seldom."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Literal

from lanekeeper import __version__
from lanekeeper.agent.cells import cells, cpus_not_there, for_guests
from lanekeeper.agent.observe import View
from lanekeeper.domain.errors import HostFault, NotFound
from lanekeeper.domain.hostplan.observed import NumaNode
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceType, PciDevice
from lanekeeper.domain.pci.health import Reading
from lanekeeper.domain.pci.listing import Listed
from lanekeeper.hypervisor.driver import Capacity
from lanekeeper.protocol import (
    DeviceFact,
    DeviceHealth,
    EntryFact,
    HostFacts,
    HostHealth,
    PfFact,
)

_NETWORK = 0x02  # base class; PCI Code and ID Assignment Specification


def _none(_: PciDevice) -> None:
    """Nobody knows of drivers that are not bound."""


def facts(
    host_name: str,
    capacity: Capacity,
    view: View,
    nodes: Sequence[NumaNode] = (),
    host_driver: Callable[[PciDevice], str | None] = _none,
) -> HostFacts:
    """Say what the controller should know of this host.

    Its cells are the kernel's *nodes*; where those are not known, the hypervisor's. *host_driver*
    names the driver by which the host itself would have a function.
    """
    found = cells(nodes) if nodes else capacity.cells
    listed = [
        fact_of(
            one.device,
            one,
            view.slots,
            view.units.get(address),
            _as_interface(one.device, view, host_driver),
        )
        for address, one in view.listed.items()
    ]
    parents = [fact_of(device, None, view.slots) for device in view.parents.values()]
    return HostFacts(
        host_name=host_name,
        agent_version=__version__,
        hypervisor=capacity.hypervisor,
        hypervisor_version=capacity.version,
        architecture=capacity.architecture,
        vcpus=capacity.vcpus,
        memory_mib=capacity.memory_mib,
        disk_gib=capacity.disk_gib,
        cells=[for_guests(cell, view.policy.cpus) for cell in found],
        devices=sorted([*listed, *parents], key=lambda fact: PciAddress.parse(fact.address)),
        mappings={network: list(names) for network, names in sorted(view.mappings.items())},
        bridges={network: one.name for network, one in sorted(view.switching.bridges.items())},
        guards=view.policy.guards and bool(view.policy.bridges),
        pairs=capacity.pairs,
        bandwidths=list(view.policy.bandwidths),
        pfs=[_pf_fact(pf, view.slots) for pf in view.pfs],
        device_spec=[EntryFact(text=spec.text, source=spec.source) for spec in view.policy.specs],
        unlisted={
            str(one.address): f"{one.vendor_id:04x}:{one.product_id:04x}" for one in view.others
        },
        problems=[
            *view.problems,
            *cpus_not_there(found, view.policy.cpus),
            *_elsewhere(view.policy.hypervisors, host_name),
        ],
    )


def health(view: View, read: Callable[[PciDevice], Reading]) -> HostHealth:
    """Say how well the functions are that the controller is told of; a VF is as well as its PF."""
    told = []
    for device in (*(one.device for one in view.listed.values()), *view.parents.values()):
        if device.dev_type is not DeviceType.VF:
            with suppress(HostFault, NotFound):  # it went away, and is missed at the next look
                values = asdict(read(device))
                told.append(DeviceHealth(address=str(device.address), **values))
    return HostHealth(devices=sorted(told, key=lambda one: PciAddress.parse(one.address)))


def _as_interface(
    device: PciDevice, view: View, host_driver: Callable[[PciDevice], str | None]
) -> str | None:
    """The driver by which a VF can be an interface here while a guest has it.

    What is given away together cannot: its IOMMU group is for guests or for the host, whole.
    """
    is_card = device.dev_type is DeviceType.VF and device.class_code >> 16 == _NETWORK
    if not is_card or device.address in view.units:
        return None
    try:
        return host_driver(device)
    except HostFault:
        return None  # what cannot be read is not offered


def _pf_fact(pf: PciDevice, slots: Mapping[PciAddress, str]) -> PfFact:
    return PfFact(
        address=str(pf.address),
        vendor_id=f"{pf.vendor_id:04x}",
        product_id=f"{pf.product_id:04x}",
        vfs_max=pf.total_vfs,
        vfs=pf.num_vfs,
        class_code=pf.class_code,
        numa_node=pf.numa_node,
        pcie_root=pf.pcie_root,
        driver=pf.driver,
        netdev=pf.netdev,
        serial=pf.serial,
        slot=slots.get(pf.address),
    )


def fact_of(
    device: PciDevice,
    listed: Listed | None,
    slots: Mapping[PciAddress, str],
    unit: str | None = None,
    host_driver: str | None = None,
) -> DeviceFact:
    return DeviceFact(
        address=str(device.address),
        vendor_id=f"{device.vendor_id:04x}",
        product_id=f"{device.product_id:04x}",
        dev_type=_DEV_TYPES[device.dev_type],
        listed=listed is not None,
        entry=listed.entry if listed else None,
        tags=dict(listed.tags) if listed else {},
        parent=str(device.parent) if device.parent else None,
        vf_index=device.vf_index,
        numa_node=device.numa_node,
        pcie_root=device.pcie_root,
        iommu_group=device.iommu_group,
        driver=device.driver,
        netdev=device.netdev,
        mac=device.mac,
        serial=device.serial,
        slot=slots.get(device.address),
        unit=unit,
        host_driver=host_driver,
        label=f"pci_{str(device.address).translate(_NODE_NAME)}",
    )


_DEV_TYPES: dict[DeviceType, Literal["type-PCI", "type-PF", "type-VF"]] = {
    DeviceType.PCI: "type-PCI",
    DeviceType.PF: "type-PF",
    DeviceType.VF: "type-VF",
}
_NODE_NAME = str.maketrans(":.", "__")  # libvirt's name of the node device


def _elsewhere(hypervisors: Mapping[str, str], host_name: str) -> Iterator[str]:
    for interface, host in hypervisors.items():
        if host != host_name:
            yield (
                f"the bandwidth of {interface} is counted here, on {host_name}, and not on {host}, "
                "which [sriov_nic] resource_provider_hypervisors or "
                "resource_provider_default_hypervisor names"
            )
