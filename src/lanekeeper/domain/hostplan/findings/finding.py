"""One thing that was looked at, and how much it matters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from lanekeeper.domain.hostplan.observed import HostFacts


class Severity(StrEnum):
    """How much a finding matters; devices cannot be given to guests while there is an error."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        id: stable, as ``iommu-off``; added, never changed.
        subject: what it is about: an address, a node, or ``host``.
        summary: one sentence.
        evidence: what was read, and where.
        fix: a command or a policy line; empty when nothing is wrong.
    """

    id: str
    severity: Severity
    subject: str
    summary: str
    evidence: str
    fix: str = ""


Rule = Callable[[HostFacts], Iterator[Finding]]


def worst(findings: tuple[Finding, ...]) -> Severity:
    """Return the gravest severity; ``ok`` for no findings."""
    order = list(Severity)
    return max((finding.severity for finding in findings), key=order.index, default=Severity.OK)
