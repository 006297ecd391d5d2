"""The NUMA topology that a guest asks for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lanekeeper.domain.topology.page_size import PageSize


class CpuPolicy(StrEnum):
    """Whether guests' CPUs have a host's CPU each. Source: nova ``objects/fields.py``."""

    DEDICATED = "dedicated"
    SHARED = "shared"
    MIXED = "mixed"


class ThreadPolicy(StrEnum):
    """What pinned CPUs make of a core's threads. Source: nova ``objects/fields.py``."""

    PREFER = "prefer"
    ISOLATE = "isolate"
    REQUIRE = "require"


class EmulatorPolicy(StrEnum):
    """Where the hypervisor's own threads run. Source: nova ``objects/fields.py``."""

    ISOLATE = "isolate"
    SHARE = "share"


@dataclass(frozen=True, slots=True)
class GuestCell:
    """One NUMA node of a guest: its CPUs, counted from 0, which float or are pinned."""

    shared: frozenset[int]
    pinned: frozenset[int]
    memory_mib: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestTopology:
    """What a guest with NUMA nodes, pinned CPUs or pages of a size asks of its host.

    Attributes:
        cells: each goes to a cell of the host of its own.
        pages: None takes the smallest, which guests may share beyond what is there.
        emulator: None leaves the hypervisor's threads with the guest's CPUs.
    """

    cells: tuple[GuestCell, ...]
    cpu_policy: CpuPolicy = CpuPolicy.SHARED
    thread_policy: ThreadPolicy | None = None
    pages: PageSize | None = None
    emulator: EmulatorPolicy | None = None

    @property
    def is_pinned(self) -> bool:
        return self.cpu_policy is not CpuPolicy.SHARED

    @property
    def vcpus(self) -> int:
        """CPUs that float: units of VCPU."""
        return sum(len(cell.shared) for cell in self.cells)

    @property
    def pcpus(self) -> int:
        """The host's CPUs that it has for itself: units of PCPU."""
        return sum(len(cell.pinned) for cell in self.cells) + self.reserved(0)

    def reserved(self, cell: int) -> int:
        """CPUs for the hypervisor's own threads, all of them beside the first cell."""
        return int(self.emulator is EmulatorPolicy.ISOLATE and cell == 0)
