"""Steps that keep a policy for the next boot, and the unit that applies it there."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan import persistence
from lanekeeper.domain.hostplan.action import MakeLink, RemoveFile
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.step import Step
from lanekeeper.domain.hostplan.steps.files import directory_steps, file_steps, removal_step


def persist_steps(policy: Policy, host: HostFacts) -> Iterator[Step]:
    """Write the policy and its unit where the next boot finds them, or take both away."""
    if not policy.persist:
        yield from _removal_steps(policy, host)
        return
    yield from file_steps(host, persistence.POLICY_FILE, policy.text, "the policy to keep")
    if not host.has_systemd:
        return
    why = "VFs vanish with a reboot; this unit brings them back"
    yield from file_steps(host, persistence.UNIT_FILE, persistence.unit_text(host.program), why)
    link = persistence.UNIT_LINK
    if host.files.get(link) is None:
        yield from directory_steps(host, link)
        do = MakeLink(link, persistence.UNIT_LINK_TARGET)
        yield Step(do, (RemoveFile(link),), "the unit runs at each boot")


def _removal_steps(policy: Policy, host: HostFacts) -> Iterator[Step]:
    """Take away what an earlier policy kept: the next boot would bring that one back.

    A kept file that says so itself is the operator's word: without the unit nothing applies it.
    """
    unit, kept = (host.files.get(p) for p in (persistence.UNIT_FILE, persistence.POLICY_FILE))
    if unit is None or persistence.SIGN not in unit:
        return
    why = "the policy says persist: false, and the next boot would bring the former one back"
    link = persistence.UNIT_LINK
    if host.files.get(link) is not None:
        yield Step(RemoveFile(link), (MakeLink(link, persistence.UNIT_LINK_TARGET),), why)
    yield removal_step(host, persistence.UNIT_FILE, unit, why)
    if kept is not None and kept != policy.text:
        yield removal_step(host, persistence.POLICY_FILE, kept, why)
