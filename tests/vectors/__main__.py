"""Cases with known answers against Lanekeeper: ``./dev vectors [DIR…] [--json]``.

Runs every file of that shape below the directories, ours where none is named, and says for each
what passed, what differs on purpose, what comes later and what failed. Exit code 1 when any failed,
2 when a directory has no such file, or one that is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from vectors.case import Broken, CaseFile, Outcome, Result, find_files
from vectors.run import run_file, tally

HERE = Path(__file__).parent


def main(words: Sequence[str] | None = None) -> int:
    """Run what was asked for; *words* are the arguments, those of the process where None."""
    parser = argparse.ArgumentParser(prog="./dev vectors", description=__doc__)
    parser.add_argument("directories", nargs="*", type=Path, metavar="DIR", default=[HERE])
    parser.add_argument("--json", action="store_true", help="print a list of objects, one a file")
    arguments = parser.parse_args(words)
    files = []
    for directory in arguments.directories:
        try:
            there = list(find_files(directory))
        except Broken as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        if not there:
            print(f"error: {directory} has no file with cases", file=sys.stderr)
            return 2
        files += there
    ran = [(file, tally(run_file(file))) for file in files]
    if arguments.json:
        print(json.dumps([_as_object(file, found) for file, found in ran], indent=1))
    else:
        for file, found in ran:
            _print_file(file, found)
        _print_sum(ran)
    return 1 if any(found[Outcome.FAILED] for _, found in ran) else 0


def _as_object(file: CaseFile, found: dict[Outcome, list[Result]]) -> dict[str, object]:
    return {
        "file": _name(file),
        "kind": file.kind,
        **{outcome.value: len(results) for outcome, results in found.items()},
        "cases": [
            {"id": one.id, "outcome": one.outcome.value, "difference": one.difference}
            for outcome, results in found.items()
            if outcome is not Outcome.PASSED
            for one in results
        ],
    }


def _print_file(file: CaseFile, found: dict[Outcome, list[Result]]) -> None:
    counts = "  ".join(f"{outcome} {len(results):3}" for outcome, results in found.items())
    print(f"{_name(file):44} {counts}")
    for outcome in (Outcome.DELIBERATE, Outcome.LATER, Outcome.FAILED):
        # Many cases share a reason; it is said once.
        by_reason: dict[str, list[str]] = {}
        for one in found[outcome]:
            by_reason.setdefault(one.difference, []).append(one.id)
        for reason, ids in by_reason.items():
            print(f"    {outcome:10}  {', '.join(ids)}: {reason}")


def _print_sum(ran: list[tuple[CaseFile, dict[Outcome, list[Result]]]]) -> None:
    counts = [
        f"{sum(len(found[outcome]) for _, found in ran)} {outcome.value}" for outcome in Outcome
    ]
    print(f"{len(ran)} files: {', '.join(counts)}")


def _name(file: CaseFile) -> str:
    return os.path.relpath(file.path)


if __name__ == "__main__":
    sys.exit(main())
