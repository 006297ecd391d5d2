"""``lanekeeper host confirm``, and ``host guard``, which takes back what nobody confirms."""

from __future__ import annotations

import argparse
import sys
import syslog

from lanekeeper.cli import exit_code
from lanekeeper.cli.host import view
from lanekeeper.cli.host.changing import executor_of
from lanekeeper.cli.host.output import report
from lanekeeper.cli.host.target import require_changeable, target_of
from lanekeeper.host.hold import confirm, guard
from lanekeeper.host.interruption import interruption


def confirm_host(arguments: argparse.Namespace) -> int:
    """Keep a change that waits for it; 1 when it does not, or not any more."""
    with target_of(arguments) as target:
        require_changeable(target)
        with interruption():  # going back half-way helps nobody
            late = confirm(executor_of(target), arguments.change)
    if late is not None:
        print(f"error: too late to confirm change {arguments.change}", file=sys.stderr)
        document = {"confirmed": None, "outcome": view.outcome_json(late)}
        return report(arguments, document, view.outcome_text(late), exit_code.NO)
    text = f"Change {arguments.change} is confirmed; `lanekeeper host rollback` takes it back."
    document = {"confirmed": arguments.change, "outcome": None}
    return report(arguments, document, [text], exit_code.DONE)


def guard_host(arguments: argparse.Namespace) -> int:
    """Watch one change, as `host apply` starts it, until it is confirmed or taken back."""
    with target_of(arguments) as target, interruption() as interrupted:
        require_changeable(target)
        outcome = guard(executor_of(target), arguments.change, interrupted.reason)
        if outcome is None:
            return exit_code.DONE
        if not target.is_simulated:
            syslog.openlog("lanekeeper", syslog.LOG_PID, syslog.LOG_DAEMON)
            for line in view.outcome_text(outcome):
                syslog.syslog(syslog.LOG_WARNING, line)
    document = {"outcome": view.outcome_json(outcome)}
    code = exit_code.NO if outcome.left else exit_code.DONE
    return report(arguments, document, view.outcome_text(outcome), code)
