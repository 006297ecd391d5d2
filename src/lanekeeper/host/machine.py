"""One Linux machine as its agent and its hypervisor see it: what can be asked, what can be done.

Two things have this shape and are exchangeable: ``host.linux.LinuxMachine`` (the kernel) and
``host.simulated.SimulatedMachine`` (a planted tree that behaves like one). Every method returns
when the kernel is done; none of them retries.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from lanekeeper.domain.hostplan.observed import NumaNode
from lanekeeper.domain.network.uplink import Uplink
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.domain.pci.health import Reading
from lanekeeper.domain.pci.interface import HostInterface
from lanekeeper.domain.pci.vf_change import VfChange
from lanekeeper.domain.pci.vf_settings import VfSettings
from lanekeeper.host.scan import Scan


class Machine(Protocol):
    """What agent and hypervisor may ask of the host they run on."""

    def scan(self) -> Scan:
        """Read all functions. Raises HostFault only when the bus itself cannot be listed."""

    def device(self, address: PciAddress) -> PciDevice:
        """Read one function. Raises NotFound, HostFault."""

    def health(self, device: PciDevice) -> Reading:
        """Read how well a function is that is no VF. Raises HostFault."""

    def vf_settings(self, pf: PciAddress, index: int) -> VfSettings:
        """Read what the PF holds for VF *index*.

        One call costs a kernel answer that describes all VFs of the PF; who wants many asks
        ``all_vf_settings`` once.

        Raises:
            NotFound: no such PF, it has no network interface, or no such VF.
            HostFault: the kernel refused; the message names PF, VF and what was asked.
        """

    def all_vf_settings(self, pf: PciAddress) -> dict[int, VfSettings]:
        """Read the settings of every VF of *pf*, by index, in one question. Raises as above."""

    def write_vf_settings(self, pf: PciAddress, index: int, change: VfChange) -> tuple[str, ...]:
        """Write *change*, one setting after the other.

        Returns the names of settings that the driver does not know (82576: ``link_state``); all
        others were written. Read back to be sure: drivers accept and ignore.

        Raises:
            Invalid: a VLAN beyond 4094; nothing was written.
            NotFound: as for reading.
            HostFault: the kernel refused a setting; those before it, in the order of the fields
                of ``VfChange``, were written.
        """

    def bind(self, address: PciAddress, driver: str | None) -> None:
        """Give the function to *driver* and nobody else, or to none. Done already is done.

        Raises:
            NotFound: no such function.
            HostFault: the driver is not loaded, or refused the function; it has no driver then.
        """

    def reset(self, address: PciAddress) -> None:
        """Reset the function (FLR or what the kernel prefers). Raises NotFound, HostFault."""

    def iommu_group(self, address: PciAddress) -> tuple[PciAddress, ...]:
        """List all members of the function's IOMMU group in bus order; empty without one."""

    def blockers(self, address: PciAddress) -> tuple[PciAddress, ...]:
        """List members of its IOMMU group whose drivers keep a guest from having it.

        Empty means viable: every member is on a VFIO driver, a bridge's driver, or on none.
        """

    def nodes(self) -> tuple[NumaNode, ...]:
        """Read the NUMA nodes, by number. Raises HostFault."""

    def vf_addresses(self, pf: PciAddress) -> dict[int, PciAddress]:
        """Return where each VF of *pf* sits, by index. Raises HostFault."""

    def create_vfs(self, pf: PciAddress, count: int) -> None:
        """Make *pf* have exactly *count* VFs, or none; never n to m directly.

        Raises:
            NotFound: no such function.
            Invalid: *count* is above the PF's total.
            Conflict: it has another number of VFs now.
            HostFault: the driver refused, or made fewer.
        """

    def set_autoprobe(self, pf: PciAddress, enabled: bool) -> None:
        """Say whether drivers may take VFs of *pf* as they appear. Raises NotFound, HostFault."""

    def set_link(self, pf: PciAddress, up: bool) -> None:
        """Set the PF's interface up or down. Raises NotFound (no interface), HostFault."""

    def uplink(self, pf: PciAddress) -> Uplink:
        """Read the link of the PF's interface, and its place in a bond. Raises as ``interface``."""

    def host_driver(self, device: PciDevice) -> str | None:
        """Name the driver of the host's own that the function has, or that would take it.

        None where none is loaded. Raises HostFault.
        """

    def interface(self, address: PciAddress) -> HostInterface:
        """Read the function's interface. Raises NotFound (it has none), HostFault."""

    def set_interface(self, address: PciAddress, mac: str, mtu: int) -> None:
        """Give the function's interface a MAC and an MTU, and set it up.

        It is a guest's then: the host gets no IPv6 address of its own from the guest's network.

        Raises:
            NotFound: it has none.
            HostFault: the kernel refused; a VF whose PF holds another MAC than its driver knows
                takes none, until that driver has begun anew.
        """

    def bridges(self, names: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        """List those of *names* that are bridges of Open vSwitch, each with its ports.

        Raises:
            HostFault: it does not run, or gives no answer: nobody knows what there is.
        """

    def cards_below(self, interfaces: Collection[str]) -> tuple[PciAddress, ...]:
        """List the PFs that carry interfaces: their own, or those of a bond's or VLAN's members.

        Raises:
            HostFault: the bus cannot be listed.
        """

    def fdb(self, pf: PciAddress) -> frozenset[str]:
        """Return the addresses that the PF's card knows to be behind it. Raises as for VFs."""

    def fdb_add(self, pf: PciAddress, mac: str) -> None:
        """Tell the PF's card that *mac* is behind it; told already is done. Raises as for VFs."""

    def fdb_remove(self, pf: PciAddress, mac: str) -> None:
        """Tell the PF's card that *mac* is not; unknown is done. Raises as for VFs."""

    def keep_huge_pages(self, node: int, size_kib: int, pages: int) -> None:
        """Keep this many huge pages of one size on a NUMA node.

        Raises:
            HostFault: no such pool, or the kernel found fewer; it calls that success, and they
                are kept.
        """
