"""A plan for a machine with a history: what earlier policies have left is said, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lanekeeper.cli.host.changing import changes_of
from lanekeeper.cli.host.target import Target
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.hostplan.action import SetVfCount
from lanekeeper.domain.hostplan.dropped import dropped
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.step import Plan
from lanekeeper.host.journal import Course, Journal, StepState, journals
from lanekeeper.host.policy_file import load_policy

_STANDING = (Course.APPLIED, Course.UNCONFIRMED)


def plan_here(policy: Policy, host: HostFacts, target: Target) -> Plan:
    """Plan, and name what an earlier policy asked for that stays. Raises HostFault."""
    found = plan(policy, host)
    standing = [each for each in journals(changes_of(target)) if each.course in _STANDING]
    left = dropped(policy, _last_policy(standing), _made(standing), host)
    return replace(found, pending=(*found.pending, *left))


def _last_policy(standing: Sequence[Journal]) -> Policy | None:
    """Return the last that was applied; None too for one that this release does not take."""
    texts = [change.head.policy for change in standing if change.head.policy]
    try:
        return load_policy(texts[-1], "the last policy") if texts else None
    except Invalid:
        return None


def _made(standing: Sequence[Journal]) -> set[str]:
    """Return the PFs that were given VFs, by the last word on each."""
    counts: dict[str, int] = {}
    for change in standing:
        for at, step in enumerate(change.steps):
            if isinstance(step.do, SetVfCount) and change.states[at] is StepState.DONE:
                counts[step.do.pf] = step.do.count
    return {pf for pf, count in counts.items() if count}
