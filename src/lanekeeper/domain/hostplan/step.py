"""Steps of a plan: one change each, why, at what price, and how it is taken back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lanekeeper.domain.hostplan.action import Change, FileChange


class Impact(StrEnum):
    """What a step does to those who use the host now."""

    NONE = "none"
    LINK = "the PF's link may flap"
    VFS_GONE = "the PF's VFs are destroyed"
    REBOOT = "takes effect after a reboot"


@dataclass(frozen=True, slots=True)
class Step:
    """One change, why it is made, and how it is taken back: *undo*, in this order."""

    do: Change
    undo: tuple[Change, ...]
    why: str
    impact: Impact = Impact.NONE


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the policy cannot be applied to this host, and what would help."""

    code: str
    subject: str
    reason: str
    fix: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in order; *refusals* forbid all of them. *pending* is what waits for a reboot."""

    steps: tuple[Step, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    pending: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.steps and not self.refusals

    def file_part(self) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
        """Return the steps that an image can be changed by, and those left for its first boot."""
        files = tuple(step for step in self.steps if isinstance(step.do, FileChange))
        return files, tuple(step for step in self.steps if step not in files)
