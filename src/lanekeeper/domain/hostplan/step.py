"""Steps of a plan: one change each, why, at what price, and how it is taken back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from lanekeeper.domain.hostplan.action import Change, FileChange

_ENTRY = re.compile(r"\b(?:pfs|devices)\[\d+\]")


class Impact(StrEnum):
    """What a step does to those who use the host now."""

    NONE = "none"
    LINK = "the PF's link may flap"
    MOVED = "no frame passes until the new bridge has the port"
    VFS_GONE = "the PF's VFs are destroyed"
    TAKEN = "the host loses the device"
    REBOOT = "takes effect after a reboot"
    IMAGE = "active when this image boots"


@dataclass(frozen=True, slots=True)
class Step:
    """One change, why it is made, and how it is taken back: *undo*, in this order.

    Attributes:
        affects: who loses what by it, in words: guests, VFs, addresses.
    """

    do: Change
    undo: tuple[Change, ...]
    why: str
    impact: Impact = Impact.NONE
    affects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the policy cannot be applied to this host, and what would help.

    Attributes:
        beside: the other entry, where two contradict each other.
        place: file and line of the policy that it is about; empty where it is about none.
    """

    code: str
    subject: str
    reason: str
    fix: str
    beside: str = ""
    place: str = ""

    @property
    def entries(self) -> tuple[str, ...]:
        """The entries of ``pfs`` and ``devices`` that it is about: without them it is none."""
        return tuple(_ENTRY.findall(f"{self.subject} {self.beside}"))


@dataclass(frozen=True, slots=True)
class Unmet:
    """An entry that nothing on this host is meant by; the rest of the policy holds without it."""

    code: str
    subject: str
    reason: str
    fix: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Caution:
    """What an operator should know before the steps are taken; it keeps none from being taken."""

    code: str
    subject: str
    reason: str
    fix: str
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One thing that a policy asks for, as it could be, is to be and is.

    Attributes:
        setting: what it is, as ``VFs``; *subject* is whose.
        capable: the most, or all, that is possible; empty when that is not known.
        requested: what the policy says. ``active``: what is so now.
        after_reboot: what the next start will make of it; empty when that is what is active.
    """

    subject: str
    setting: str
    requested: str
    active: str
    capable: str = ""
    after_reboot: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in order; *refusals* forbid all of them. *pending* is what waits, and for what.

    *warnings* are entries that have nothing here, since a card that is gone keeps no other from
    its VFs, and cautions. *left_out* is why entries are not in it, where the rest was asked for.
    """

    steps: tuple[Step, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    pending: tuple[str, ...] = ()
    states: tuple[State, ...] = ()
    warnings: tuple[Unmet | Caution, ...] = ()
    left_out: tuple[Refusal, ...] = ()

    @property
    def unmet(self) -> tuple[Unmet, ...]:
        return tuple(each for each in self.warnings if isinstance(each, Unmet))

    @property
    def is_empty(self) -> bool:
        return not self.steps and not self.refusals

    def file_part(self) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
        """Return the steps that an image can be changed by, and those left for its first boot."""
        files = tuple(step for step in self.steps if isinstance(step.do, FileChange))
        return files, tuple(step for step in self.steps if step not in files)
