"""This machine: PCI bus, VF settings and drivers, as one ``Machine``."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from lanekeeper.domain.errors import HostFault, Invalid, NotFound
from lanekeeper.domain.hostplan.observed import NumaNode
from lanekeeper.domain.network.uplink import Uplink
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceType, PciDevice
from lanekeeper.domain.pci.health import Reading
from lanekeeper.domain.pci.interface import HostInterface
from lanekeeper.domain.pci.vf_change import VfChange
from lanekeeper.domain.pci.vf_settings import VfSettings
from lanekeeper.host.attribute import Write, read_text, write_text
from lanekeeper.host.fdb import Fdb
from lanekeeper.host.health import read_health
from lanekeeper.host.host_driver import HostDrivers
from lanekeeper.host.interfaces import read_interface, with_lower
from lanekeeper.host.netlink import VfLinks
from lanekeeper.host.offload import may_ask_ovs, read_bridges
from lanekeeper.host.scan import Scan
from lanekeeper.host.sysfs import PciSysfs
from lanekeeper.host.topology import read_nodes
from lanekeeper.host.uplink import read_uplink
from lanekeeper.host.vfio import Vfio

_VLAN_MAX = 4094  # IEEE 802.1Q reserves 4095; igb takes it all the same


class LinuxMachine:
    """The kernel that this process runs on. See ``host.machine.Machine`` for each method."""

    def __init__(
        self,
        root: Path = Path("/"),
        *,
        write: Write = write_text,
        links: VfLinks | None = None,
        fdb: Fdb | None = None,
    ) -> None:
        self._root = root
        self._nodes = root / "sys/devices/system/node"
        self._write = write
        self.pci = PciSysfs(root, write)
        self.vfio = Vfio(root, write)
        self.links = links or VfLinks()
        self._fdb = fdb or Fdb()
        self._host_drivers = HostDrivers(root)

    def scan(self) -> Scan:
        return self.pci.scan()

    def device(self, address: PciAddress) -> PciDevice:
        return self.pci.device(address)

    def health(self, device: PciDevice) -> Reading:
        return read_health(self._root, device)

    def vf_settings(self, pf: PciAddress, index: int) -> VfSettings:
        found = self.all_vf_settings(pf)
        if index not in found:
            raise NotFound(f"{pf} has no VF {index}; it has {len(found)}")
        return found[index]

    def all_vf_settings(self, pf: PciAddress) -> dict[int, VfSettings]:
        return self.links.read(*self._link(pf))

    def write_vf_settings(self, pf: PciAddress, index: int, change: VfChange) -> tuple[str, ...]:
        if change.vlan is not None and not 0 <= change.vlan <= _VLAN_MAX:
            raise Invalid(f"VLAN {change.vlan} is not in 0 to {_VLAN_MAX}")
        if index not in self.pci.vf_addresses(pf):
            raise NotFound(f"{pf} has no VF {index}")
        return self.links.write(*self._link(pf), index, change)

    def bind(self, address: PciAddress, driver: str | None) -> None:
        self.vfio.bind(address, driver)

    def reset(self, address: PciAddress) -> None:
        self.pci.reset(address)

    def iommu_group(self, address: PciAddress) -> tuple[PciAddress, ...]:
        return self.vfio.group(address)

    def blockers(self, address: PciAddress) -> tuple[PciAddress, ...]:
        return self.vfio.blockers(address)

    def nodes(self) -> tuple[NumaNode, ...]:
        return read_nodes(self._root)

    def vf_addresses(self, pf: PciAddress) -> dict[int, PciAddress]:
        return self.pci.vf_addresses(pf)

    def create_vfs(self, pf: PciAddress, count: int) -> None:
        self.pci.create_vfs(pf, count)

    def set_autoprobe(self, pf: PciAddress, enabled: bool) -> None:
        self.pci.set_autoprobe(pf, enabled)

    def set_link(self, pf: PciAddress, up: bool) -> None:
        self.links.set_up(*self._link(pf), up)

    def uplink(self, pf: PciAddress) -> Uplink:
        return read_uplink(self._root, self.pci.interface(pf)[0])

    def host_driver(self, device: PciDevice) -> str | None:
        return self._host_drivers.of(device)

    def interface(self, address: PciAddress) -> HostInterface:
        name, index = self.pci.interface(address)
        return read_interface(self._root, name, index)

    def set_interface(self, address: PciAddress, mac: str, mtu: int) -> None:
        name, index = self.pci.interface(address)
        label = f"{address} ({name})"
        self.links.set_address(index, label, mac, mtu)
        silence = str(self._root / "proc/sys/net/ipv6/conf" / name / "disable_ipv6")
        if os.path.lexists(silence):
            self._write(silence, "1\n")
        self.links.set_up(index, label, True)

    def bridges(self, names: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        if not may_ask_ovs(self._root):
            raise HostFault("Open vSwitch does not run: its database has no socket")
        there = read_bridges(self._root)
        return {name: there[name] for name in names if name in there}

    def cards_below(self, interfaces: Collection[str]) -> tuple[PciAddress, ...]:
        base = self._root / "sys/class/net"
        carriers = {lower for name in interfaces for lower in with_lower(base, name)}
        return tuple(
            one.address
            for one in self.pci.scan().devices
            if one.dev_type is DeviceType.PF and one.netdev in carriers
        )

    def fdb(self, pf: PciAddress) -> frozenset[str]:
        return self._fdb.read(*self._link(pf))

    def fdb_add(self, pf: PciAddress, mac: str) -> None:
        self._fdb.add(*self._link(pf), mac)

    def fdb_remove(self, pf: PciAddress, mac: str) -> None:
        self._fdb.remove(*self._link(pf), mac)

    def keep_huge_pages(self, node: int, size_kib: int, pages: int) -> None:
        pool = self._nodes / f"node{node}/hugepages/hugepages-{size_kib}kB/nr_hugepages"
        self._write(str(pool), f"{pages}\n")
        kept = read_text(str(pool))
        if kept != str(pages):
            hint = (
                "memory is in pieces; ask at boot: kernel_arguments: [hugepagesz=1G, hugepages=8]"
            )
            raise HostFault(f"node {node} gave {kept} huge pages of {pages}", hint=hint)

    def _link(self, pf: PciAddress) -> tuple[int, str]:
        name, index = self.pci.interface(pf)
        return index, f"{pf} ({name})"
