"""The same calls to Lanekeeper and to OpenStack's own service: ``./dev differential network``.

Starts Neutron (from an environment of its own, which the command makes) and a Lanekeeper on
127.0.0.1, sends both a sequence of calls that the seed determines, and prints each call to which
they answered differently, with both answers; what differs on purpose is counted with its reason.
Exit code 1 when anything differs that is not declared, 2 when a server does not start.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from differential.call import Answer
from differential.network_calls import next_call
from differential.run import Found, Outcome, Run
from differential.servers import NEUTRON_PYTHON, Server, lanekeeper, neutron
from differential.world import World

_SHOWN = 1500


def main(words: Sequence[str] | None = None) -> int:
    """Run what was asked for; *words* are the arguments, those of the process where None."""
    arguments = _parser().parse_args(words)
    if not NEUTRON_PYTHON.exists():
        print("error: no .venv-neutron; ./dev differential network makes it", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="lanekeeper-differential-") as directory:
        home = Path(directory)
        found = 0
        for seed in arguments.seed:
            with (
                neutron(home / f"neutron-{seed}") as theirs,
                lanekeeper(home / f"own-{seed}") as ours,
            ):
                found += _one(theirs, ours, seed, arguments)
    return 1 if found else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./dev differential", description=__doc__)
    parser.add_argument("service", choices=["network"])
    parser.add_argument("--seed", type=int, nargs="+", default=[1], help="of the sequences (1)")
    parser.add_argument("--calls", type=int, default=500, help="how many for each seed (500)")
    parser.add_argument("--all", action="store_true", help="print what is declared, too")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="add each difference to FILE, one object a line, those that are declared too",
    )
    return parser


def _one(theirs: Server, ours: Server, seed: int, arguments: argparse.Namespace) -> int:
    run = Run(theirs, ours, World(seed), next_call)
    print(f"seed {seed}, {arguments.calls} calls", flush=True)
    for found in run.calls(arguments.calls):
        if found.meant is None or arguments.all:
            print(_told(found), flush=True)
        if arguments.json is not None:
            with arguments.json.open("a") as out:
                out.write(json.dumps(_as_object(found, seed)) + "\n")
    _print_sum(seed, run.outcome)
    return run.outcome.found


def _told(found: Found) -> str:
    lines = [f"\n{found.number}. {found.call}"[:_SHOWN], f"    {found.difference}"[:_SHOWN]]
    if found.difference.about == "answer":
        lines += [
            f"    Neutron:    {_short(found.theirs)}",
            f"    Lanekeeper: {_short(found.ours)}",
        ]
    if found.meant is not None:
        lines.append(f"    on purpose: {found.meant.reason}")
    return "\n".join(lines)


def _short(answer: Answer) -> str:
    return f"{answer.status} {json.dumps(answer.body)}"[:_SHOWN]


def _as_object(found: Found, seed: int) -> dict[str, object]:
    return {
        "seed": seed,
        "number": found.number,
        "call": str(found.call),
        "operation": found.call.operation,
        "about": found.difference.about,
        "theirs": found.difference.theirs,
        "ours": found.difference.ours,
        "answers": [_short(found.theirs), _short(found.ours)],
        "reason": None if found.meant is None else found.meant.reason,
    }


def _print_sum(seed: int, outcome: Outcome) -> None:
    statuses = ", ".join(
        f"{count} x {status}" for status, count in sorted(outcome.statuses.items())
    )
    print(f"\nseed {seed}: {outcome.calls} calls ({statuses})")
    for entry, count in outcome.meant.most_common():
        print(f"  {count:4} deliberate  {', '.join(entry.calls)}: {entry.reason}")
    print(f"  {outcome.found:4} differences that nobody meant")


if __name__ == "__main__":
    sys.exit(main())
