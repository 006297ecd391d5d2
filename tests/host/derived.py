"""Captured trees made from others: a base, and the lines of it that change.

    = iommu-off error                         a case: the finding that it shows, and how grave
    > /sys/kernel/iommu_groups is empty       what the evidence says
    - sys/kernel/iommu_groups                 the path goes, with all below it; * as in a shell
    proc/cmdline = quiet                      a line of a tree: it takes the place of the old one

``! kvm`` begins a case whose change takes a finding away that the base shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from lanekeeper.host.tree import HEADER, parse


@dataclass(frozen=True, slots=True)
class Case:
    """One change of a tree, and the finding that it brings or takes away."""

    finding: str
    severity: str
    shown: bool
    evidence: tuple[str, ...]
    changes: str

    def __str__(self) -> str:
        return f"{self.finding}-{self.severity}"


def derive(base: str, changes: str) -> str:
    """Return *base* with *changes*; a change that changes nothing is a mistake."""
    entries = {entry.path: str(entry) for entry in parse(base)}
    removed = [line[2:] for line in changes.splitlines() if line.startswith("- ")]
    for pattern in removed:
        gone = [p for p in entries if fnmatchcase(p, pattern) or fnmatchcase(p, f"{pattern}/*")]
        assert gone, f"nothing to remove at {pattern}"
        for path in gone:
            del entries[path]
    kept = "\n".join(line for line in changes.splitlines() if not line.startswith("- "))
    for entry in parse(kept):
        assert entries.get(entry.path) != str(entry), f"{entry} changes nothing"
        entries[entry.path] = str(entry)
    return "\n".join([HEADER, *entries.values(), ""])


def cases(directory: Path) -> Iterator[Case]:
    """Read every case below *directory*, in the order of files and lines."""
    for file in sorted(directory.glob("*.txt")):
        for block in ("\n" + file.read_text()).split("\n\n"):
            yield from _case(block.strip("\n"))


def _case(block: str) -> Iterator[Case]:
    lines = [line for line in block.splitlines() if line and not line.startswith("#")]
    if not lines:
        return
    sign, finding, *severity = lines[0].split()
    assert sign in ("=", "!"), lines[0]
    yield Case(
        finding=finding,
        severity=severity[0] if severity else "ok",
        shown=sign == "=",
        evidence=tuple(line[2:] for line in lines if line.startswith("> ")),
        changes="\n".join(line for line in lines[1:] if not line.startswith("> ")),
    )
