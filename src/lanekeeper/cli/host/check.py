"""``lanekeeper host check``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator

from lanekeeper.cli import exit_code
from lanekeeper.cli.host import view
from lanekeeper.cli.host.called import program
from lanekeeper.cli.host.changing import changes_of, unfinished_of
from lanekeeper.cli.host.output import show
from lanekeeper.cli.host.policy import policy_at, policy_path
from lanekeeper.cli.host.target import Target, target_of
from lanekeeper.cli.host.unfinished import unfinished_text
from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.hostplan.findings.check import check
from lanekeeper.domain.hostplan.findings.finding import Finding, Severity, worst
from lanekeeper.domain.hostplan.findings.policy import (
    UNFINISHED,
    UNREADABLE,
    policy_findings,
)
from lanekeeper.host.journal import DIRECTORY, Course, Journal, journals
from lanekeeper.host.planning import plan_after
from lanekeeper.host.survey import read_survey
from lanekeeper.host.unfinished import Standing, Unfinished


def check_host(arguments: argparse.Namespace) -> int:
    """Print every finding; 1 when one of them is an error."""
    with target_of(arguments) as target:
        survey = read_survey(target.root, program())
        findings = check(survey)
        path = policy_path(arguments, target)
        policy = None if path is None else policy_at(arguments, path)
        if policy is not None:
            found = plan_after(policy, survey.host, _readable(target))
            findings += policy_findings(policy, found)
        wanted = policy.text if policy is not None and arguments.policy is not None else None
        findings += (*_unfinished(target, wanted),)
    text = view.findings_text(findings, colour=_colour())
    show(arguments, {"findings": view.findings_json(findings)}, text)
    return exit_code.NO if worst(findings) is Severity.ERROR else exit_code.DONE


def _readable(target: Target) -> list[Journal]:
    """Return the changes; none where one cannot be read, which is a finding of its own."""
    try:
        return journals(changes_of(target))
    except HostFault:
        return []


def _unfinished(target: Target, wanted: str | None) -> Iterator[Finding]:
    """Find the change that comes before any policy, or the journal that comes before all."""
    try:
        left = unfinished_of(target)
    except HostFault as error:
        yield UNREADABLE.found("host", str(error), "the journals", fix=error.hint)
        return
    if left is not None:
        waits = left.standing in (Standing.WAITS, Standing.UNWATCHED, Standing.DUE)
        fix = None
        if left.standing in (Standing.WAITS, Standing.UNWATCHED):
            fix = f"lanekeeper host confirm {left.change.id}, or lanekeeper host rollback"
        yield UNFINISHED.found(
            "host",
            unfinished_text(left, wanted),
            f"/{DIRECTORY}/{left.change.path.name}",
            severity=Severity.WARNING if waits else None,
            fix=fix,
        )
    for change in _readable(target):
        if change.course is Course.LEFT:
            yield UNFINISHED.found(
                "host",
                unfinished_text(Unfinished(change, Standing.HALF_BACK), wanted),
                f"/{DIRECTORY}/{change.path.name}",
                severity=Severity.WARNING,
                fix="lanekeeper host rollback, or lanekeeper host rollback --give-up",
            )


def _colour() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ
