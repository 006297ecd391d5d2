"""Whether a device is well: what is read of it, followed until it is sure.

What is wrong has to last before it counts, and what is well again has to last longer, so that a
loose cable does not have devices come and go. Silence of a host means that all is as it was told.

Source: Linux ``Documentation/ABI/testing/sysfs-bus-pci-devices-aer``, ``sysfs-class-net``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class Signal(StrEnum):
    """What can be wrong with a device."""

    MISSING = "missing"
    DRIVER = "driver"
    LINK_DOWN = "link_down"
    LINK_DEGRADED = "link_degraded"
    AER_FATAL = "aer_fatal"
    AER_NONFATAL = "aer_nonfatal"
    AER_CORRECTABLE = "aer_correctable"


class Action(StrEnum):
    """What is done about a signal that is raised."""

    IGNORE = "ignore"
    WARN = "warn"  # it is shown
    EXCLUDE = "exclude"  # and the device is offered to nobody new


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How one signal is judged.

    Attributes:
        raise_after_s: how long what is wrong must last.
        clear_after_s: how long all must be well before the device is taken for well.
        errors: of errors, how many within *within_s* are too many.
    """

    action: Action
    raise_after_s: float = 0.0
    clear_after_s: float = 0.0
    errors: int = 1
    within_s: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a host sees of one function that is no VF; None is what it cannot tell.

    Attributes:
        driver_problem: why it has no driver although it should; empty when all is well.
        carrier: whether its interface has a link.
        speed_gts, width: of its PCIe link now, in GT/s and lanes.
        fatal, nonfatal, correctable: AER's counts since the kernel knows the function.
    """

    driver_problem: str = ""
    carrier: bool | None = None
    speed_gts: float | None = None
    width: int | None = None
    fatal: int | None = None
    nonfatal: int | None = None
    correctable: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How far one signal of one device is.

    Attributes:
        wrong: what was found last.
        since: since when that is so.
        raised: whether it counts.
        detail: what is wrong, or was; one clause.
        read_at: when it was followed last.
        counted: of errors, the counter when it was read last.
        level: of errors, how many count; it leaks away evenly.
        best_speed_gts, best_width: of a PCIe link, what it has been.
    """

    wrong: bool
    since: datetime
    raised: bool = False
    detail: str = ""
    read_at: datetime
    counted: int | None = None
    level: float = 0.0
    best_speed_gts: float = 0.0
    best_width: int = 0

    @property
    def is_settled(self) -> bool:
        """Whether time alone changes nothing."""
        return self.wrong == self.raised and not (self.raised and self.level)

    @property
    def is_blank(self) -> bool:
        """Whether nothing is lost when it is forgotten."""
        is_well = not self.wrong and not self.raised and not self.level
        return is_well and self.counted is None and not (self.best_speed_gts or self.best_width)

    def differs(self, before: Course | None) -> bool:
        """Whether more than time has passed since *before*."""
        return before is None or replace(self, read_at=before.read_at) != before


def follow(
    before: Course | None, signal: Signal, reading: Reading, rule: Rule, now: datetime
) -> Course:
    """Return how far *signal* is after *reading*; *before* is None when it is read first."""
    course = before or Course(wrong=False, since=now, read_at=now)
    match signal:
        case Signal.MISSING:  # who is read is there
            wrong, detail = False, ""
        case Signal.DRIVER:
            wrong, detail = bool(reading.driver_problem), reading.driver_problem
        case Signal.LINK_DOWN:
            wrong, detail = reading.carrier is False, "its link is down"
        case Signal.LINK_DEGRADED:
            course = replace(
                course,
                best_speed_gts=max(course.best_speed_gts, reading.speed_gts or 0.0),
                best_width=max(course.best_width, reading.width or 0),
            )
            detail = _below(course, reading)
            wrong = bool(detail)
        case _:
            course = _counted(course, _errors(signal, reading), rule, now)
            wrong, detail = course.level >= rule.errors, _too_many(signal, rule)
    return _found(course, wrong=wrong, detail=detail, rule=rule, now=now)


def vanish(before: Course | None, rule: Rule, now: datetime) -> Course:
    """Return how far ``MISSING`` is when the device is away."""
    course = before or Course(wrong=False, since=now, read_at=now)
    return _found(course, wrong=True, detail="it was away", rule=rule, now=now)


def elapse(course: Course, rule: Rule, now: datetime) -> Course:
    """Return how far a signal is when nothing new was read of it."""
    leaked = _counted(course, course.counted, rule, now)
    wrong = leaked.level >= rule.errors if course.level else course.wrong
    return _found(leaked, wrong=wrong, detail=course.detail, rule=rule, now=now)


def reasons(
    courses: Mapping[Signal, Course], rules: Mapping[Signal, Rule], action: Action
) -> Iterator[str]:
    """Yield what is raised and treated with *action*, in the order of the signals."""
    for signal in Signal:
        course = courses.get(signal)
        if course is not None and course.raised and rules[signal].action is action:
            yield course.detail


def _found(course: Course, *, wrong: bool, detail: str, rule: Rule, now: datetime) -> Course:
    """Take over what was found now, and let it count once it has lasted."""
    since = course.since if wrong == course.wrong else now
    since = min(since, now)  # a clock that was set back must not make it last for ever
    needed = rule.raise_after_s if wrong else rule.clear_after_s
    lasted = (now - since).total_seconds() >= needed
    return replace(
        course,
        wrong=wrong,
        since=since,
        raised=wrong if lasted else course.raised,
        detail=detail if wrong else course.detail,
        read_at=now,
    )


def _errors(signal: Signal, reading: Reading) -> int | None:
    match signal:
        case Signal.AER_FATAL:
            return reading.fatal
        case Signal.AER_NONFATAL:
            return reading.nonfatal
        case _:
            return reading.correctable


def _too_many(signal: Signal, rule: Rule) -> str:
    kind = {Signal.AER_FATAL: "fatal", Signal.AER_NONFATAL: "nonfatal"}.get(signal, "correctable")
    return f"{rule.errors} or more {kind} PCIe errors (AER) within {rule.within_s:.0f} s"


def _counted(course: Course, count: int | None, rule: Rule, now: datetime) -> Course:
    """Let errors leak away, and add those that are new.

    What was counted before the first reading is of nobody knows when. A counter that fell began
    anew, with the function: all that it shows is new. No more is kept than are too many, so that
    one storm counts no longer than another.
    """
    passed_s = max((now - course.read_at).total_seconds(), 0.0)
    level = max(course.level - passed_s * rule.errors / rule.within_s, 0.0)
    if count is None:
        return replace(course, level=level)
    new = 0
    if course.counted is not None:
        new = count - course.counted if count >= course.counted else count
    return replace(course, counted=count, level=min(level + new, float(rule.errors)))


def _below(course: Course, reading: Reading) -> str:
    """Say what the link has lost; empty when nothing, or nobody knows."""
    if reading.width is not None and reading.width < course.best_width:
        return f"its PCIe link has {reading.width} lanes of {course.best_width}"
    if reading.speed_gts is not None and reading.speed_gts < course.best_speed_gts:
        return f"its PCIe link runs at {reading.speed_gts:g} GT/s of {course.best_speed_gts:g}"
    return ""
