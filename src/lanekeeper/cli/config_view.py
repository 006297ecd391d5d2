"""What ``lanekeeper config`` prints: text for people, plain values for ``--json``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from lanekeeper.config.doctor.case import Case
from lanekeeper.config.doctor.examine import Examined
from lanekeeper.config.doctor.finding import Finding, counted
from lanekeeper.config.doctor.host import Host, left_out, listed
from lanekeeper.config.doctor.meaning import meanings
from lanekeeper.domain.hostplan.findings.finding import Severity
from lanekeeper.domain.pci.coverage import Coverage, NearMiss

EXIT_CODES = (
    "Exit code: 0 clean; 1 a finding of severity error, with --strict also a warning; 2 a file "
    "cannot be read."
)
_INDENT = " " * 10


def check_text(examined: Examined, *, quiet: bool) -> Iterator[str]:
    """What the lines mean, what the host makes of them, then the findings and a count."""
    if not quiet:
        yield from _meanings_text(examined.case)
        if examined.case.coverage is not None:
            yield from _host_text(examined.case, *examined.case.coverage)
    for file, findings in groupby(examined.findings, lambda one: one.source.file):
        yield f"Findings in {file}:"
        for finding in findings:
            yield from _finding_text(finding)
    yield from (f"unreadable: {reason}" for reason in examined.unreadable)
    order = (Severity.ERROR, Severity.WARNING, Severity.INFO)
    yield ", ".join(f"{counted(examined.findings, severity)} {severity}" for severity in order)


def _meanings_text(case: Case) -> Iterator[str]:
    read = list(meanings(case))
    for file, lines in groupby(read, lambda one: one[0].file):
        yield f"What {file} says:"
        for source, option, words in lines:
            yield f"  {source.line:>5}  {option}: {words}"
    others = sum(line.option is None for line in case.lines)
    if others:
        yield f"{others} other keys say nothing here."
    if read or others:
        yield ""


def _host_text(case: Case, host: Host, covered: Coverage) -> Iterator[str]:
    yield f"On {host.name}:"
    for (one, _), entry in zip(case.good_specs, covered.entries, strict=True):
        yield f"  {one.source} device_spec lists {len(entry.takes)}: {listed(entry.takes) or '-'}"
        if entry.hidden:
            hidden = tuple(device for device, _ in entry.hidden)
            yield f"          listed before by others: {listed(hidden)}"
        if entry.nearest:
            yield f"          nearest is {entry.nearest}"
    for name, alias in covered.aliases.items():
        yield f"  alias {name} can have {len(alias.devices)}: {listed(alias.devices) or '-'}"
        if alias.unlisted:
            yield f"          {left_out(alias.unlisted)}"
        elif alias.nearest:
            yield f"          nearest is {alias.nearest}"
    for name, devices in covered.networks.items():
        yield f"  physical network {name} is served by {len(devices)}: {listed(devices)}"
    yield ""


def _finding_text(finding: Finding) -> Iterator[str]:
    line = finding.source.line or ""
    yield f"  {line:>5}  {finding.severity.upper():7}  {finding.id}: {finding.summary}"
    if finding.found:
        yield f"{_INDENT}found  {finding.found}"
    if finding.fix:
        yield f"{_INDENT}right  {finding.fix}"


def check_json(examined: Examined) -> dict[str, Any]:
    found = examined.case.coverage
    return {
        "files": [file.name for file in examined.case.files],
        "unreadable": list(examined.unreadable),
        "lines": [
            {"file": source.file, "line": source.line, "option": option, "means": words}
            for source, option, words in meanings(examined.case)
        ],
        "host": _host_json(examined.case, *found) if found else None,
        "findings": [_finding_json(finding) for finding in examined.findings],
    }


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {
        "id": finding.id,
        "severity": str(finding.severity),
        "file": finding.source.file,
        "line": finding.source.line,
        "found": finding.found,
        "summary": finding.summary,
        "fix": finding.fix,
    }


def _host_json(case: Case, host: Host, covered: Coverage) -> dict[str, Any]:
    entries = [
        {
            "file": one.source.file,
            "line": one.source.line,
            "entry": one.entry,
            "lists": [str(device.address) for device in entry.takes],
            "listed_before": [str(device.address) for device, _ in entry.hidden],
            "nearest": _nearest_json(entry.nearest),
        }
        for (one, _), entry in zip(case.good_specs, covered.entries, strict=True)
    ]
    aliases = [
        {
            "name": name,
            "devices": [str(device.address) for device in alias.devices],
            "nearest": _nearest_json(alias.nearest),
            "unlisted": [str(device.address) for device in alias.unlisted],
        }
        for name, alias in covered.aliases.items()
    ]
    networks = {
        name: [str(device.address) for device in devices]
        for name, devices in covered.networks.items()
    }
    return {
        "name": host.name,
        "device_spec": entries,
        "alias": aliases,
        "physical_networks": networks,
    }


def _nearest_json(nearest: NearMiss | None) -> dict[str, Any] | None:
    if nearest is None:
        return None
    return {"address": str(nearest.device.address), "reasons": list(nearest.reasons)}
