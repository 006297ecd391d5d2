"""Whether a host is as a policy wants it."""

from __future__ import annotations

from lanekeeper.domain.hostplan.findings.finding import Finding, Severity
from lanekeeper.domain.hostplan.plan import Plan
from lanekeeper.domain.hostplan.policy import Policy


def policy_findings(policy: Policy, found: Plan) -> tuple[Finding, ...]:
    """Say whether the host is as *policy* wants it, from the plan that was made of both."""
    refused = tuple(
        Finding(f"policy-{r.code}", Severity.ERROR, r.subject, r.reason, "the policy", r.fix)
        for r in found.refusals
    )
    if found.steps:
        first = f"first: {found.steps[0].do}"
        summary = f"{len(found.steps)} steps away from the policy"
        differs = Finding(
            "policy-differs", Severity.ERROR, "host", summary, first, "lanekeeper host apply"
        )
        return (*refused, differs)
    if refused:
        return refused
    wanted = sum(entry.vfs for entry in policy.pfs)
    summary = f"the host is as the policy wants it ({wanted} VFs)"
    return (Finding("policy-holds", Severity.OK, "host", summary, "the plan is empty"),)
