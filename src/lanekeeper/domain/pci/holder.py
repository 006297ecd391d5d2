"""Who has a PCI function in use on its host, as far as the host alone can tell."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

GUEST_RECORDS = "guests' records"
"""What a hypervisor's records of its guests are called where one of them makes no sense."""


class HolderKind(StrEnum):
    """How it is known that somebody has the function."""

    GUEST = "guest"
    """A hypervisor's own record of an active guest says so."""
    PROCESS = "process"
    """A process keeps the function's VFIO file open."""
    UNKNOWN = "unknown"
    """It is on a VFIO driver, and who has it could not be looked at."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a function.

    Attributes:
        name: the guest's name, or the program's where only a process is known; why it is UNKNOWN,
            but for processes that only root may see.
        pid: of the process; None where a guest is known by its record.
    """

    kind: HolderKind
    name: str = ""
    pid: int | None = None

    def __str__(self) -> str:
        match self.kind:
            case HolderKind.GUEST:
                return f"guest {self.name}"
            case HolderKind.PROCESS:
                return f"process {self.pid} ({self.name})"
            case HolderKind.UNKNOWN:
                return f"unknown ({self.name or 'only root may see'})"
