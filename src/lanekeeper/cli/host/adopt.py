"""``lanekeeper host adopt``."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import yaml

from lanekeeper.cli import exit_code
from lanekeeper.cli.host.called import program
from lanekeeper.cli.host.output import show
from lanekeeper.cli.host.target import target_of
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.hostplan.adopt import Lost, adopt
from lanekeeper.host.survey import read_survey

_HEAD = """\
# The host as `lanekeeper host adopt` found it; a plan for this file changes no device.
# Whom the VFs and devices serve no host knows: add physical_network or alias to each entry.
"""


def adopt_host(arguments: argparse.Namespace) -> int:
    """Write the policy that describes the machine, and say what a reboot would take away."""
    with target_of(arguments) as target:
        document, lost = adopt(read_survey(target.root, program()))
    text = policy_text(document, lost)
    if arguments.json:
        told = [{"setting": each.setting, "why": each.why} for each in lost]
        show(arguments, {"policy": document, "lost_by_a_reboot": told}, ())
        return exit_code.DONE
    if arguments.output is None:
        sys.stdout.write(text)
        return exit_code.DONE
    try:
        with arguments.output.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        hint = "name a file that is not there yet"
        raise Invalid(f"cannot write {arguments.output}: {error.strerror}", hint=hint) from error
    print(f"{arguments.output}: {len(document.get('pfs', []))} PFs.")
    for each in lost:
        print(f"would not survive a reboot: {each}")
    return exit_code.DONE


def policy_text(document: dict[str, Any], lost: tuple[Lost, ...]) -> str:
    """Return the policy as a file, with what would be lost in comments."""
    lines = [f"#   {each}\n" for each in lost]
    told = ["# Would not survive a reboot without `lanekeeper host apply`:\n", *lines]
    body = yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=100)
    return _HEAD + "".join(told if lost else ()) + body
