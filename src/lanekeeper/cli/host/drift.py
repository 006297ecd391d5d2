"""``lanekeeper host drift``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lanekeeper.cli import exit_code
from lanekeeper.cli.host import view
from lanekeeper.cli.host.called import program
from lanekeeper.cli.host.changing import changes_of, now_of
from lanekeeper.cli.host.image import image_of, plan_for
from lanekeeper.cli.host.output import show
from lanekeeper.cli.host.policy import show_invalid
from lanekeeper.cli.host.target import target_of
from lanekeeper.cli.host.unfinished import unfinished_json, unfinished_text
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.hostplan.persistence import POLICY_FILE
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.step import Plan
from lanekeeper.host.deadline import Now, moment
from lanekeeper.host.facts import read_host
from lanekeeper.host.journal import Course, Journal, digest, journals
from lanekeeper.host.planning import plan_after
from lanekeeper.host.policy_file import load_policy, read_policy
from lanekeeper.host.unfinished import Standing, Unfinished, unfinished
from lanekeeper.host.written import EDITED, Edited, edited


def drift_host(arguments: argparse.Namespace) -> int:
    """Say what is not as the last apply left it; 1 when anything is. Changes nothing."""
    try:
        seen = _of_image(arguments) if arguments.offline else _of_machine(arguments)
    except Invalid as error:
        show_invalid(arguments, error)
        raise
    document: dict[str, Any] = {
        "change": next((c.id for c in reversed(seen.changes) if c.course is Course.APPLIED), None),
        "policy": seen.policy and digest(seen.policy.text),
        "policy_file": seen.wrong,
        "files": [asdict(file) for file in seen.files],
        "unfinished": [*map(unfinished_json, seen.open_ends)],
        **view.plan_json(seen.plan),
    }
    text = [*_text(seen)]
    is_as_applied = seen.is_as_applied
    if is_as_applied:
        nothing = "No drift: every change was taken back, so there is nothing to differ from."
        left = "No drift: the host is as the last apply left it."
        text.append(left if seen.policy else nothing)
    show(arguments, document, text)
    return exit_code.DONE if is_as_applied else exit_code.NO


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is there, beside what was applied.

    Attributes:
        wrong: why the policy that is kept cannot be applied; empty where it can.
    """

    changes: Sequence[Journal]
    policy: Policy | None
    wrong: str
    plan: Plan
    files: Sequence[Edited]
    open_ends: Sequence[Unfinished]

    @property
    def is_as_applied(self) -> bool:
        return self.plan.is_empty and not (self.files or self.open_ends or self.wrong)


def _of_image(arguments: argparse.Namespace) -> _Seen:
    image = image_of(arguments)
    changes = journals(image.changes)
    policy, wrong = _policy(image.policy_file, changes)
    found = Plan() if policy is None else plan_for(policy, image)
    files = edited(image.locate, changes)
    return _Seen(changes, policy, wrong, found, files, _open_ends(changes, moment))


def _of_machine(arguments: argparse.Namespace) -> _Seen:
    with target_of(arguments) as target:
        root, changes = target.root, journals(changes_of(target))
        policy, wrong = _policy(root / POLICY_FILE, changes)
        host = read_host(root, program())
        found = Plan() if policy is None else plan_after(policy, host, changes)
        files = edited(lambda name, _: root / name, changes)
        return _Seen(changes, policy, wrong, found, files, _open_ends(changes, now_of(target)))


def _open_ends(changes: Sequence[Journal], now: Now) -> list[Unfinished]:
    return [unfinished(change, now) for change in changes if not change.is_settled]


def _policy(kept: Path | None, changes: Sequence[Journal]) -> tuple[Policy | None, str]:
    """Return the policy that is kept, or else the last one applied; and what is wrong with it.

    None is a host on which no change stands.
    """
    last = next(
        (c for c in reversed(changes) if c.course is Course.APPLIED and c.head.policy), None
    )
    try:
        if kept is not None and kept.is_file():
            return read_policy(kept), ""
    except Invalid as error:
        if last is None:
            raise
        return load_policy(last.head.policy, f"change {last.id}"), str(error)
    if last is None and changes:
        return None, ""
    if last is None:
        message = f"nothing was applied here, and /{POLICY_FILE} is not there"
        raise Invalid(message, hint="`lanekeeper host apply --policy FILE` comes first")
    return load_policy(last.head.policy, f"change {last.id}"), ""


def _text(seen: _Seen) -> Iterator[str]:
    found, files = seen.plan, seen.files
    if seen.wrong:
        yield f"the kept policy cannot be applied: {seen.wrong}"
    for left in seen.open_ends:
        yield unfinished_text(left, None)
        if left.standing is Standing.CUT_OFF:
            yield "    `lanekeeper host rollback` takes it back"
    for file in files:
        yield f"/{file.path} {file.what} since change {file.change}{_meaning(file)}"
        yield from (f"    {line}" for line in file.diff)
    for step in found.steps:
        yield f"to do: {step.do} ({step.why})"
    yield from view.refusals_text(found)
    yield from view.warnings_text(found)
    for pending in found.pending:
        yield f"pending: {pending}"
    if any(file.path == POLICY_FILE and file.what == EDITED for file in files):
        yield "`lanekeeper host apply` applies the policy as it reads now; `host plan` says how."
    elif found.steps or files:
        yield "`lanekeeper host apply` brings the policy back; `host plan` says how."


def _meaning(file: Edited) -> str:
    """Say of the policy itself that what is to do comes of its edit."""
    if file.path != POLICY_FILE or file.what != EDITED:
        return ""
    return " applied it: `lanekeeper host plan` shows what the new text would change"
