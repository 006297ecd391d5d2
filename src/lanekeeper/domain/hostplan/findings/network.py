"""Interfaces that carry the traffic of the host itself."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan.findings.finding import Finding, Rule, Severity
from lanekeeper.domain.hostplan.observed import HostFacts


def _management(host: HostFacts) -> Iterator[Finding]:
    for interface in host.interfaces:
        if interface.is_management:
            yield Finding(
                "management-nic",
                Severity.INFO,
                f"{interface.device} ({interface.name})",
                "carries the host's own traffic; no plan touches it unless told",
                f"{interface.name}: {', '.join(interface.carries)}",
            )


RULES: tuple[Rule, ...] = (_management,)
