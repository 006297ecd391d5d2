"""What is ready on a host and what is not: every rule of the doctor, in one table.

A rule is a function from a host to findings and stands in the module of its noun. A new finding
is a rule in that module's ``RULES``, an example in the tests that shows it, and one that does not.
"""

from __future__ import annotations

from lanekeeper.domain.hostplan.findings import (
    cpu,
    driver,
    group,
    iommu,
    network,
    numa,
    sriov,
)
from lanekeeper.domain.hostplan.findings.finding import Finding, Rule
from lanekeeper.domain.hostplan.observed import HostFacts

RULES: tuple[Rule, ...] = (
    *cpu.RULES,
    *iommu.RULES,
    *sriov.RULES,
    *group.RULES,
    *driver.RULES,
    *numa.RULES,
    *network.RULES,
)


def check(host: HostFacts) -> tuple[Finding, ...]:
    """Apply every rule; findings stand in the order of the rules."""
    return tuple(finding for rule in RULES for finding in rule(host))
