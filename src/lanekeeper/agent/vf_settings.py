"""The settings that a port asks of its VF, and how they are compared with what is there.

MAC and VLAN of a starting guest are set by libvirt, from the domain's XML
(``hypervisor/libvirt/domain_xml.py``); spoof check, trust, link state and rates by the agent while
the guest is paused. All of them are read back before it runs, and looked after while it does.
"""

from __future__ import annotations

from dataclasses import replace

from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.vf_change import AT_REST, VfChange, differences, losses, narrowed
from lanekeeper.domain.pci.vf_settings import VfSettings
from lanekeeper.host.machine import Machine
from lanekeeper.protocol import NicWanted

_DISPENSABLE = frozenset({"link_state"})
"""The driver of the 82576 cannot set it; a guest without it works, one without the rest may not."""


def agents_share(nic: NicWanted) -> VfChange:
    """What the agent itself sets at a start; MAC and VLAN are libvirt's."""
    return replace(nic.settings(), mac=None, vlan=None)


def drift(nic: NicWanted, found: VfSettings, unsupported: frozenset[str]) -> tuple[str, ...]:
    """Name the settings that a running guest's VF has lost."""
    return losses(nic.settings(), found, unsupported)


def set_and_check(
    machine: Machine, address: PciAddress, nic: NicWanted, change: VfChange
) -> frozenset[str]:
    """Write *change*, then hold everything that the port asks against what is there.

    Returns the settings that the driver does not know and that the guest can do without.

    Raises:
        HostFault: a setting was refused, is not known, or did not take; it is named.
    """
    pf, index = vf_of(machine, address)
    unknown = write_missing(machine, pf, index, change)
    wanted, found = nic.settings(), machine.vf_settings(pf, index)
    missing = set(differences(wanted, found)) - (unknown & _DISPENSABLE)
    missing |= {name for name in unknown - _DISPENSABLE if not _is_at_rest(name, wanted)}
    if missing:
        raise HostFault(
            f"VF {index} of {pf} ({address}) does not take {', '.join(sorted(missing))}",
            hint=f"wanted {wanted}; found {found}",
        )
    return unknown


def write_missing(machine: Machine, pf: PciAddress, index: int, change: VfChange) -> frozenset[str]:
    """Write of *change* what is not there yet; returns what the driver does not know.

    Raises:
        HostFault: a setting was refused; it is named.
    """
    missing = narrowed(change, machine.vf_settings(pf, index))
    return frozenset(machine.write_vf_settings(pf, index, missing))


def vf_of(machine: Machine, address: PciAddress) -> tuple[PciAddress, int]:
    """Return PF and index of the VF at *address*. Raises NotFound; HostFault when it is no VF."""
    device = machine.device(address)
    if device.parent is None or device.vf_index is None:
        raise HostFault(f"{address} is not a VF, so it has no settings at a PF")
    return device.parent, device.vf_index


def _is_at_rest(name: str, wanted: VfChange) -> bool:
    """Whether a driver that does not know a setting does what is wanted anyway."""
    return name in ("trust", "rates") and getattr(wanted, name) == getattr(AT_REST, name)
