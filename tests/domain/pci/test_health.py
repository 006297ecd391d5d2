"""Signals follow what is read, and never change faster than they may."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanekeeper.domain.pci.health import (
    Action,
    Course,
    Reading,
    Rule,
    Signal,
    elapse,
    follow,
    reasons,
    vanish,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
RULE = Rule(action=Action.EXCLUDE, raise_after_s=30, clear_after_s=300)
DOWN, UP = Reading(carrier=False), Reading(carrier=True)
FATAL = Rule(action=Action.EXCLUDE, clear_after_s=300, errors=1)
MANY = Rule(action=Action.WARN, clear_after_s=300, errors=10, within_s=100)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@given(
    steps=st.lists(
        st.tuples(st.floats(0, 400), st.sampled_from([True, False, None])), min_size=1, max_size=60
    )
)
def test_a_signal_never_changes_before_what_is_read_has_lasted(
    steps: list[tuple[float, bool | None]],
) -> None:
    course: Course | None = None
    now, read = 0.0, list[tuple[float, bool]]()
    changes = list[tuple[float, bool, int]]()
    for passed, carrier in steps:
        now += passed
        was_raised = course is not None and course.raised
        if carrier is None and course is not None:
            course = elapse(course, RULE, at(now))
        else:
            reading = Reading(carrier=carrier is not False)
            course = follow(course, Signal.LINK_DOWN, reading, RULE, at(now))
            read.append((now, carrier is False))
        if course.raised != was_raised:
            changes.append((now, course.raised, len(read)))
    for moment, raised, known in changes:
        window = 30 if raised else 300
        # All that was read within the window before it agrees with it.
        begun = [wrong for t, wrong in read[:known] if t <= moment - window + 1e-6][-1:]
        within = [wrong for t, wrong in read[:known] if t > moment - window + 1e-6]
        assert all(wrong == raised for wrong in begun + within)
    for (before, *_), (after, raised, _) in pairwise(changes):
        assert after - before >= (30 if raised else 300) - 1e-6


@given(counts=st.lists(st.integers(0, 50), min_size=2, max_size=40))
def test_errors_count_only_as_they_grow(counts: list[int]) -> None:
    """Whatever counters do (reset, wrap), no level is above the limit, and none of old errors."""
    course: Course | None = None
    for number, count in enumerate(counts):
        before = course
        course = follow(course, Signal.AER_NONFATAL, Reading(nonfatal=count), MANY, at(number))
        assert 0 <= course.level <= MANY.errors
        if before is None or count == before.counted:
            assert course.level <= (before.level if before else 0)
        else:
            assert course.level > 0 or count == 0


def test_a_fatal_error_counts_at_once_and_quiet_must_last() -> None:
    first = follow(None, Signal.AER_FATAL, Reading(fatal=7), FATAL, at(0))
    assert not first.raised  # of before anybody looked
    hit = follow(first, Signal.AER_FATAL, Reading(fatal=8), FATAL, at(10))
    assert hit.raised
    quiet = elapse(hit, FATAL, at(20))
    assert (quiet.wrong, quiet.raised) == (False, True)
    assert elapse(quiet, FATAL, at(319)).raised
    assert not elapse(quiet, FATAL, at(320)).raised
    again = follow(quiet, Signal.AER_FATAL, Reading(fatal=1), FATAL, at(30))  # made anew, and bad
    assert again.wrong


def test_a_storm_of_correctable_errors_counts_and_a_trickle_does_not() -> None:
    storm = trickle = follow(None, Signal.AER_CORRECTABLE, Reading(correctable=0), MANY, at(0))
    for second in range(1, 100):
        storm = follow(storm, Signal.AER_CORRECTABLE, Reading(correctable=second), MANY, at(second))
        slow = Reading(correctable=second // 20)
        trickle = follow(trickle, Signal.AER_CORRECTABLE, slow, MANY, at(second))
    assert storm.raised
    assert not trickle.raised


@pytest.mark.parametrize(
    ("reading", "detail"),
    [
        (Reading(width=8, speed_gts=8.0), ""),
        (Reading(width=4, speed_gts=8.0), "its PCIe link has 4 lanes of 8"),
        (Reading(width=8, speed_gts=2.5), "its PCIe link runs at 2.5 GT/s of 8"),
        (Reading(), ""),
    ],
)
def test_a_link_is_measured_by_what_it_was(reading: Reading, detail: str) -> None:
    rule = Rule(action=Action.WARN)
    course = follow(None, Signal.LINK_DEGRADED, Reading(width=8, speed_gts=8.0), rule, at(0))
    found = follow(course, Signal.LINK_DEGRADED, reading, rule, at(1))
    assert (found.raised, found.detail) == (bool(detail), detail)


def test_a_device_that_was_away_must_stay_before_it_is_well() -> None:
    rule = Rule(action=Action.EXCLUDE, clear_after_s=300)
    away = vanish(None, rule, at(0))
    assert away.raised
    back = follow(away, Signal.MISSING, UP, rule, at(50))
    assert back.raised
    assert not elapse(back, rule, at(350)).raised


def test_a_clock_that_was_set_back_holds_nothing_up() -> None:
    course = follow(None, Signal.LINK_DOWN, DOWN, RULE, at(9000))
    course = elapse(course, RULE, at(0))
    assert elapse(course, RULE, at(30)).raised


def test_reasons_come_by_action() -> None:
    rules = {signal: Rule(action=Action.WARN) for signal in Signal}
    rules[Signal.LINK_DOWN] = Rule(action=Action.EXCLUDE)
    courses = {
        signal: follow(None, signal, Reading(carrier=False, driver_problem="none"), rule, START)
        for signal, rule in rules.items()
    }
    assert [*reasons(courses, rules, Action.EXCLUDE)] == ["its link is down"]
    assert [*reasons(courses, rules, Action.WARN)] == ["none"]
