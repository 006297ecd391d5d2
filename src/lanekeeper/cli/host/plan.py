"""``lanekeeper host plan``."""

from __future__ import annotations

import argparse

from lanekeeper.cli import exit_code
from lanekeeper.cli.host import view
from lanekeeper.cli.host.called import program
from lanekeeper.cli.host.changing import changes_of, unfinished_of
from lanekeeper.cli.host.image import plan_image
from lanekeeper.cli.host.output import show
from lanekeeper.cli.host.policy import policy_of
from lanekeeper.cli.host.target import target_of
from lanekeeper.cli.host.unfinished import unfinished_json, unfinished_text
from lanekeeper.domain.hostplan.nova_conf import nova_conf, sriov_nic
from lanekeeper.host.bring import Planned
from lanekeeper.host.facts import read_host
from lanekeeper.host.journal import journals
from lanekeeper.host.planning import plan_here
from lanekeeper.host.unfinished import Unfinished


def plan_host(arguments: argparse.Namespace) -> int:
    """Print the plan; 0 when it is empty, 1 when there is something to do or refused."""
    if arguments.offline:
        return plan_image(arguments)
    with target_of(arguments) as target:
        policy = policy_of(arguments, target)
        host = read_host(target.root, program())
        found = plan_here(policy, host, journals(changes_of(target)))
        return show_plan(arguments, Planned(policy, host, found), unfinished_of(target))


def show_plan(
    arguments: argparse.Namespace, planned: Planned, unfinished: Unfinished | None
) -> int:
    """Print the plan, and which change has to be brought to its end before it."""
    policy, host, found = planned.policy, planned.host, planned.plan
    is_done = found.is_empty and not found.left_out and unfinished is None
    sections = {
        "pci": nova_conf(policy, host) if is_done else (),
        "sriov_nic": sriov_nic(policy, host) if is_done else (),
    }
    wanted = policy.text if arguments.policy is not None else None
    first = [unfinished_text(unfinished, wanted), ""] if unfinished is not None else []
    text = [*first, *view.plan_text(found)]
    for name, lines in sections.items():
        text += ["", f"[{name}]", *lines] if lines else []
    left = unfinished_json(unfinished)
    conf = {"nova_conf": list(sections["pci"]), "sriov_nic": list(sections["sriov_nic"])}
    show(arguments, {**view.plan_json(found), **conf, "unfinished": left}, text)
    return exit_code.DONE if is_done else exit_code.NO
