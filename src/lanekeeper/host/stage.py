"""What an executor is about to do, told to whoever wants to show progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from lanekeeper.domain.hostplan.action import Change


class Verb(StrEnum):
    """Which way a stage goes."""

    DO = "do"
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class Stage:
    """What is about to happen: *action*, for step *number* (from 1) of *count*."""

    verb: Verb
    action: Change
    number: int
    count: int


Progress = Callable[[Stage], None]
"""Is told each action just before it happens."""


def silent(_stage: Stage) -> None:
    """Tell nobody."""
