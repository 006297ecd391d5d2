"""Whether a host is as a policy wants it."""

from __future__ import annotations

from lanekeeper.domain.hostplan.findings.finding import PAGE, Finding, Kind, Severity
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.step import Plan

HOLDS = Kind("policy-holds", Severity.OK, "The host is as the policy wants it.")
DIFFERS = Kind(
    "policy-differs",
    Severity.ERROR,
    "The host is not as the policy wants it.",
    "Devices that the controller counts on may not be there.",
    "lanekeeper host apply",
)
REFUSED = Kind(
    "policy-refused",
    Severity.ERROR,
    "The policy asks for what cannot be, or should not be done; the id is `policy-` and the "
    "code of the refusal, `policy-vfs-above-total` say.",
    "Nothing of the policy is applied while something in it is refused.",
    "as the finding says",
)
UNFINISHED = Kind(
    "change-unfinished",
    Severity.ERROR,
    "A change of this host was cut off, or waits for its confirmation (a warning).",
    "The host is neither as it was before the change nor as a policy wants it; every other change "
    "waits for it.",
    "lanekeeper host apply, which goes on with it or takes it back; or lanekeeper host rollback",
)
UNREADABLE = Kind(
    "change-unreadable",
    Severity.ERROR,
    "The journal of a change cannot be read.",
    "Nothing is changed here, nor taken back, before it is mended or moved away.",
    "lanekeeper host changes",
)
KINDS = (HOLDS, DIFFERS, REFUSED, UNFINISHED, UNREADABLE)


def policy_findings(policy: Policy, found: Plan) -> tuple[Finding, ...]:
    """Say whether the host is as *policy* wants it, from the plan that was made of both."""
    refused = tuple(
        Finding(
            id=f"policy-{r.code}",
            severity=REFUSED.severity,
            subject=r.subject,
            summary=r.reason,
            evidence="the policy",
            consequence=REFUSED.consequence,
            fix=r.fix,
            docs=f"{PAGE}#{REFUSED.id}",
        )
        for r in found.refusals
    )
    if found.steps:
        first = f"first: {found.steps[0].do}"
        steps = "1 step" if len(found.steps) == 1 else f"{len(found.steps)} steps"
        summary = f"{steps} away from the policy"
        return (*refused, DIFFERS.found("host", summary, first))
    if refused:
        return refused
    wanted = sum(entry.vfs for entry in policy.pfs)
    summary = f"the host is as the policy wants it ({wanted} VFs)"
    return (HOLDS.found("host", summary, "the plan is empty"),)
