"""Steps that take over from ``max_vfs``, by which a driver makes VFs when it is loaded.

The option holds for every card of the driver, cannot be changed while the driver is loaded, and
newer drivers have none; the policy's counts go through sysfs. Both at once fight at each boot.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lanekeeper.domain.hostplan import persistence
from lanekeeper.domain.hostplan.action import ReplaceText
from lanekeeper.domain.hostplan.boot_loader import argument_key
from lanekeeper.domain.hostplan.choice import Chosen
from lanekeeper.domain.hostplan.modprobe_line import LogicalLine, logical_lines
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.step import Impact, Step

_OPTION = "max_vfs="
_COMMENT = "# "


def max_vfs_steps(policy: Policy, host: HostFacts, chosen: Chosen) -> Iterator[Step]:
    """Comment out lines that give ``max_vfs`` to a driver of the policy's PFs; the rest stays.

    A policy that is not kept gives such lines back: after a reboot nobody brings its counts.
    """
    drivers = {_module(pf.driver) for _, pf in chosen if pf.driver}
    for path, text in host.modprobe_texts.items():
        if not policy.persist:
            yield from _back(path, text)
            continue
        lines = text.splitlines(keepends=True)
        given = [each for each in logical_lines(lines) if _gives_count(each.text, drivers)]
        yield from _steps(path, lines, [_commenting(line) for line in given])


def overruling_arguments(policy: Policy, host: HostFacts, chosen: Chosen) -> tuple[str, ...]:
    """Return the arguments that take ``max_vfs`` on the kernel command line back.

    The last word on an argument counts, so what the operator wrote stays where it is. Where
    arguments are replaced instead, none is needed any more once that was done.
    """
    given = _given(host.configured_cmdline or (), chosen) if policy.persist else ()
    return tuple(dict.fromkeys(f"{argument_key(argument)}=0" for argument in given))


def max_vfs_pending(policy: Policy, host: HostFacts, chosen: Chosen) -> Iterator[str]:
    """Explain what is overruled, until the running kernel was started without it."""
    overruling = overruling_arguments(policy, host, chosen)
    for argument in _given(host.cmdline, chosen) if policy.persist else ():
        made = f"{argument} makes VFs on every card of the driver at boot"
        key = argument_key(argument)
        if f"{key}=0" in overruling:
            yield f"{made}; {key}=0 behind it overrules it, and the policy's counts hold instead"
        elif host.configured_cmdline is None:
            yield f"{made}; take it out of the kernel command line: no boot loader is known here"


def max_vfs_of_image(host: HostFacts) -> Iterator[str]:
    """Say what an image has of it; whose cards it will meet only the machine knows that boots it.

    Where a driver of the policy's PFs is meant, the plan of the first boot takes over from it.
    """
    for path, text in host.modprobe_texts.items():
        for line in logical_lines(text.splitlines()):
            words = line.text.split()
            if words[:1] == ["options"] and any(map(_makes_vfs, words[2:])):
                yield f"/{path}:{line.first}: {' '.join(words)}"
    for argument in host.configured_cmdline or ():
        if _makes_vfs(argument.partition(".")[2]):
            yield f"kernel argument {argument}"


def _makes_vfs(option: str) -> bool:
    return option.startswith(_OPTION) and bool(option.removeprefix(_OPTION).strip("0,"))


def _given(arguments: tuple[str, ...], chosen: Chosen) -> tuple[str, ...]:
    """Return those of *arguments* by which a driver of the policy's PFs makes VFs."""
    drivers = {_module(pf.driver) for _, pf in chosen if pf.driver}
    found = []
    for argument in arguments:
        module, _, option = argument.partition(".")
        if _module(module) in drivers and option.startswith(_OPTION):
            found.append(argument)
    return tuple(argument for argument in found if argument.partition("=")[2].strip("0,"))


def _gives_count(line: str, drivers: set[str]) -> bool:
    words = line.split()
    return (
        words[:1] == ["options"]
        and len(words) > 2  # noqa: PLR2004  # options MODULE OPTION
        and _module(words[1]) in drivers
        and any(word.startswith(_OPTION) for word in words[2:])
    )


@dataclass(frozen=True, slots=True)
class _Edit:
    """What takes the place of *count* lines from the one at *at* on."""

    at: int
    count: int
    new: str
    why: str


def _steps(path: str, lines: list[str], edits: list[_Edit]) -> Iterator[Step]:
    """Change each place by itself; equal ones, which nothing tells apart, with all between them.

    A place that says already what another is to say counts as equal to that. Where places of one
    kind lie between those of another, one step changes both.
    """
    alike: dict[str, list[_Edit]] = {}
    for edit in edits:
        old = "".join(lines[edit.at : edit.at + edit.count]).rstrip("\n")
        alike.setdefault(old, []).append(edit)
    groups = [[*equal, *_done(lines, equal[0])] for equal in alike.values()]
    for together in _merged(groups):
        first, last = together[0].at, _end(together)
        old, new = "".join(lines[first:last]), ""
        at = first
        for edit in together:
            new += "".join(lines[at : edit.at]) + edit.new
            at = edit.at + edit.count
        undo = ReplaceText(path, new, old)
        why = "; ".join(dict.fromkeys(edit.why for edit in together))
        yield Step(ReplaceText(path, old, new), (undo,), why, Impact.REBOOT)


def _merged(groups: list[list[_Edit]]) -> list[list[_Edit]]:
    """Put groups together whose lines, from the first to the last of each, overlap; in order."""
    merged: list[list[_Edit]] = []
    for group in sorted(groups, key=lambda each: min(edit.at for edit in each)):
        is_among = merged and min(edit.at for edit in group) < _end(merged[-1])
        before = merged.pop() if is_among else []
        merged.append(sorted([*before, *group], key=lambda edit: edit.at))
    return merged


def _end(group: list[_Edit]) -> int:
    return max(edit.at + edit.count for edit in group)


def _done(lines: list[str], edit: _Edit) -> Iterator[_Edit]:
    """Yield where *lines* have the new text already, which stays."""
    new = edit.new.splitlines(keepends=True)
    for at in range(len(lines)):
        if lines[at : at + len(new)] == new:
            yield _Edit(at, len(new), edit.new, edit.why)


def _commenting(line: LogicalLine) -> _Edit:
    """Comment out each part, so that whoever takes one back by hand sees the whole."""
    said = " ".join(line.text.split())
    why = f"{said} makes VFs on every card of the driver; the policy's counts hold instead"
    return _Edit(line.first - 1, len(line.parts), _commented(line), why)


def _commented(line: LogicalLine) -> str:
    others = [word for word in line.text.split() if not word.startswith(_OPTION)]
    other = f"{' '.join(others)}\n" if others[2:] else ""
    old = "".join(line.parts)
    ended = old if old.endswith("\n") else f"{old}\n"
    commented = "".join(f"{_COMMENT}{part}" for part in ended.splitlines(keepends=True))
    return f"{persistence.NOTE}{commented}{other}"


def _back(path: str, text: str) -> Iterator[Step]:
    """Give back each line that was commented out here, unless somebody edited what was written."""
    lines = text.splitlines(keepends=True)
    edits: list[_Edit] = []
    for at, note in enumerate(lines):
        below = (each.removeprefix(_COMMENT) for each in lines[at + 1 :])
        line = next(logical_lines(below), None) if note == persistence.NOTE else None
        if line is None or _OPTION not in line.text:
            continue
        old, new = _commented(line), "".join(line.parts)
        if "".join(lines[at:]).startswith(old):
            why = "the policy is not kept, and nobody would bring its counts back after a reboot"
            edits.append(_Edit(at, len(old.splitlines()), new, why))
    yield from _steps(path, lines, edits)


def _module(name: str) -> str:
    return name.replace("-", "_")
