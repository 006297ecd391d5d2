"""What the doctor of configuration files says: findings, and the rules that they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lanekeeper.config.doctor.case import Case
from lanekeeper.config.doctor.source import Source
from lanekeeper.domain.hostplan.findings.finding import Severity

_SHOWN = 160


@dataclass(frozen=True, slots=True)
class Hit:
    """What a rule saw at one place; the rule's id and severity make a finding of it.

    Attributes:
        says: one sentence about this place.
        fix: what would be right; empty when nothing has to be done.
        found: what stands there, where that is not simply the line.
    """

    source: Source
    says: str
    fix: str = ""
    found: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a reader of the files should know.

    Attributes:
        id: stable, as ``spec-selects-all``; added, never changed.
        found: what stands there.
        summary: one sentence.
        fix: what would be right.
    """

    id: str
    severity: Severity
    source: Source
    found: str
    summary: str
    fix: str = ""


Check = Callable[[Case], Iterator[Hit]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One kind of finding.

    Attributes:
        what: for the reference, one or two sentences: what it means and why it matters.
        shows: files that have it, in INI; ``==> NAME <==`` begins another than nova.conf.
        spares: files that look alike and do not have it.
        needs_host: it judges against a host; the examples are about the lab's.
    """

    id: str
    severity: Severity
    what: str
    check: Check
    shows: str
    spares: str
    needs_host: bool = False

    def findings(self, case: Case) -> Iterator[Finding]:
        for hit in self.check(case):
            found = shortened(hit.found or case.text_at(hit.source))
            yield Finding(self.id, self.severity, hit.source, found, hit.says, hit.fix)


def counted(findings: Sequence[Finding], severity: Severity) -> int:
    return sum(finding.severity is severity for finding in findings)


def shortened(text: str) -> str:
    """Put *text* on one line that is not too long."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}..."
