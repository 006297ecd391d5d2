"""How a guest's CPUs and memory are divided among its NUMA nodes."""

from __future__ import annotations

from collections.abc import Sequence

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.topology.cpu_set import format_cpu_set
from lanekeeper.domain.topology.guest import GuestCell


def even_cells(
    nodes: int, size: tuple[int, int], dedicated: frozenset[int]
) -> tuple[GuestCell, ...]:
    """Divide CPUs and MiB (*size*) evenly; CPUs of *dedicated* are pinned.

    Raises:
        Invalid: they do not divide.
    """
    vcpus, memory_mib = size
    if vcpus % nodes or memory_mib % nodes:
        raise Invalid(
            f"{vcpus} CPUs and {memory_mib} MiB cannot be divided evenly among {nodes} NUMA nodes",
            hint="set hw:numa_cpus.N and hw:numa_mem.N for each node, or another hw:numa_nodes",
        )
    each = vcpus // nodes
    parts = (frozenset(range(node * each, (node + 1) * each)) for node in range(nodes))
    return tuple(
        GuestCell(mine - dedicated, mine & dedicated, memory_mib // nodes) for mine in parts
    )


def check_cells(
    size: tuple[int, int], sets: Sequence[frozenset[int]], amounts: Sequence[int]
) -> None:
    """Check that nodes as they are listed share out all of *size*, CPUs and MiB, and no more.

    Raises:
        Invalid: they do not; names the spec.
    """
    vcpus, memory_mib = size
    seen: set[int] = set()
    for node, mine in enumerate(sets):
        if beyond := mine - frozenset(range(vcpus)):
            raise Invalid(
                f"hw:numa_cpus.{node}: CPU {min(beyond)} is not among the flavor's 0-{vcpus - 1}"
            )
        if twice := mine & seen:
            raise Invalid(f"hw:numa_cpus.{node}: CPU {min(twice)} is another node's already")
        seen |= mine
    if left := frozenset(range(vcpus)) - seen:
        raise Invalid(f"hw:numa_cpus.N leave out CPU {format_cpu_set(left)} of the flavor")
    if sum(amounts) != memory_mib:
        raise Invalid(f"hw:numa_mem.N make {sum(amounts)} MiB, and the flavor has {memory_mib} MiB")
