"""``lanekeeper host``: look at one machine, plan its SR-IOV, change it, take it back.

Works alone: no controller, no agent, no configuration but the policy. A module for each verb.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lanekeeper.cli.host.arguments import (
    apply_arguments,
    capture_arguments,
    confirm_arguments,
    devices_argument,
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


def _dry_run_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="print, change nothing")


def _output_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, metavar="FILE", help="where to, in place of here")


Fill = Callable[[argparse.ArgumentParser], None]


@dataclass(frozen=True, slots=True)
class _Verb:
    """One verb: what it does (None: it is not listed), its module, and what may be said to it."""

    text: str | None
    module: str
    fill: tuple[Fill, ...]


_VERBS = {
    "check": _Verb(
        "say what is ready and what is not",
        "check",
        (target_arguments, devices_argument, policy_argument),
    ),
    "show": _Verb(
        "list the PCI functions, VFs below their PF, and who holds them",
        "show",
        (target_arguments, devices_argument, show_arguments),
    ),
    "plan": _Verb(
        "say what would change for a policy, and how it is undone",
        "plan",
        (target_arguments, offline_argument, policy_argument),
    ),
    "apply": _Verb(
        "change the machine as a policy says",
        "apply",
        (apply_arguments, target_arguments, _dry_run_argument, offline_argument, policy_argument),
    ),
    "rollback": _Verb(
        "take back the last change that stands",
        "rollback",
        (rollback_arguments, target_arguments, _dry_run_argument, offline_argument),
    ),
    "confirm": _Verb(
        "keep a change that waits for confirmation",
        "confirm",
        (target_arguments, confirm_arguments),
    ),
    "guard": _Verb(None, "confirm", (target_arguments, confirm_arguments)),  # `apply` starts it
    "changes": _Verb("list what was changed here", "changes", (target_arguments, offline_argument)),
    "drift": _Verb(
        "say what is not as the last apply left it", "drift", (target_arguments, offline_argument)
    ),
    "adopt": _Verb(
        "write the policy that describes the machine",
        "adopt",
        (target_arguments, devices_argument, _output_argument),
    ),
    "capture": _Verb("write the machine down as one text file", "capture", (capture_arguments,)),
}


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the noun ``host`` and its verbs; the chosen handler is ``handler`` of the result."""
    noun = subparsers.add_parser("host", help="look at this machine, plan its SR-IOV, change it")
    verbs: Any = noun.add_subparsers(
        dest="verb", required=True, metavar="VERB", action=_Verbs, prog=noun.prog
    )
    for name, verb in _VERBS.items():
        verbs.add_later(name, verb)


class _Verbs(argparse._SubParsersAction):  # type: ignore[type-arg]
    """Makes the parser of the verb that is run, and no other: each takes a millisecond."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        name = values[0]
        if name in self.choices and self.choices[name] is None:
            self._make(name, _VERBS[name])
        super().__call__(parser, namespace, values, option)

    def add_later(self, name: str, verb: _Verb) -> None:
        """List the verb, if it has a text, and let it be chosen."""
        self._name_parser_map[name] = None
        if verb.text is not None:
            self._choices_actions.append(self._ChoicesPseudoAction(name, (), verb.text))

    def _make(self, name: str, verb: _Verb) -> None:
        del self._name_parser_map[name]
        parser: argparse.ArgumentParser = self.add_parser(name, description=verb.text)
        for fill in verb.fill:
            fill(parser)
        parser.set_defaults(handler=_verb_of(name, verb.module))
