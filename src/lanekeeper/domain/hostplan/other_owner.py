"""Who beside the policy gives its PFs VFs at boot."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan.choice import Chosen
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.step import Caution
from lanekeeper.domain.hostplan.vf_count import VfCount

_CODE = "vf-count-elsewhere"


def count_cautions(policy: Policy, host: HostFacts, chosen: Chosen) -> Iterator[Caution]:
    """Warn of each line of the operator's that sets what the policy sets, with its place."""
    for entry, pf in chosen:
        for line in host.vf_counts_of(pf):
            reason = f"{line.owner} {_does(line, str(pf.address))}: {line}"
            yield Caution(_CODE, entry.path, reason, f"take {line.place} out: the policy has it")
    for line in host.vf_counts if policy.pfs else ():
        if not line.marks:
            does = "takes the VFs of a PF away" if line.count == 0 else "gives a PF VFs"
            reason = f"{line.owner} {does} at boot, and does not say which: {line}"
            fix = f"take {line.place} out if it is a PF of the policy"
            yield Caution(_CODE, "pfs", reason, fix)


def _does(line: VfCount, pf: str) -> str:
    if line.count == 0:
        return f"takes the VFs of {pf} away at boot"
    how_many = "VFs" if line.count is None else f"{line.count} VFs"
    return f"gives {pf} {how_many} at boot, too"
