"""Which of a host's NUMA nodes the cells of a guest go to, together with its devices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCell:
    """One NUMA node of a host.

    Attributes:
        socket: the processor package that it is on; None where the firmware does not say.
        shared_cpus: those that many guests run on.
        free_cpus: those for one guest each that no guest has.
        shared_used: CPUs' worth of guests on the shared ones.
        memory_mib: in all; *memory_free_mib* is what no guest has.
    """

    id: int
    socket: int | None = None
    shared_cpus: frozenset[int] = frozenset()
    free_cpus: frozenset[int] = frozenset()
    shared_used: int = 0
    memory_mib: int = 0
    memory_free_mib: int = 0

    def has_room(self, guest: GuestCell) -> bool:
        cpus = self.free_cpus if guest.is_dedicated else self.shared_cpus
        return guest.vcpus <= len(cpus) and guest.memory_mib <= self.memory_free_mib


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestCell:
    """One NUMA node of a guest; *is_dedicated*: each vCPU has a CPU for itself."""

    vcpus: int
    memory_mib: int
    is_dedicated: bool = False


def in_order(
    cells: Sequence[HostCell],
    guest: Sequence[GuestCell],
    free_devices: Mapping[int, int],
    *,
    wants_devices: bool,
    pack: bool = False,
) -> list[HostCell]:
    """Sort a host's cells, those that a guest should get first.

    Guests that want devices go where most are free, others where fewest are; among equals the
    emptiest cell is first, or the fullest with *pack*. A guest with a cell for each of the host's
    has no choice, and the order stays.

    Args:
        cells: of the host.
        guest: the guest's cells.
        free_devices: how many are free on each node.
        wants_devices: whether the guest asks for any.
        pack: nova ``[compute] packing_host_numa_cells_allocation_strategy``.

    Source: nova ``virt/hardware.py``, numa_fit_instance_to_host.
    """
    if len(guest) >= len(cells):
        return list(cells)
    is_dedicated = guest[0].is_dedicated

    def goodness(cell: HostCell) -> tuple[int, int, int]:
        devices = free_devices.get(cell.id, 0)
        cpus = len(cell.free_cpus) if is_dedicated else -cell.shared_used
        fullness = (cpus, cell.memory_free_mib)
        first, second = (-one for one in fullness) if pack else fullness
        return devices if wants_devices else -devices, first, second

    return sorted(cells, key=goodness, reverse=True)


def place_cells(
    guest: Sequence[GuestCell],
    cells: Sequence[HostCell],
    suits: Callable[[frozenset[int]], bool] = lambda _nodes: True,
) -> tuple[int, ...] | None:
    """Give each guest cell a host cell of its own; None when that cannot be.

    The first choice in the order of *cells* that has room for all, and whose nodes together suit,
    is taken. What is left to choose depends on which host cells are taken, not on by whom, so each
    such set is tried once.

    Args:
        guest: the guest's cells.
        cells: the host's, best first.
        suits: whether the devices can be had for a guest on these nodes.
    """
    hopeless: set[frozenset[int]] = set()

    def place(taken: tuple[int, ...]) -> tuple[int, ...] | None:
        nodes = frozenset(taken)
        if nodes in hopeless:
            return None
        if len(taken) == len(guest) and suits(nodes):
            return taken
        if len(taken) < len(guest):
            for cell in cells:
                if cell.id not in nodes and cell.has_room(guest[len(taken)]):
                    found = place((*taken, cell.id))
                    if found is not None:
                        return found
        hopeless.add(nodes)
        return None

    return place(())
