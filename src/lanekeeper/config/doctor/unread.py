"""Lines that nobody reads, and what they look like."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from lanekeeper.config.doctor.case import Case, Line
from lanekeeper.config.file import NO_SECTION
from lanekeeper.config.names import (
    GONE,
    MOVED,
    OWN_SECTIONS,
    device_option_meant,
    is_specific,
    nearest,
    openstack_options,
    options,
    spellings,
)
from lanekeeper.config.option import Option


def gone_why(line: Line) -> str:
    """Say why nothing has to replace a key that older releases had; nothing for others."""
    one = line.assignment
    return "" if one.is_vio else GONE.get((one.section or "default", one.key), "")


def moved_to(line: Line) -> tuple[str, str] | None:
    """Return today's name of a key of OpenStack's, and why Lanekeeper does not read that either."""
    one = line.assignment
    return None if one.is_vio else MOVED.get((one.section or "default", one.key))


def unread(case: Case) -> Iterator[tuple[Line, str]]:
    """Yield what nobody reads, with the known name that looks most like it, or nothing."""
    for line in case.lines:
        if is_unread(line):
            yield line, meant_by(line)


def is_unread(line: Line) -> bool:
    """Whether neither Lanekeeper nor OpenStack reads the line, nor ever did."""
    one = line.assignment
    known = one.key in openstack_options().get(one.section or "default", ())
    was = gone_why(line) or moved_to(line)
    return line.option is None and not one.is_vio and not known and not was


def meant_by(line: Line) -> str:
    """Return the known name that the line's key looks most like, or nothing."""
    return _meant(line.assignment.section or "default", line.assignment.key)


def option_meant_by(line: Line) -> Option | None:
    """Return the option of ours that an unread line seems to be meant for."""
    if not is_unread(line) or line.assignment.section in OWN_SECTIONS:
        return None
    near = meant_by(line)
    return next((option for option in options().values() if option.name == near), None)


def is_homeless(line: Line) -> bool:
    """Whether it stands before any section and therefore means nothing to anybody."""
    one = line.assignment
    is_bare = one.section == NO_SECTION and not one.is_vio
    return is_bare and line.option is None and not gone_why(line) and not moved_to(line)


@cache
def _meant(section: str, key: str) -> str:
    # What a start refuses comes first: OpenStack's old names of it look like the key, too.
    return _elsewhere(key) or device_option_meant(section, key) or nearest(section, key)


def _elsewhere(key: str) -> str:
    """Return the option that has this very key in another section, if the key tells so much."""
    if not is_specific(key):
        return ""
    for option in options().values():
        if any(key == known for _, known, _ in spellings(option)):
            return option.name
    return ""
