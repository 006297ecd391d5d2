"""IOMMU groups: what can only be given away together, why, and whether it can be at all."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan.findings.finding import Finding, Kind, Rule, Severity
from lanekeeper.domain.hostplan.isolation import PCI_BRIDGE, holds_group
from lanekeeper.domain.hostplan.survey import Survey
from lanekeeper.domain.pci.driver import is_vfio

OWN = Kind("iommu-groups", Severity.OK, "Each VF has an IOMMU group of its own.")
SHARED = Kind(
    "iommu-group-shared",
    Severity.WARNING,
    "A PF or VF shares its IOMMU group with something else than bridges.",
    "Members of a group can reach each other past the IOMMU, so all of them go to one guest, or "
    "none does.",
    "use a slot whose root port has ACS; give all of them to one guest",
)
NOT_VIABLE = Kind(
    "iommu-group-not-viable",
    Severity.ERROR,
    "A group has a member for guests, and one that a driver of the host holds.",
    "VFIO refuses the whole group ('group is not viable'): the guest does not start.",
)
ACS_MISSING = Kind(
    "acs-missing",
    Severity.WARNING,
    "A bridge above a shared group has no Access Control Services.",
    "It may send traffic between devices below it without asking the IOMMU; the kernel therefore "
    "puts them all in one group.",
    "move the card to a slot below another root port, or give the whole group to one guest",
)
ACS_OFF = Kind(
    "acs-off",
    Severity.WARNING,
    "A bridge above a shared group has Access Control Services that are switched off.",
    "Devices below it share a group although the hardware could keep them apart.",
    "switch on ACS in the firmware; the kernel does it by itself when the IOMMU is on at boot",
)
ACS_OVERRIDE = Kind(
    "acs-override",
    Severity.WARNING,
    "pcie_acs_override makes the kernel believe in an isolation that is not there.",
    "Groups look separate; a guest's device may still reach its neighbour's memory. Kernels "
    "without that patch, all of kernel.org's among them, pass over the argument.",
    "take pcie_acs_override out; use a slot whose root port has ACS",
)
RESERVED = Kind(
    "iommu-group-reserved",
    Severity.ERROR,
    "The firmware keeps memory for a device of the group (RMRR).",
    "VFIO refuses it: 'Device is ineligible for IOMMU domain attach due to platform RMRR "
    "requirement'.",
    "exclude the slot from shared memory in the firmware (HPE: conrep or RBSU), or renew it",
)

# Linux include/uapi/linux/pci_regs.h: source validation, request and completion redirect,
# upstream forwarding; what the kernel asks of a bridge before it splits a group.
_ACS_NEEDED = 0x1D


def _groups(survey: Survey) -> Iterator[Finding]:
    """Tell when a PF or VF shares its IOMMU group with something else than bridges."""
    host = survey.host
    shared = list(_shared(survey))
    for number, others in shared:
        yield SHARED.found(
            f"group {number}",
            "these can only be given away together",
            f"/sys/kernel/iommu_groups/{number}/devices has {', '.join(sorted(others))}",
        )
        yield from _acs(survey, number, others)
    vfs = sum(1 for device in host.devices if device.parent)
    if vfs and host.iommu_groups and not shared:
        evidence = "/sys/kernel/iommu_groups/*/devices"
        yield OWN.found("host", f"each of {vfs} VFs has an IOMMU group of its own", evidence)


def _shared(survey: Survey) -> Iterator[tuple[int, set[str]]]:
    host = survey.host
    sriov = {str(d.address) for d in host.devices if d.parent or d.total_vfs}
    bridges = {str(d.address) for d in host.devices if d.class_code >> 8 == PCI_BRIDGE}
    for number, members in sorted(host.iommu_groups.items()):
        others = set(members) - bridges
        if others & sriov and len(others) > 1:
            yield number, others


def _acs(survey: Survey, number: int, members: set[str]) -> Iterator[Finding]:
    """Say which bridge above a shared group does not keep its members apart."""
    above = {
        address: None
        for device in survey.host.devices
        if str(device.address) in members
        for address in survey.of(device).above
    }
    for address in above:
        bridge = survey.bridges.get(address)
        if bridge is None or not bridge.acs_known:
            continue
        subject = f"{address} (above group {number})"
        source = f"/sys/bus/pci/devices/{address}/config"
        if bridge.acs is None:
            evidence = f"{source} has no ACS capability (0x000d)"
            yield ACS_MISSING.found(subject, "the bridge does not isolate what is below", evidence)
        elif bridge.acs & _ACS_NEEDED != _ACS_NEEDED:
            evidence = f"{source}: ACS control is {bridge.acs:#06x}"
            yield ACS_OFF.found(subject, "the bridge's isolation is switched off", evidence)


def _viable(survey: Survey) -> Iterator[Finding]:
    by_name = {str(device.address): device for device in survey.host.devices}
    for number, members in sorted(survey.host.iommu_groups.items()):
        present = [by_name[name] for name in members if name in by_name]
        if len(present) < 2 or not any(is_vfio(d.driver) for d in present):  # noqa: PLR2004  # alone
            continue
        holding = [device for device in present if holds_group(device)]
        if holding:
            drivers = ", ".join(f"{d.address} is on {d.driver}" for d in holding)
            yield NOT_VIABLE.found(
                f"group {number}",
                f"the host holds {len(holding)} of {len(present)} members",
                f"/sys/kernel/iommu_groups/{number}/devices: {drivers}",
                f"bind {', '.join(str(d.address) for d in holding)} to vfio-pci or to no driver",
            )


def _override(survey: Survey) -> Iterator[Finding]:
    for word in survey.host.cmdline:
        if word.startswith("pcie_acs_override"):
            evidence = f"/proc/cmdline has {word}"
            yield ACS_OVERRIDE.found("host", "groups are split by assertion", evidence)


def _reserved(survey: Survey) -> Iterator[Finding]:
    for number, line in sorted(survey.reserved.items()):
        members = ", ".join(survey.host.iommu_groups.get(number, ()))
        yield RESERVED.found(f"group {number}", f"{members} cannot be given away", str(line))


RULES: tuple[Rule, ...] = (
    Rule(_groups, (OWN, SHARED, ACS_MISSING, ACS_OFF)),
    Rule(_viable, (NOT_VIABLE,)),
    Rule(_override, (ACS_OVERRIDE,)),
    Rule(_reserved, (RESERVED,)),
)
