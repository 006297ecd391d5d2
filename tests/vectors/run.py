"""Asking Lanekeeper about cases, and judging what it says."""

from __future__ import annotations

from collections.abc import Iterable

from vectors.adapters import ADAPTERS
from vectors.case import Answer, CaseFile, Data, Outcome, Result
from vectors.deliberate import Difference, differences, later

_SHOWN = 160


def run_file(file: CaseFile) -> list[Result]:
    return [judge(file.kind, data) for data in file.cases]


def judge(kind: str, data: Data) -> Result:
    """Say what comes of one case. A crash is a failure of that case, not of the run."""
    try:
        return _judge(kind, data)
    except Exception as error:
        return Result(data["id"], Outcome.FAILED, _short(f"{type(error).__name__}: {error}"))


def _judge(kind: str, data: Data) -> Result:
    for one in later():
        if kind in one.scope.files and one.scope.holds(data, data.get("expect")):
            return Result(data["id"], Outcome.LATER, one.reason)
    if kind not in ADAPTERS:
        return Result(data["id"], Outcome.FAILED, "no adapter: nothing answers this kind of file")
    results = [_judge_answer(kind, data, answer) for answer in ADAPTERS[kind](data)]
    failed = [result for result in results if result.outcome is Outcome.FAILED]
    other = [result for result in results if result.outcome is not Outcome.PASSED]
    return (failed + other + results)[0]


def declared(kind: str, data: Data, answer: Answer) -> Difference | None:
    """Return the entry of deliberate.toml that is about this answer."""
    return next(
        (one for one in differences() if kind in one.scope.files and one.concerns(data, answer)),
        None,
    )


def _judge_answer(kind: str, data: Data, answer: Answer) -> Result:
    if answer.said == answer.expected:
        return Result(data["id"], Outcome.PASSED)
    difference = declared(kind, data, answer)
    if difference is None:
        return Result(data["id"], Outcome.FAILED, _apart(answer.said, answer.expected))
    ours = difference.answer(data, answer)
    if answer.said == ours:
        return Result(data["id"], Outcome.DELIBERATE, difference.reason)
    return Result(data["id"], Outcome.FAILED, "declared " + _apart(answer.said, ours))


def tally(results: Iterable[Result]) -> dict[Outcome, list[Result]]:
    found: dict[Outcome, list[Result]] = {outcome: [] for outcome in Outcome}
    for result in results:
        found[result.outcome].append(result)
    return found


def _apart(said: object, expected: object) -> str:
    """Name what differs: of two tables only the members that do."""
    if isinstance(said, dict) and isinstance(expected, dict):
        keys = [key for key in {**expected, **said} if said.get(key) != expected.get(key)]
        said = {key: said.get(key) for key in keys}
        expected = {key: expected.get(key) for key in keys}
    return f"said {_short(repr(said))}, not {_short(repr(expected))}"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
