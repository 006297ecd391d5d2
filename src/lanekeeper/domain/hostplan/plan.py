"""From a policy and an observed host to ordered steps, each with its undo. Pure and complete.

Whoever executes a plan makes no choice: what could go wrong by choice is a refusal here, and a
plan with a refusal is not executed at all, because half a policy is no policy. Each noun of a
policy has its module in ``steps``; the order in which the kernel wants them is here.
"""

from __future__ import annotations

from lanekeeper.domain.hostplan.choice import choose
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.step import Plan
from lanekeeper.domain.hostplan.steps.boot.argument import boot_pending, boot_refusals, boot_steps
from lanekeeper.domain.hostplan.steps.max_vfs import max_vfs_steps
from lanekeeper.domain.hostplan.steps.module import module_steps
from lanekeeper.domain.hostplan.steps.persist import persist_steps
from lanekeeper.domain.hostplan.steps.pf import pf_refusals, pf_steps


def plan(policy: Policy, host: HostFacts) -> Plan:
    """Return what turns *host* into what *policy* says; empty when it is so already."""
    chosen, refusals = choose(policy, host)
    refusals = [*refusals, *pf_refusals(policy, host, chosen), *boot_refusals(policy, host)]
    steps = [
        *module_steps(host, chosen),
        *(step for entry, pf in chosen for step in pf_steps(entry, pf, host)),
        *max_vfs_steps(policy, host, chosen),
        *persist_steps(policy, host),
        *boot_steps(policy, host),
    ]
    once = tuple(dict.fromkeys(steps))  # two files may need one directory
    return Plan(() if refusals else once, tuple(refusals), tuple(boot_pending(policy, host)))
