"""``lanekeeper host``: look at one machine, plan its SR-IOV, change it, take it back.

Works alone: no controller, no agent, no configuration but the policy. A module for each verb.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lanekeeper.cli.host.arguments import (
    apply_arguments,
    capture_arguments,
    confirm_arguments,
    offline_argument,
    policy_argument,
    rollback_arguments,
    show_arguments,
    target_arguments,
)

Handler = Callable[[argparse.Namespace], int]


def _verb_of(name: str, module: str) -> Handler:
    """Return what does the verb *name*; its module is loaded when it is run, so that each starts
    without what the others need.
    """

    def handler(arguments: argparse.Namespace) -> int:
        loaded = importlib.import_module(f"{__name__}.{module}")
        code: int = getattr(loaded, f"{name}_host")(arguments)
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
        target_arguments(_verb(verbs, verb, text))
    show_arguments(verbs.choices["show"])
    applying = _verb(verbs, "apply", "change the machine as a policy says")
    apply_arguments(applying)
    undoing = _verb(verbs, "rollback", "take back the last change that stands")
    rollback_arguments(undoing)
    for parser in (applying, undoing):
        target_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="print, change nothing")
    keeping = _verb(verbs, "confirm", "keep a change that waits for confirmation")
    watching = _verb(verbs, "guard", None, "confirm")  # `apply` starts it; not for people
    listing = _verb(verbs, "changes", "list what was changed here")
    drifting = _verb(verbs, "drift", "say what is not as the last apply left it")
    for parser in (keeping, watching, listing, drifting):
        target_arguments(parser)
    for parser in (keeping, watching):
        confirm_arguments(parser)
    for verb in ("plan", "apply", "rollback", "changes"):
        offline_argument(verbs.choices[verb])
    for verb in ("check", "plan", "apply"):
        policy_argument(verbs.choices[verb])
    adopting = _verb(verbs, "adopt", "write the policy that describes the machine")
    target_arguments(adopting)
    adopting.add_argument("--output", type=Path, metavar="FILE", help="where to, in place of here")
    capture_arguments(_verb(verbs, "capture", "write the machine down as one text file"))


def _verb(
    verbs: Any, name: str, text: str | None, module: str | None = None
) -> argparse.ArgumentParser:
    """Add a verb; one without a text is not listed. Its module has its name unless told."""
    told = {} if text is None else {"help": text, "description": text}
    parser: argparse.ArgumentParser = verbs.add_parser(name, **told)
    parser.set_defaults(handler=_verb_of(name, module or name))
    return parser
