"""``lanekeeper host plan``."""

from __future__ import annotations

import argparse

from lanekeeper.cli import exit_code
from lanekeeper.cli.host import view
from lanekeeper.cli.host.called import program
from lanekeeper.cli.host.image import plan_image
from lanekeeper.cli.host.output import show
from lanekeeper.cli.host.policy import policy_of
from lanekeeper.cli.host.target import target_of
from lanekeeper.domain.hostplan.nova_conf import nova_conf
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.host.facts import read_host


def plan_host(arguments: argparse.Namespace) -> int:
    """Print the plan; 0 when it is empty, 1 when there is something to do or refused."""
    if arguments.offline:
        return plan_image(arguments)
    with target_of(arguments) as target:
        policy = policy_of(arguments, target)
        host = read_host(target.root, program())
    return show_plan(arguments, policy, host)


def show_plan(arguments: argparse.Namespace, policy: Policy, host: HostFacts) -> int:
    found = plan(policy, host)
    lines = nova_conf(policy, host) if found.is_empty else ()
    text = [*view.plan_text(found), *(["", "[pci]", *lines] if lines else [])]
    show(arguments, {**view.plan_json(found), "nova_conf": list(lines)}, text)
    return exit_code.DONE if found.is_empty else exit_code.NO
