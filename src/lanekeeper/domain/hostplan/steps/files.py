"""Steps that give a file a text; each remembers what stood there before."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from lanekeeper.domain.hostplan import persistence
from lanekeeper.domain.hostplan.action import (
    Change,
    MakeDirectory,
    MakeLink,
    RemoveDirectory,
    RemoveFile,
    WriteFile,
)
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.step import Impact, Refusal, Step

_OF_CHANGES = tuple(
    path
    for kept in (persistence.CHANGES, persistence.ORIGINALS)
    for path in persistence.directories_of(f"{kept}/")
)


def file_steps(
    host: HostFacts,
    path: str,
    text: str,
    why: str,
    impact: Impact = Impact.NONE,
    *,
    mode: int = 0o644,
) -> Iterator[Step]:
    """Make the file at *path* read *text*; nothing when it does."""
    before = host.files.get(path)
    if before == text:
        return
    yield from directory_steps(host, path)
    yield Step(WriteFile(path, text, mode), (file_undo(path, before),), why, impact)


def own_file_steps(
    host: HostFacts, path: str, lines: str, why: str, impact: Impact = Impact.NONE
) -> Iterator[Step]:
    """Make a file that is Lanekeeper's own hold *lines*; without any it goes.

    One that somebody else wrote stays; ``foreign_refusals`` has it.
    """
    before = host.files.get(path)
    if lines:
        yield from file_steps(host, path, persistence.HEAD + lines, why, impact)
    elif before is not None and persistence.SIGN in before:
        why = "the policy wants nothing of it any more"
        yield removal_step(host, path, before, why, impact)


def each_once(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Return *steps* with each once; a directory that two files need is made for the first."""
    found: dict[object, Step] = {}
    for step in steps:
        found.setdefault(step.do if isinstance(step.do, MakeDirectory) else step, step)
    return tuple(found.values())


def obstacle_refusals(steps: Collection[Step], host: HostFacts) -> Iterator[Refusal]:
    """Refuse to put a file, a link or a directory where something of another kind lies."""
    places = dict.fromkeys(_OF_CHANGES, "directory")
    for step in steps:
        kind = {MakeLink: "link", MakeDirectory: "directory"}.get(type(step.do), "file")
        places[getattr(step.do, "path", "")] = kind
    for path, wanted in places.items() if steps else ():
        if path in host.obstacles:
            reason = f"there is {host.obstacles[path]}, and a {wanted} of Lanekeeper's goes there"
            yield Refusal("path-taken", f"/{path}", reason, "see what it is for, and move it away")


def foreign_refusals(steps: Iterable[Step], host: HostFacts) -> Iterator[Refusal]:
    """Refuse to replace a file that somebody else wrote where one of Lanekeeper's own goes."""
    for step in steps:
        path = step.do.path if isinstance(step.do, WriteFile) else ""
        before = (host.files.get(path) or "").strip()
        if path not in persistence.OWN or not before or persistence.SIGN in before:
            continue
        reason = "a file of Lanekeeper's goes there, and the one that is there is somebody else's"
        first = before.partition("\n")[0]
        fix = f"give it another name, by which it is read as well; it begins with {first:.60}"
        yield Refusal("path-taken", f"/{path}", reason, fix)


def removal_step(
    host: HostFacts,
    path: str,
    before: str,
    why: str,
    impact: Impact = Impact.NONE,
    *,
    mode: int = 0o644,
) -> Step:
    """Remove the file at *path*, which reads *before*; where it is a link, the link."""
    to = host.links.get(path)
    undo = WriteFile(path, before, mode) if to is None else MakeLink(path, to)
    return Step(RemoveFile(path), (undo,), why, impact)


def file_undo(path: str, before: str | None) -> Change:
    """Return what gives *path* back the text it had; None is a file that was not there."""
    return RemoveFile(path) if before is None else WriteFile(path, before)


def directory_steps(host: HostFacts, path: str) -> Iterator[Step]:
    """Make the directories above *path* that are missing."""
    for directory in persistence.directories_of(path):
        if directory not in host.directories:
            why = f"/{path} goes there"
            yield Step(MakeDirectory(directory), (RemoveDirectory(directory),), why)


def emptied_steps(
    steps: Collection[Step], host: HostFacts, made: Collection[str]
) -> Iterator[Step]:
    """Remove those of the directories *made* by earlier changes that *steps* leave nothing in.

    Of what is not Lanekeeper's in them nothing is known here; such a directory stays where it is.
    """
    removed = {step.do.path for step in steps if isinstance(step.do, RemoveFile)}
    needed = {getattr(step.do, "path", "") for step in steps} - removed
    needed |= {path for path, text in host.files.items() if text is not None} - removed
    above = {directory for path in needed for directory in persistence.directories_of(path)}
    emptied = {directory for path in removed for directory in persistence.directories_of(path)}
    for directory in sorted((emptied & {*made} & host.directories) - above - needed, reverse=True):
        why = "an earlier change made it for what goes now"
        yield Step(RemoveDirectory(directory), (MakeDirectory(directory),), why)
