"""``lanekeeper verify``: what is wrong in the database, row by row."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict

from lanekeeper.cli import exit_code
from lanekeeper.cli.database import add_options, place_of, reading
from lanekeeper.control.verify.finding import Finding
from lanekeeper.control.verify.verify import INVARIANTS, verify


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``verify``."""
    parser = subparsers.add_parser(
        "verify", help="check who holds what, beside a running controller; changes nothing"
    )
    add_options(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Print every finding; 0 without, 1 with, notices do not count."""
    with reading(place_of(arguments)) as connection:
        findings = verify(connection)
    tell(findings, as_json=arguments.json)
    return code_of(findings)


def code_of(findings: Sequence[Finding]) -> int:
    """What the command's exit code says of *findings*."""
    wrong = any(not finding.notice for finding in findings)
    return exit_code.NO if wrong else exit_code.DONE


def tell(findings: Sequence[Finding], *, as_json: bool) -> None:
    """Print findings, then how many there are."""
    if as_json:
        print(json.dumps({"findings": [asdict(finding) for finding in findings]}, indent=2))
        return
    for finding in findings:
        kind = "notice" if finding.notice else "wrong"
        print(f"{kind}: {finding.table} {finding.row}: {finding.problem} [{finding.invariant}]")
        print(f"  hint: {finding.remedy}")
    wrong = sum(not finding.notice for finding in findings)
    print(f"{len(INVARIANTS)} invariants checked, {wrong} rows are wrong")
