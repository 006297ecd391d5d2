"""``lanekeeper host``: look at one machine, plan its SR-IOV, change it, take it back.

Works alone: no controller, no agent, no configuration but the policy.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lanekeeper.cli import exit_code
from lanekeeper.cli import host_view as view
from lanekeeper.domain.errors import Forbidden, Invalid
from lanekeeper.domain.hostplan.action import Change
from lanekeeper.domain.hostplan.findings.check import check
from lanekeeper.domain.hostplan.findings.finding import Severity, worst
from lanekeeper.domain.hostplan.findings.policy import policy_findings
from lanekeeper.domain.hostplan.nova_conf import nova_conf
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.persistence import POLICY_FILE
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.domain.hostplan.policy import Policy
from lanekeeper.host import journal
from lanekeeper.host.actor import Actor
from lanekeeper.host.apply import apply, resume, rollback
from lanekeeper.host.facts import read_host
from lanekeeper.host.linux import LinuxMachine
from lanekeeper.host.policy_file import read_policy
from lanekeeper.host.simulated import SimulatedMachine, lab_tree
from lanekeeper.host.survey import read_survey
from lanekeeper.host.tree import capture, is_machine, plant

_INSTALLED = "/usr/bin/lanekeeper"

Handler = Callable[[argparse.Namespace], int]


@dataclass(frozen=True, slots=True)
class Target:
    """The machine that a command is about.

    Attributes:
        is_captured: it can be looked at, not changed.
        is_simulated: it is a directory that behaves like a machine.
    """

    root: Path
    is_captured: bool = False
    is_simulated: bool = False

    def actor(self) -> Actor:
        if self.is_simulated:
            machine = SimulatedMachine(self.root)
            return Actor(self.root, machine, machine.run)
        return Actor(self.root, LinuxMachine(self.root))

    @property
    def changes(self) -> Path:
        return self.root / journal.DIRECTORY


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
    undoing = _verb(verbs, "rollback", rollback_host, "take back the last change that stands")
    for parser in (applying, undoing):
        _target_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="print, change nothing")
    for verb in ("check", "plan", "apply"):
        verbs.choices[verb].add_argument(
            "--policy", type=Path, metavar="FILE", help=f"the policy (default: /{POLICY_FILE})"
        )
    taking = _verb(verbs, "capture", capture_host, "write the machine down as one text file")
    taking.add_argument("file", type=Path, metavar="FILE", help="where to; - is standard output")
    _where_arguments(taking)


def _verb(verbs: Any, name: str, handler: Handler, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    parser.set_defaults(handler=handler)
    return parser


def _target_arguments(parser: argparse.ArgumentParser) -> None:
    _where_arguments(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def _where_arguments(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--root",
        type=Path,
        default=Path("/"),
        metavar="DIR_OR_FILE",
        help="a captured machine in place of this one; it can be looked at, not changed",
    )
    where.add_argument(
        "--simulate",
        type=Path,
        metavar="DIR",
        help="a simulated machine kept in DIR; made there if DIR is empty or missing",
    )


def check_host(arguments: argparse.Namespace) -> int:
    """Print every finding; 1 when one of them is an error."""
    with _target(arguments) as target:
        survey = read_survey(target.root, _program())
        findings = check(survey)
        path = _policy_path(arguments, target)
        if path is not None:
            policy = read_policy(path)
            findings += policy_findings(policy, plan(policy, survey.host))
    text = view.findings_text(findings, colour=_colour())
    _print(arguments, {"findings": view.findings_json(findings)}, text)
    return exit_code.NO if worst(findings) is Severity.ERROR else exit_code.DONE


def show_host(arguments: argparse.Namespace) -> int:
    """Print the PCI functions."""
    with _target(arguments) as target:
        host = read_host(target.root)
    text = view.devices_text(host, bridges=arguments.bridges)
    _print(arguments, view.host_json(host), text)
    return exit_code.DONE


def plan_host(arguments: argparse.Namespace) -> int:
    """Print the plan; 0 when it is empty, 1 when there is something to do or refused."""
    with _target(arguments) as target:
        policy = _policy(arguments, target)
        host = read_host(target.root, _program())
    return _show_plan(arguments, policy, host)


def _show_plan(arguments: argparse.Namespace, policy: Policy, host: HostFacts) -> int:
    found = plan(policy, host)
    lines = nova_conf(policy, host) if found.is_empty else ()
    text = [*view.plan_text(found), *(["", "[pci]", *lines] if lines else [])]
    _print(arguments, {**view.plan_json(found), "nova_conf": list(lines)}, text)
    return exit_code.DONE if found.is_empty else exit_code.NO


def apply_host(arguments: argparse.Namespace) -> int:
    """Finish what was left, then plan and execute; 1 when something is refused or failed."""
    with _target(arguments) as target:
        policy = _policy(arguments, target)
        if arguments.dry_run:
            return _show_plan(arguments, policy, read_host(target.root, _program()))
        _require_changeable(target)
        tell = _silent if arguments.json else _tell
        left = resume(target.actor(), target.changes, tell)
        if left is not None and left.left:
            return _report(arguments, {"resumed": view.outcome_json(left)}, view.outcome_text(left))
        found = plan(policy, read_host(target.root, _program()))
        document: dict[str, Any] = {"resumed": view.outcome_json(left), **view.plan_json(found)}
        if found.is_empty or found.refusals:
            _print(arguments, document, view.plan_text(found))
            return exit_code.NO if found.refusals else exit_code.DONE
        outcome = apply(found.steps, target.actor(), target.changes, tell)
        assert outcome is not None
        document["outcome"] = view.outcome_json(outcome)
        remaining = plan(policy, read_host(target.root, _program()))
        _print(arguments, document, view.outcome_text(outcome))
    if outcome.course is not journal.Course.APPLIED:
        return exit_code.NO
    return _verify(remaining.is_empty, len(remaining.steps))


def _verify(is_empty: bool, steps: int) -> int:
    if is_empty:
        return exit_code.DONE
    print(f"error: {steps} steps are still to do: the machine did not keep them", file=sys.stderr)
    return exit_code.NO


def rollback_host(arguments: argparse.Namespace) -> int:
    """Take the last change back; 1 when some of it could not be."""
    with _target(arguments) as target:
        _require_changeable(target)
        if arguments.dry_run:
            return _show_rollback(arguments, target)
        tell = _silent if arguments.json else _tell
        outcome = rollback(target.actor(), target.changes, tell)
    if outcome is None:
        nothing = ["Nothing to take back: no change stands."]
        return _report(arguments, {"outcome": None}, nothing, exit_code.DONE)
    document = {"outcome": view.outcome_json(outcome)}
    return _report(
        arguments,
        document,
        view.outcome_text(outcome),
        exit_code.DONE if outcome.course is journal.Course.TAKEN_BACK else exit_code.NO,
    )


def _show_rollback(arguments: argparse.Namespace, target: Target) -> int:
    standing = [
        change
        for change in journal.journals(target.changes)
        if change.course is not journal.Course.TAKEN_BACK
    ]
    undo = [
        str(action)
        for change in standing[-1:]
        for number in reversed(range(len(change.steps)))
        if change.states[number] in (journal.StepState.DOING, journal.StepState.DONE)
        for action in change.undo_of(number)
    ]
    return _report(arguments, {"undo": undo}, undo or ["Nothing to take back."], exit_code.DONE)


def capture_host(arguments: argparse.Namespace) -> int:
    """Write the machine down. Says that addresses and serial numbers are in it."""
    with _target(arguments) as target:
        text = capture(target.root)
    if str(arguments.file) == "-":
        sys.stdout.write(text)
        return exit_code.DONE
    try:
        arguments.file.write_text(text, "ascii")
    except OSError as error:
        raise Invalid(f"cannot write {arguments.file}: {error.strerror}") from error
    print(f"{arguments.file}: {text.count(chr(10)) - 1} entries.")
    print("It holds MAC addresses, serial numbers and IP routes: look at it before you send it.")
    return exit_code.DONE


@contextmanager
def _target(arguments: argparse.Namespace) -> Iterator[Target]:
    if arguments.simulate is not None:
        yield Target(_simulated(arguments.simulate), is_simulated=True)
        return
    with machine_at(arguments.root) as root:
        yield Target(root, is_captured=root.resolve() != Path("/"))


def captured_text(file: Path) -> str:
    """Read the captured machine that ``--tree`` names, as its text.

    Raises:
        Invalid: it is none, or cannot be read.
    """
    if file.is_dir():
        hint = "`lanekeeper host capture FILE --root DIR` makes one of it"
        raise Invalid(f"--tree {file}: a directory, not a captured tree", hint=hint)
    with machine_at(file, "--tree"):
        return file.read_text("utf-8")


@contextmanager
def machine_at(root: Path, option: str = "--root") -> Iterator[Path]:
    """Find the machine that *option* names; a file is planted into a directory for the while.

    Raises:
        Invalid: there is none, or it cannot be read.
    """
    with tempfile.TemporaryDirectory(
        prefix="lanekeeper-tree-", ignore_cleanup_errors=True
    ) as directory:
        try:
            found = root if root.is_dir() else _planted(root, Path(directory), option)
            is_there = is_machine(found)
        except OSError as error:
            raise Invalid(f"{option} {root}: {error.strerror}") from error
        if not is_there:
            missing = "neither sys nor proc of a machine is in it"
            hint = "`lanekeeper host capture FILE` makes one"
            raise Invalid(f"{option} {root}: no captured machine: {missing}", hint=hint)
        yield found


def _planted(file: Path, directory: Path, option: str) -> Path:
    """Build the captured machine in *file* below *directory*. Raises Invalid."""
    try:
        return plant(file.read_text("utf-8"), directory)
    except OSError as error:
        raise Invalid(f"{option} {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Invalid(f"{option} {file}: no captured tree: not text") from error
    except Invalid as error:
        hint = error.hint or "`lanekeeper host capture FILE` makes one"
        raise Invalid(f"{option} {file}: no captured tree: {error}", hint=hint) from error


def _simulated(directory: Path) -> Path:
    try:
        if not directory.is_dir() or not any(directory.iterdir()):
            return plant(lab_tree(), directory)
        is_kept = (directory / "sys/bus/pci/devices").is_dir()
        is_real = (directory / "sys").is_mount()
    except OSError as error:
        raise Invalid(f"--simulate {directory}: {error.strerror}") from error
    if is_real or not is_kept:
        what = "a real machine" if is_real else "something else"
        hint = "name a directory that is empty or not there yet"
        raise Invalid(f"--simulate {directory}: it holds {what}", hint=hint)
    return directory


def _policy_path(arguments: argparse.Namespace, target: Target) -> Path | None:
    if arguments.policy is not None:
        given: Path = arguments.policy
        return given
    kept = target.root / POLICY_FILE
    return kept if kept.exists() else None


def _policy(arguments: argparse.Namespace, target: Target) -> Policy:
    path = _policy_path(arguments, target)
    if path is None:
        hint = "--policy FILE; packaging/policy.sample.yaml is one"
        raise Invalid(f"no policy is given, and /{POLICY_FILE} is not there", hint=hint)
    return read_policy(path)


def _require_changeable(target: Target) -> None:
    if target.is_captured:
        hint = "leave --root out to change this machine; `host plan` works on captures"
        raise Invalid("--root is a captured machine, which cannot be changed", hint=hint)
    if not target.is_simulated and os.geteuid() != 0:
        raise Forbidden("changing this machine needs root", hint="sudo lanekeeper host …")


def _program() -> str:
    """Return how this program is called at boot: the installed command, or this one's path."""
    called = Path(sys.argv[0])
    if called.name == "lanekeeper" and called.exists():
        return str(called.resolve())
    return shutil.which("lanekeeper") or _INSTALLED


def _print(arguments: argparse.Namespace, document: object, text: Iterable[str]) -> None:
    if arguments.json:
        print(json.dumps(document, indent=2, default=str))
    else:
        print("\n".join(text))


def _report(
    arguments: argparse.Namespace, document: object, text: Iterable[str], code: int = exit_code.NO
) -> int:
    _print(arguments, document, text)
    return code


def _tell(verb: str, action: Change) -> None:
    print(f"{'undo: ' if verb == 'undo' else ''}{action}", flush=True)


def _silent(_verb: str, _action: Change) -> None:
    """JSON goes alone on standard output."""


def _colour() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ
