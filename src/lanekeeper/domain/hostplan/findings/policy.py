"""Whether a host is as a policy wants it."""

from __future__ import annotations

from lanekeeper.domain.hostplan.findings.finding import PAGE, Finding, Kind, Severity
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.step import Caution, Plan, Refusal, Unmet

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
UNMET = Kind(
    "policy-unmet",
    Severity.WARNING,
    "An entry of the policy selects nothing on this host; the id is `policy-` and the code of the "
    "warning, `policy-pf-not-found` or `policy-device-not-found`.",
    "Nothing is set up for this entry: a card is gone, or its selector is misspelt. The rest of "
    "the policy is applied without it.",
    "as the finding says",
)
RISK = Kind(
    "policy-risk",
    Severity.WARNING,
    "The policy can be applied, and has something that an operator should know; the id is "
    "`policy-` and the code of the warning, `policy-module-unknown` say.",
    "As the finding says; nothing is refused for it.",
    "as the finding says",
)
UNFINISHED = Kind(
    "change-unfinished",
    Severity.ERROR,
    "A change of this host was cut off, or waits for its confirmation (a warning), or was not "
    "confirmed in time and its guardian is gone; or could be taken back but in part (a warning).",
    "The host is neither as it was before the change nor as a policy wants it; every other change "
    "waits for it, but for one that is half taken back.",
    "lanekeeper host apply, which goes on with it or takes it back; or lanekeeper host rollback",
)
UNREADABLE = Kind(
    "change-unreadable",
    Severity.ERROR,
    "The journal of a change cannot be read.",
    "Nothing is changed here, nor taken back, before it is mended or moved away.",
    "lanekeeper host changes",
)
KINDS = (HOLDS, DIFFERS, REFUSED, UNMET, RISK, UNFINISHED, UNREADABLE)


def policy_findings(policy: Policy, found: Plan) -> tuple[Finding, ...]:
    """Say whether the host is as *policy* wants it, from the plan that was made of both."""
    told = (
        *(_of_entry(REFUSED, refusal) for refusal in found.refusals),
        *(_of_entry(UNMET if isinstance(each, Unmet) else RISK, each) for each in found.warnings),
    )
    if found.steps:
        first = f"first: {found.steps[0].do}"
        steps = "1 step" if len(found.steps) == 1 else f"{len(found.steps)} steps"
        summary = f"{steps} away from the policy"
        return (*told, DIFFERS.found("host", summary, first))
    if found.refusals or found.unmet:
        return told
    wanted = sum(entry.vfs for entry in policy.pfs)
    summary = f"the host is as the policy wants it ({wanted} VFs)"
    return (*told, HOLDS.found("host", summary, "the plan is empty"))


def _of_entry(kind: Kind, one: Refusal | Unmet | Caution) -> Finding:
    return Finding(
        id=f"policy-{one.code}",
        severity=kind.severity,
        subject=one.subject,
        summary=one.reason,
        evidence=one.place or "the policy",
        consequence=kind.consequence,
        fix=one.fix,
        docs=f"{PAGE}#{kind.id}",
    )
