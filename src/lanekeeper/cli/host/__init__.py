"""``lanekeeper host``: look at one machine, plan its SR-IOV, change it, take it back.

Works alone: no controller, no agent, no configuration but the policy. A module for each verb.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lanekeeper.cli.host.target import where_arguments
from lanekeeper.domain.hostplan.persistence import POLICY_FILE

Handler = Callable[[argparse.Namespace], int]


def _verb_of(name: str) -> Handler:
    """Return what does the verb *name*; its module is loaded when it is run, so that each starts
    without what the others need.
    """

    def handler(arguments: argparse.Namespace) -> int:
        module = importlib.import_module(f"{__name__}.{name}")
        code: int = getattr(module, f"{name}_host")(arguments)
        return code

    return handler


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the noun ``host`` and its verbs; the chosen handler is ``handler`` of the result."""
    noun = subparsers.add_parser("host", help="look at this machine, plan its SR-IOV, change it")
    verbs = noun.add_subparsers(dest="verb", required=True, metavar="VERB")
    looks = (
        ("check", "say what is ready and what is not"),
        ("show", "list the PCI functions, VFs below their PF, and who holds them"),
        ("plan", "say what would change for a policy, and how it is undone"),
    )
    for verb, text in looks:
        parser = _verb(verbs, verb, text)
        _target_arguments(parser)
    _show_arguments(verbs.choices["show"])
    applying = _verb(verbs, "apply", "change the machine as a policy says")
    undoing = _verb(verbs, "rollback", "take back the last change that stands")
    for parser in (applying, undoing):
        _target_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="print, change nothing")
    for verb in ("check", "plan", "apply"):
        verbs.choices[verb].add_argument(
            "--policy", type=Path, metavar="FILE", help=f"the policy (default: /{POLICY_FILE})"
        )
    taking = _verb(verbs, "capture", "write the machine down as one text file")
    taking.add_argument("file", type=Path, metavar="FILE", help="where to; - is standard output")
    taking.add_argument(
        "--scrub",
        action="store_true",
        help="put made-up MACs, serial numbers, IP addresses, names and ids in place of yours",
    )
    where_arguments(taking)


def _show_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bridges", action="store_true", help="show bridges too")
    parser.add_argument("--pf", metavar="ADDRESS", help="this PF and its VFs alone")
    parser.add_argument(
        "--netdev", metavar="NAME", help="the function with this interface, and its VFs"
    )
    parser.add_argument(
        "--address", metavar="GLOB", help="functions at such addresses, as 0000:21:* or 21:10.?"
    )


def _verb(verbs: Any, name: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    parser.set_defaults(handler=_verb_of(name))
    return parser


def _target_arguments(parser: argparse.ArgumentParser) -> None:
    where_arguments(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")
