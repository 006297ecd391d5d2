"""Reads files and applies every rule: the whole doctor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lanekeeper.config.doctor.case import Case
from lanekeeper.config.doctor.finding import Finding
from lanekeeper.config.doctor.host import Host
from lanekeeper.config.doctor.reading import Flaw, ReadFile, read_ini, read_text
from lanekeeper.config.doctor.table import RULES
from lanekeeper.config.doctor.vio import read_vio
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.hostplan.findings.finding import Severity

_YAML_SUFFIXES = (".yml", ".yaml")


@dataclass(frozen=True, slots=True)
class Examined:
    """What came of the files.

    Attributes:
        findings: by file in the order given, then by line, then by rule.
        unreadable: why files were left out, one sentence each.
    """

    case: Case
    findings: tuple[Finding, ...]
    unreadable: tuple[str, ...] = ()

    def has(self, severity: Severity) -> bool:
        return any(finding.severity is severity for finding in self.findings)


def examine(paths: Sequence[Path], host: Host | None = None) -> Examined:
    """Read every file and judge them together; a file that cannot be read stops nothing."""
    files, unreadable = [], []
    for path in paths:
        try:
            files.append(read_file(path))
        except Invalid as error:
            unreadable.append(str(error))
    case = Case(tuple(files), host)
    order = {file.name: at for at, file in enumerate(files)}
    findings = [finding for rule in RULES for finding in rule.findings(case)]
    findings.sort(key=lambda one: (order[one.source.file], one.source.line))
    return Examined(case, tuple(dict.fromkeys(findings)), tuple(unreadable))


def read_file(path: Path) -> ReadFile:
    """Read one file, ``.yml`` and ``.yaml`` as VIO's custom.yml, others as INI.

    Raises:
        Invalid: nothing can be said of it.
    """
    text, flaws = read_text(path)
    if path.suffix in _YAML_SUFFIXES:
        return _with(read_vio(str(path), text), flaws)
    return _with(read_ini(str(path), text), flaws)


def _with(file: ReadFile, flaws: tuple[Flaw, ...]) -> ReadFile:
    return ReadFile(file.name, file.lines, file.assignments, flaws + file.flaws, file.tail)
