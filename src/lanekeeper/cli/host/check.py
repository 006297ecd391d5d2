"""``lanekeeper host check``."""

from __future__ import annotations

import argparse
import os
import sys

from lanekeeper.cli import exit_code
from lanekeeper.cli.host import view
from lanekeeper.cli.host.called import program
from lanekeeper.cli.host.output import show
from lanekeeper.cli.host.policy import policy_at, policy_path
from lanekeeper.cli.host.target import target_of
from lanekeeper.domain.hostplan.findings.check import check
from lanekeeper.domain.hostplan.findings.finding import Severity, worst
from lanekeeper.domain.hostplan.findings.policy import policy_findings
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.host.survey import read_survey


def check_host(arguments: argparse.Namespace) -> int:
    """Print every finding; 1 when one of them is an error."""
    with target_of(arguments) as target:
        survey = read_survey(target.root, program())
        findings = check(survey)
        path = policy_path(arguments, target)
        if path is not None:
            policy = policy_at(arguments, path)
            findings += policy_findings(policy, plan(policy, survey.host))
    text = view.findings_text(findings, colour=_colour())
    show(arguments, {"findings": view.findings_json(findings)}, text)
    return exit_code.NO if worst(findings) is Severity.ERROR else exit_code.DONE


def _colour() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ
