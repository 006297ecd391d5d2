"""NUMA nodes, their memory and their huge pages."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan.findings.finding import Finding, Rule, Severity
from lanekeeper.domain.hostplan.observed import HostFacts


def _memory(host: HostFacts) -> Iterator[Finding]:
    for node in host.nodes:
        huge = [f"{total} of {size // 1024} MiB" for size, (total, _) in node.huge_pages.items()]
        present = [entry for entry in huge if not entry.startswith("0 ")]
        yield Finding(
            "numa-node",
            Severity.INFO,
            f"node {node.number}",
            f"{len(node.cpus)} CPUs, {node.memory_mib} MiB, huge pages: "
            f"{', '.join(present) or 'none'}",
            f"/sys/devices/system/node/node{node.number}",
        )


RULES: tuple[Rule, ...] = (_memory,)
