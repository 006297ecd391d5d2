"""IOMMU groups: what can only be given away together."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan.findings.finding import Finding, Rule, Severity
from lanekeeper.domain.hostplan.observed import HostFacts


def _groups(host: HostFacts) -> Iterator[Finding]:
    """Tell when a PF or VF shares its IOMMU group with something else than bridges."""
    sriov = {str(d.address) for d in host.devices if d.parent or d.total_vfs}
    bridges = {str(d.address) for d in host.devices if d.class_code >> 8 == 0x0604}  # noqa: PLR2004
    shared = 0
    for number, members in sorted(host.iommu_groups.items()):
        others = set(members) - bridges
        if others & sriov and len(others) > 1:
            shared += 1
            yield Finding(
                "iommu-group-shared",
                Severity.WARNING,
                f"group {number}",
                "these can only be given away together",
                f"/sys/kernel/iommu_groups/{number}/devices has {', '.join(sorted(others))}",
                "use a slot whose root port has ACS; give all of them to one guest",
            )
    vfs = sum(1 for device in host.devices if device.parent)
    if vfs and host.iommu_groups and not shared:
        evidence = "/sys/kernel/iommu_groups/*/devices"
        summary = f"each of {vfs} VFs has an IOMMU group of its own"
        yield Finding("iommu-groups", Severity.OK, "host", summary, evidence)


RULES: tuple[Rule, ...] = (_groups,)
