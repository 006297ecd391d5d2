"""How a lab is, looked at from outside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lanekeeper.lab import ending, process
from lanekeeper.lab.channel import Channel, answers
from lanekeeper.lab.folder import DEFAULT_STATE, LabFolder, Running


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How a lab is.

    Attributes:
        state: ``absent``, ``starting``, ``running``, or ``dead`` (its folder is left; end it).
        last_words: what QEMU itself said last, of a dead lab.
        ended_itself: it died of a race in QEMU that is known; see ``ending``.
    """

    name: str
    state: str
    running: Running | None = None
    uptime_s: float | None = None
    last_words: str = ""
    ended_itself: bool = False


def look(name: str, state: Path = DEFAULT_STATE) -> Status:
    """Look at a lab; changes nothing."""
    folder = LabFolder(name, state)
    if not folder.path.exists():
        return Status(name=name, state="absent")
    if folder.is_locked():
        return Status(name=name, state="starting")
    running = folder.running()
    is_there = running is not None and running.pid in process.marked(folder.path)
    answer = answers(Channel(folder.path), timeout_s=10) if is_there else None
    if answer:
        return Status(name=name, state="running", running=running, uptime_s=answer["uptime_s"])
    words, itself = ending.last_words(folder), ending.ended_itself(folder)
    return Status(name=name, state="dead", running=running, last_words=words, ended_itself=itself)
