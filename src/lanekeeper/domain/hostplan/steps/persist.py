"""Steps that keep a policy for the next boot, and the unit that applies it there."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan import persistence
from lanekeeper.domain.hostplan.action import MakeLink, RemoveFile
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.step import Step
from lanekeeper.domain.hostplan.steps.files import directory_steps, file_steps


def persist_steps(policy: Policy, host: HostFacts) -> Iterator[Step]:
    """Write the policy and its unit where the next boot finds them."""
    if not policy.persist:
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
