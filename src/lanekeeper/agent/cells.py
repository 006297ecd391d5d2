"""The host's NUMA cells as the controller is told of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from lanekeeper.config.tree import Cpus
from lanekeeper.domain.hostplan.observed import NumaNode
from lanekeeper.domain.topology.cpu_set import format_cpu_set
from lanekeeper.protocol import NumaCell, PagesFact

_KIB = 1024


def cells(nodes: Sequence[NumaNode]) -> list[NumaCell]:
    """Say what the kernel says; nodes without CPUs and memory are no use to guests."""
    return [
        NumaCell(
            id=node.number,
            cpus=list(node.cpus),
            memory_mib=node.memory_mib,
            socket=node.socket,
            siblings=[list(core) for core in node.siblings],
            pages=[
                PagesFact(size_kib=size, total=total)
                for size, (total, _) in sorted(node.huge_pages.items())
                if total
            ],
        )
        for node in nodes
        if node.cpus or node.memory_mib
    ]


def for_guests(cell: NumaCell, cpus: Cpus) -> NumaCell:
    """Leave out what is kept from guests, and say which CPUs are for pinning."""
    mine = [one for one in cpus.reserved_huge_pages if one.node == cell.id]
    kept = Counter[int]()
    for one in mine:
        kept[one.size_kib] += one.count
    kept_kib = sum(size * count for size, count in kept.items())
    return with_cpus(
        replace(
            cell,
            memory_mib=max(cell.memory_mib - -(-kept_kib // _KIB), 0),
            pages=[
                PagesFact(size_kib=one.size_kib, total=max(one.total - kept[one.size_kib], 0))
                for one in cell.pages
            ],
        ),
        cpus,
    )


def with_cpus(cell: NumaCell, cpus: Cpus) -> NumaCell:
    """Say which of a cell's CPUs are for pinning and which for floating.

    Source: nova ``virt/libvirt/driver.py``, _get_vcpu_available, _get_pcpu_available.
    """
    if not cpus.cpu_dedicated_set and not cpus.cpu_shared_set:
        return cell
    return replace(
        cell,
        dedicated=[cpu for cpu in cell.cpus if cpu in cpus.cpu_dedicated_set],
        shared=[cpu for cpu in cell.cpus if cpu in cpus.cpu_shared_set],
    )


def cpus_not_there(found: Sequence[NumaCell], cpus: Cpus) -> Iterator[str]:
    """Name CPUs that the configuration gives to guests and that the host does not have."""
    there = {cpu for cell in found for cpu in cell.cpus}
    for name in ("cpu_dedicated_set", "cpu_shared_set"):
        if missing := getattr(cpus, name) - there:
            yield f"[compute] {name} names CPU {format_cpu_set(missing)}, which is not online here"
