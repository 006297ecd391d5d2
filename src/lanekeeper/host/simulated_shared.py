"""Many simulated machines that are alike: one directory for all, until something is done to one.

A fleet's hosts are captured machines over and over, and most of them are at rest. So a machine
reads the pattern, whose every answer is kept, and is planted only when it is first written to.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from threading import Lock

from lanekeeper.domain.hostplan.observed import NumaNode
from lanekeeper.domain.network.uplink import Uplink
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.domain.pci.health import Reading
from lanekeeper.domain.pci.interface import HostInterface
from lanekeeper.domain.pci.vf_change import VfChange
from lanekeeper.domain.pci.vf_settings import VfSettings
from lanekeeper.host.scan import Scan
from lanekeeper.host.simulated import SimulatedMachine, plant_lab
from lanekeeper.host.simulated_mac import own_mac, own_macs
from lanekeeper.host.tree import plant


def planted(home: Path, tree: str | None, host_name: str | None = None) -> Path:
    """Plant a machine once; half a tree, from a process that was killed, is planted anew.

    *tree* is a captured machine's text; None is the lab's host after its policy. It has the MACs of
    *host_name*; None leaves those that it was captured with.

    Raises:
        Invalid: it is no captured machine.
    """
    if not home.exists():
        fresh = home.with_name(f"{home.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        if tree is None:
            plant_lab(fresh)
        else:
            plant(tree, fresh)
        if host_name is not None:
            own_macs(fresh, host_name)
        fresh.rename(home)
    return home


class Pattern(SimulatedMachine):
    """What machines are like; nobody writes to *root*, so each thing is read once."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._scan = cache(super().scan)
        self._nodes_read = cache(super().nodes)
        self._health = cache(super().health)
        self._management = cache(super().management)

    def scan(self) -> Scan:
        return self._scan()

    def nodes(self) -> tuple[NumaNode, ...]:
        return self._nodes_read()

    def management(self) -> frozenset[str]:
        return self._management()

    def health(self, device: PciDevice) -> Reading:
        return self._health(device)


class SharedMachine:
    """See ``host.machine.Machine``: *pattern*, or what became of it, then in *home*.

    Its MACs are those of *host_name*.
    """

    def __init__(self, pattern: Pattern, home: Path, host_name: str) -> None:
        self._pattern = pattern
        self._host_name = host_name
        self._home = home
        self._lock = Lock()
        self._own = SimulatedMachine(home) if home.exists() else None

    @property
    def is_shared(self) -> bool:
        """Whether nothing was ever done to it."""
        return self._own is None

    @property
    def now(self) -> SimulatedMachine:
        """The machine to read."""
        return self._own or self._pattern

    def own(self) -> SimulatedMachine:
        """The machine to write to; planted where it was not."""
        with self._lock:
            if self._own is None:
                fresh = self._home.with_name(f"{self._home.name}.new")
                shutil.rmtree(fresh, ignore_errors=True)
                shutil.copytree(self._pattern.root, fresh, symlinks=True)
                own_macs(fresh, self._host_name)
                fresh.rename(self._home)
                self._own = SimulatedMachine(self._home)
            return self._own

    def management(self) -> frozenset[str]:
        return self.now.management()

    def scan(self) -> Scan:
        if self._own is not None:
            return self._own.scan()
        found = self._pattern.scan()
        return replace(found, devices=tuple(map(self._as_own, found.devices)))

    def device(self, address: PciAddress) -> PciDevice:
        if self._own is not None:
            return self._own.device(address)
        return self._as_own(self._pattern.device(address))

    def _as_own(self, device: PciDevice) -> PciDevice:
        """What the pattern has, as this host has it."""
        if device.mac is None:
            return device
        return replace(device, mac=own_mac(self._host_name, device.mac))

    def health(self, device: PciDevice) -> Reading:
        return self.now.health(device)

    def vf_settings(self, pf: PciAddress, index: int) -> VfSettings:
        return self.now.vf_settings(pf, index)

    def all_vf_settings(self, pf: PciAddress) -> dict[int, VfSettings]:
        return self.now.all_vf_settings(pf)

    def write_vf_settings(self, pf: PciAddress, index: int, change: VfChange) -> tuple[str, ...]:
        return self.own().write_vf_settings(pf, index, change)

    def bind(self, address: PciAddress, driver: str | None) -> None:
        self.own().bind(address, driver)

    def reset(self, address: PciAddress) -> None:
        self.own().reset(address)

    def iommu_group(self, address: PciAddress) -> tuple[PciAddress, ...]:
        return self.now.iommu_group(address)

    def blockers(self, address: PciAddress) -> tuple[PciAddress, ...]:
        return self.now.blockers(address)

    def nodes(self) -> tuple[NumaNode, ...]:
        return self.now.nodes()

    def vf_addresses(self, pf: PciAddress) -> dict[int, PciAddress]:
        return self.now.vf_addresses(pf)

    def create_vfs(self, pf: PciAddress, count: int) -> None:
        self.own().create_vfs(pf, count)

    def set_autoprobe(self, pf: PciAddress, enabled: bool) -> None:
        self.own().set_autoprobe(pf, enabled)

    def set_link(self, pf: PciAddress, up: bool) -> None:
        self.own().set_link(pf, up)

    def host_driver(self, device: PciDevice) -> str | None:
        return self.now.host_driver(device)

    def uplink(self, pf: PciAddress) -> Uplink:
        return self.now.uplink(pf)

    def interface(self, address: PciAddress) -> HostInterface:
        return self.now.interface(address)

    def set_interface(self, address: PciAddress, mac: str, mtu: int) -> None:
        self.own().set_interface(address, mac, mtu)

    def keep_huge_pages(self, node: int, size_kib: int, pages: int) -> None:
        self.own().keep_huge_pages(node, size_kib, pages)

    def bridges(self, names: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        return self.now.bridges(names)

    def cards_below(self, interfaces: Collection[str]) -> tuple[PciAddress, ...]:
        return self.now.cards_below(interfaces)

    def fdb(self, pf: PciAddress) -> frozenset[str]:
        return self.now.fdb(pf)

    def fdb_add(self, pf: PciAddress, mac: str) -> None:
        self.own().fdb_add(pf, mac)

    def fdb_remove(self, pf: PciAddress, mac: str) -> None:
        self.own().fdb_remove(pf, mac)
