"""One thing that was looked at, how much it matters, and the kinds that there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from lanekeeper.domain.hostplan.survey import Survey

PAGE = "docs/reference/findings.md"
"""Where each kind has a section of its own; made by ``scripts/findings_reference.py``."""


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
        consequence: why it matters; empty when nothing is wrong.
        fix: a command or a policy line; empty when nothing is wrong.
        docs: the page that says more.
    """

    id: str
    severity: Severity
    subject: str
    summary: str
    evidence: str
    consequence: str = ""
    fix: str = ""
    docs: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """A finding that the doctor knows.

    Attributes:
        meaning: what it says of a host, for the reference.
        consequence: why that matters; empty when it is well.
        fix: what mends it, where a finding has nothing more exact to say.
    """

    id: str
    severity: Severity
    meaning: str
    consequence: str = ""
    fix: str = ""

    def found(
        self,
        subject: str,
        summary: str,
        evidence: str,
        fix: str | None = None,
        severity: Severity | None = None,
    ) -> Finding:
        """Say it of *subject*. A *severity* other than the kind's is for what softens it."""
        return Finding(
            id=self.id,
            severity=severity or self.severity,
            subject=subject,
            summary=summary,
            evidence=evidence,
            consequence=self.consequence,
            fix=self.fix if fix is None else fix,
            docs=f"{PAGE}#{self.id}",
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """One question about a host, and the kinds of finding that may answer it."""

    look: Callable[[Survey], Iterator[Finding]]
    kinds: tuple[Kind, ...]


def worst(findings: tuple[Finding, ...]) -> Severity:
    """Return the gravest severity; ``ok`` for no findings."""
    order = list(Severity)
    return max((finding.severity for finding in findings), key=order.index, default=Severity.OK)
