"""What a host has for guests, by what its agent tells and its operator keeps."""

from __future__ import annotations

from lanekeeper.config import Compute
from lanekeeper.domain.topology.cell import MEMORY, VCPUS, Amount, pages_of
from lanekeeper.protocol import HostFacts, NumaCell
from lanekeeper.store.placement.host_provider import HostInventory
from lanekeeper.store.topology.cell import Stocks


def host_stocks(config: Compute, facts: HostFacts) -> dict[str, HostInventory]:
    """What a host has of itself, less what is kept for it."""
    vcpus = _shared_cpus(facts)
    return {
        "VCPU": HostInventory(
            vcpus, min(config.reserved_host_cpus, vcpus), config.cpu_allocation_ratio
        ),
        "PCPU": HostInventory(sum(len(cell.dedicated) for cell in facts.cells), 0, 1.0),
        "MEMORY_MB": HostInventory(
            facts.memory_mib,
            min(config.reserved_host_memory_mb, facts.memory_mib),
            config.ram_allocation_ratio,
        ),
        "DISK_GB": HostInventory(
            facts.disk_gib,
            min(-(-config.reserved_host_disk_mb // 1024), facts.disk_gib),
            config.disk_allocation_ratio,
        ),
    }


def _shared_cpus(facts: HostFacts) -> int:
    if all(cell.shared is None for cell in facts.cells):
        return facts.vcpus
    return sum(len(_shared(cell)) for cell in facts.cells)


def _shared(cell: NumaCell) -> list[int]:
    return cell.cpus if cell.shared is None else cell.shared


def cell_stocks(config: Compute, facts: HostFacts) -> Stocks:
    """What each cell has; memory of huge pages is not there for small ones."""
    found: dict[tuple[int, str], Amount] = {}
    for cell in facts.cells:
        vcpus = len(_shared(cell))
        huge_kib = sum(pages.size_kib * pages.total for pages in cell.pages)
        memory = max(cell.memory_mib - -(-huge_kib // 1024), 0)
        found[cell.id, VCPUS] = Amount(vcpus, int(vcpus * config.cpu_allocation_ratio))
        found[cell.id, MEMORY] = Amount(memory, int(memory * config.ram_allocation_ratio))
        for pages in cell.pages:
            found[cell.id, pages_of(pages.size_kib)] = Amount(pages.total, pages.total)
    return found
