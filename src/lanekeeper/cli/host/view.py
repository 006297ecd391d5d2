"""What ``lanekeeper host`` prints: text for people, plain values for ``--json``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from textwrap import wrap
from typing import Any

import msgspec

from lanekeeper.domain.hostplan.findings.finding import PAGE, Finding, Severity
from lanekeeper.domain.hostplan.step import Caution, Impact, Plan, Refusal, State, Step, Unmet
from lanekeeper.host.journal import Course
from lanekeeper.host.outcome import Outcome

_COLOURS = {Severity.OK: "32", Severity.INFO: "36", Severity.WARNING: "33", Severity.ERROR: "31"}
_WIDTH = 110


def findings_text(findings: Sequence[Finding], *, colour: bool) -> Iterator[str]:
    """The gravest first: what was found, why it matters, what mends it; then a count.

    What is well has one line each. Of several findings of one kind the first says why.
    """
    explained = set()
    for severity in reversed(Severity):
        for finding in findings:
            if finding.severity is severity:
                yield from _finding_lines(finding, colour=colour, why=finding.id not in explained)
                explained.add(finding.id)
    counts = ((sum(f.severity is severity for f in findings), severity) for severity in Severity)
    yield ", ".join(f"{count} {severity}" for count, severity in counts)
    if any(finding.severity is not Severity.OK for finding in findings):
        yield f"More on each id: {PAGE}"


def _finding_lines(finding: Finding, *, colour: bool, why: bool) -> Iterator[str]:
    severity = f"{finding.severity.upper():8}"
    if colour:
        severity = f"\033[{_COLOURS[finding.severity]}m{severity}\033[0m"
    subject = "" if finding.subject == "host" else f"{finding.subject}: "
    line = f"{severity} {finding.id:26} {subject}{finding.summary}"
    if finding.severity is Severity.OK:
        yield f"{line} ({finding.evidence})"
        return
    yield line
    told = {"found": finding.evidence, "why": finding.consequence if why else ""}
    for word, text in (*told.items(), ("fix", finding.fix)):
        if text:
            yield from wrap(
                text,
                _WIDTH,
                initial_indent=f"{'':9}{word:7}",
                subsequent_indent=" " * 16,
                break_long_words=False,
                break_on_hyphens=False,
            )


def findings_json(findings: Sequence[Finding]) -> list[dict[str, str]]:
    return [asdict(finding) for finding in findings]


def plan_text(plan: Plan) -> Iterator[str]:
    """Steps with why, impact and undo; refusals with reason and fix; what waits for a reboot."""
    for number, step in enumerate(plan.steps, 1):
        yield f"{number:3}. {step.do}"
        yield f"       why     {step.why}"
        if step.impact is not Impact.NONE or step.affects:
            yield f"       impact  {step.impact}{_whom(step)}"
        undo = "; then ".join(str(action) for action in step.undo)
        yield f"       undo    {undo or 'not needed'}"
    for refusal in plan.refusals:
        yield f"refused: {_said(refusal)}"
        yield f"         fix: {refusal.fix}"
    yield from left_out_text(plan)
    yield from warnings_text(plan)
    for pending in plan.pending:
        yield f"pending: {pending}"
    if plan.steps or plan.refusals or plan.left_out or plan.pending or plan.warnings:
        yield from map(_state_line, plan.states)
    if plan.refusals:
        yield "Nothing will be changed while something is refused."
    elif plan.is_empty and (plan.unmet or plan.left_out):
        yield "Nothing to do: else the host is as the policy wants it."
    elif plan.is_empty:
        yield "Nothing to do: the host is as the policy wants it."
    else:
        yield "1 step." if len(plan.steps) == 1 else f"{len(plan.steps)} steps."


def left_out_text(plan: Plan) -> Iterator[str]:
    """Entries that are refused, where the rest is applied without them."""
    for refusal in plan.left_out:
        yield f"left out: {_said(refusal)}"
        yield f"         fix: {refusal.fix}"


def warnings_text(plan: Plan) -> Iterator[str]:
    """Entries that select nothing, with what was probably meant; and cautions."""
    for unmet in plan.warnings:
        yield f"warning: {_said(unmet)}"
        if unmet.fix:
            yield f"         fix: {unmet.fix}"


def _said(one: Refusal | Unmet | Caution) -> str:
    place = f"{one.place}: " if one.place else ""
    return f"{place}{one.subject}: {one.reason} ({one.code})"


def refusals_text(plan: Plan) -> Iterator[str]:
    """What is refused and why, in a line each."""
    return (f"refused: {_said(refusal)}" for refusal in plan.refusals)


def _whom(step: Step) -> str:
    return f": {', '.join(step.affects)}" if step.affects else ""


def _state_line(state: State) -> str:
    capable = f"capable {state.capable}, " if state.capable else ""
    later = f", after a reboot {state.after_reboot}" if state.after_reboot else ""
    told = f"{capable}requested {state.requested}, active {state.active}{later}"
    return f"state: {state.subject} {state.setting}: {told}"


def plan_json(plan: Plan) -> dict[str, Any]:
    return {
        "steps": [_step_json(step) for step in plan.steps],
        "refusals": [asdict(refusal) for refusal in plan.refusals],
        "left_out": [asdict(refusal) for refusal in plan.left_out],
        "warnings": [asdict(unmet) for unmet in plan.warnings],
        "pending": list(plan.pending),
        "states": [asdict(state) for state in plan.states],
    }


def _step_json(step: Step) -> dict[str, Any]:
    return {
        "text": str(step.do),
        "do": msgspec.to_builtins(step.do),
        "undo": [msgspec.to_builtins(action) for action in step.undo],
        "why": step.why,
        "impact": str(step.impact),
        "affects": list(step.affects),
    }


def outcome_text(outcome: Outcome) -> Iterator[str]:
    if outcome.failure:
        yield f"failed: {outcome.failure}"
    for left in outcome.left:
        yield f"could not be taken back: {left}"
    for kept in outcome.kept:
        yield f"kept: {kept}"
    match outcome.course:
        case Course.APPLIED:
            yield f"Change {outcome.change} is applied; `lanekeeper host rollback` takes it back."
        case Course.UNCONFIRMED:
            assert outcome.confirm_by is not None
            until = f"at {outcome.confirm_by:%H:%M:%S} UTC, or with a reboot,"
            yield f"Change {outcome.change} is applied. It goes back by itself"
            yield f"{until} unless you confirm it:"
            yield f"    lanekeeper host confirm {outcome.change}"
        case Course.TAKEN_BACK if outcome.is_past:
            yield f"Change {outcome.change} is taken back. It began before the last boot, which may"
            yield "have ended more than that change: `lanekeeper host plan` says what is to do."
        case Course.TAKEN_BACK if outcome.left:
            yield f"Change {outcome.change} is taken back but for that, which stays as it is."
        case Course.TAKEN_BACK:
            yield f"Change {outcome.change} is taken back: the host is as it was before."
        case Course.LEFT:
            yield f"Change {outcome.change} stays half taken back; others can be made after it."
            yield from _ways_out("tries the rest again")
        case _:
            yield f"Change {outcome.change} is half taken back. Mend the above; then"
            yield from _ways_out("takes back the rest")


def _ways_out(what: str) -> Iterator[str]:
    yield f"    `lanekeeper host rollback` {what},"
    yield "    `lanekeeper host rollback --give-up` leaves as it is what cannot be taken back"


def outcome_json(outcome: Outcome | None) -> dict[str, Any] | None:
    return None if outcome is None else asdict(outcome)
