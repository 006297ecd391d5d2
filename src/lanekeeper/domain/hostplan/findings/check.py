"""What is ready on a host and what is not: every rule of the doctor, in one table.

A rule is a function from a survey to findings, and stands with its kinds of finding in the module
of its noun. A new finding is a kind and a rule there, and a tree in tests/host/doctor that shows
it where the healthy one does not.
"""

from __future__ import annotations

from lanekeeper.domain.hostplan.findings import (
    cpu,
    driver,
    group,
    interrupt,
    iommu,
    network,
    numa,
    offload,
    pcie,
    persistence,
    policy,
    sriov,
    version,
)
from lanekeeper.domain.hostplan.findings.finding import Finding, Kind, Rule
from lanekeeper.domain.hostplan.survey import Survey

CHAPTERS: dict[str, tuple[Rule, ...]] = {
    "Processor and firmware": cpu.RULES,
    "IOMMU": iommu.RULES,
    "Interrupts": interrupt.RULES,
    "SR-IOV": sriov.RULES,
    "IOMMU groups": group.RULES,
    "Drivers and modules": driver.RULES,
    "NUMA and memory": numa.RULES,
    "Network": network.RULES,
    "After a reboot": persistence.RULES,
    "PCI Express": pcie.RULES,
    "Offload and migration": offload.RULES,
    "Versions": version.RULES,
}
"""All rules, in the order in which findings of one severity stand."""

RULES: tuple[Rule, ...] = tuple(rule for rules in CHAPTERS.values() for rule in rules)

KINDS: tuple[Kind, ...] = (*(kind for rule in RULES for kind in rule.kinds), *policy.KINDS)


def check(survey: Survey) -> tuple[Finding, ...]:
    """Apply every rule; findings stand in the order of the rules."""
    return tuple(finding for rule in RULES for finding in rule.look(survey))
