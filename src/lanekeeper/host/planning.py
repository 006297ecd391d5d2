"""A plan for a machine with a history: what earlier policies have left is said, too."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.hostplan.action import MakeDirectory, RemoveDirectory, SetVfCount
from lanekeeper.domain.hostplan.dropped import dropped, dropped_arguments
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.partial import plan_rest
from lanekeeper.domain.hostplan.persistence import UDEV_FILE
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.replaced import Identity, identities_of_rules, replaced
from lanekeeper.domain.hostplan.step import Caution, Plan, Refusal
from lanekeeper.domain.hostplan.steps.files import emptied_steps
from lanekeeper.host.journal import STANDING, Journal, StepState, devices_left
from lanekeeper.host.policy_file import load_policy, placed


def plan_here(
    policy: Policy,
    host: HostFacts,
    changes: Sequence[Journal],
    accepted: Collection[str] = (),
    *,
    rest: bool = False,
) -> Plan:
    """Plan, and name what an earlier policy asked for that stays, by the *changes* made here.

    *rest*: entries that are refused are left out.
    """
    planner = partial(plan_after, policy, host, changes, accepted)
    found = plan_rest(planner) if rest else planner()
    standing = [each for each in changes if each.course in STANDING]
    left = dropped(policy, _last_policy(standing), _made(standing), host)
    words = dropped_arguments(policy, earlier_policies(changes), host)
    return replace(found, pending=(*found.pending, *left, *words))


def plan_after(
    policy: Policy,
    host: HostFacts,
    changes: Sequence[Journal],
    accepted: Collection[str] = (),
    without: Collection[str] = (),
) -> Plan:
    """Plan, and refuse what is not the function any more that *changes* were about."""
    found = plan(policy, host, without)
    known = known_devices(host, changes)
    told = [*replaced(policy, host, known, accepted)]
    others = [
        each for each in told if isinstance(each, Refusal) and not {*each.entries} & {*without}
    ]
    if others:
        found = replace(found, steps=(), refusals=(*others, *found.refusals))
    emptied = emptied_steps(found.steps, host, made_directories(changes))
    found = replace(found, steps=(*found.steps, *emptied))
    cautions = (each for each in told if isinstance(each, Caution))
    return placed(replace(found, warnings=(*found.warnings, *cautions)), policy)


def made_directories(changes: Sequence[Journal]) -> set[str]:
    """Return the directories that *changes* which stand made and have not removed since."""
    made: set[str] = set()
    for change in changes:
        if change.course not in STANDING:
            continue
        for at, step in enumerate(change.steps):
            if change.states[at] is not StepState.DONE:
                continue
            if isinstance(step.do, MakeDirectory):
                made.add(step.do.path)
            elif isinstance(step.do, RemoveDirectory):
                made.discard(step.do.path)
    return made


def known_devices(host: HostFacts, changes: Sequence[Journal]) -> dict[str, Identity]:
    """Return what the functions are that the last change was about, by address."""
    known = devices_left(changes)
    return known if known is not None else identities_of_rules(host.files.get(UDEV_FILE) or "")


def earlier_policies(changes: Sequence[Journal]) -> Iterator[Policy]:
    """Yield each policy that *changes* which stand applied, but for those not taken any more."""
    texts = (change.head.policy for change in changes if change.course in STANDING)
    for text in dict.fromkeys(filter(None, texts)):
        with suppress(Invalid):
            yield load_policy(text, "an earlier policy")


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
