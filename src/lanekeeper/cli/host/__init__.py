"""``lanekeeper host``: look at one machine, plan its SR-IOV, change it, take it back.

Works alone: no controller, no agent, no configuration but the policy. A module for each verb.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lanekeeper.cli.host.adopt import adopt_host
from lanekeeper.cli.host.apply import apply_arguments, apply_host
from lanekeeper.cli.host.capture import capture_host
from lanekeeper.cli.host.changes import changes_host
from lanekeeper.cli.host.check import check_host
from lanekeeper.cli.host.confirm import confirm_arguments, confirm_host, guard_host
from lanekeeper.cli.host.drift import drift_host
from lanekeeper.cli.host.image import offline_argument
from lanekeeper.cli.host.plan import plan_host
from lanekeeper.cli.host.rollback import rollback_arguments, rollback_host
from lanekeeper.cli.host.show import show_host
from lanekeeper.cli.host.target import where_arguments
from lanekeeper.domain.hostplan.persistence import POLICY_FILE

Handler = Callable[[argparse.Namespace], int]


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the noun ``host`` and its verbs; the chosen handler is ``handler`` of the result."""
    noun = subparsers.add_parser("host", help="look at this machine, plan its SR-IOV, change it")
    verbs = noun.add_subparsers(dest="verb", required=True, metavar="VERB")
    looks: tuple[tuple[str, Handler, str], ...] = (
        ("check", check_host, "say what is ready and what is not"),
        ("show", show_host, "list the PCI functions"),
        ("plan", plan_host, "say what would change for a policy, and how it is undone"),
    )
    for verb, handler, text in looks:
        parser = _verb(verbs, verb, handler, text)
        _target_arguments(parser)
    verbs.choices["show"].add_argument("--bridges", action="store_true", help="show bridges too")
    applying = _verb(verbs, "apply", apply_host, "change the machine as a policy says")
    apply_arguments(applying)
    undoing = _verb(verbs, "rollback", rollback_host, "take back the last change that stands")
    rollback_arguments(undoing)
    for parser in (applying, undoing):
        _target_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="print, change nothing")
    keeping = _verb(verbs, "confirm", confirm_host, "keep a change that waits for confirmation")
    watching = _verb(verbs, "guard", guard_host, None)  # `apply` starts it; not for people
    listing = _verb(verbs, "changes", changes_host, "list what was changed here")
    drifting = _verb(verbs, "drift", drift_host, "say what is not as the last apply left it")
    for parser in (keeping, watching, listing, drifting):
        _target_arguments(parser)
    for parser in (keeping, watching):
        confirm_arguments(parser)
    for verb in ("plan", "apply", "rollback", "changes"):
        offline_argument(verbs.choices[verb])
    for verb in ("check", "plan", "apply"):
        verbs.choices[verb].add_argument(
            "--policy", type=Path, metavar="FILE", help=f"the policy (default: /{POLICY_FILE})"
        )
    adopting = _verb(verbs, "adopt", adopt_host, "write the policy that describes the machine")
    _target_arguments(adopting)
    adopting.add_argument("--output", type=Path, metavar="FILE", help="where to, in place of here")
    taking = _verb(verbs, "capture", capture_host, "write the machine down as one text file")
    taking.add_argument("file", type=Path, metavar="FILE", help="where to; - is standard output")
    where_arguments(taking)


def _verb(verbs: Any, name: str, handler: Handler, text: str | None) -> argparse.ArgumentParser:
    """Add a verb; one without a text is not listed."""
    told = {} if text is None else {"help": text, "description": text}
    parser: argparse.ArgumentParser = verbs.add_parser(name, **told)
    parser.set_defaults(handler=handler)
    return parser


def _target_arguments(parser: argparse.ArgumentParser) -> None:
    where_arguments(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")
