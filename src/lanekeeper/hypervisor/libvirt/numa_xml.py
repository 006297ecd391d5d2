"""Where a guest's CPUs and memory lie, as parts of libvirt's domain XML. Pure.

Source: libvirt ``docs/formatdomain.rst``; nova ``virt/libvirt/driver.py``, _get_guest_numa_config.
"""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.topology.cell import SMALL_KIB
from lanekeeper.domain.topology.cpu_set import format_cpu_set
from lanekeeper.hypervisor.libvirt.markup import Element, tag
from lanekeeper.protocol import CellWanted, ServerWanted

_KIB = 1024


def numa_elements(server: ServerWanted) -> Iterator[Element]:
    """Yield the domain's parts between its memory and its boot, in libvirt's order."""
    if any(map(_is_huge, server.cells)):
        yield tag("memoryBacking", tag("hugepages", *_pages(server)))
    if not server.cells:
        yield tag("vcpu", str(server.vcpus))
        return
    yield tag("vcpu", str(server.vcpus), placement="static")
    places = {cpu: place for cell in server.cells for cpu, place in _places(cell)}
    emulator = set(server.emulator) or set().union(*places.values())
    yield tag(
        "cputune",
        *(
            tag("vcpupin", vcpu=str(cpu), cpuset=format_cpu_set(places[cpu]))
            for cpu in sorted(places)
            if places[cpu]
        ),
        *([tag("emulatorpin", cpuset=format_cpu_set(emulator))] if emulator else []),
    )
    nodes = format_cpu_set(cell.node for cell in server.cells)
    yield tag(
        "numatune",
        tag("memory", mode="strict", nodeset=nodes),
        *(
            tag("memnode", cellid=str(number), mode="strict", nodeset=str(cell.node))
            for number, cell in enumerate(server.cells)
        ),
    )


def guest_cells(server: ServerWanted) -> Iterator[Element]:
    """Yield what the guest's CPU says of its NUMA nodes."""
    if not server.cells:
        return
    # QEMU makes memory of huge pages from files, which guests can share with a vswitch.
    access = {"memAccess": "shared"} if any(map(_is_huge, server.cells)) else {}
    yield tag(
        "numa",
        *(
            tag(
                "cell",
                id=str(number),
                cpus=format_cpu_set(cell.cpus),
                memory=str(cell.memory_mib * _KIB),
                unit="KiB",
                **access,
            )
            for number, cell in enumerate(server.cells)
        ),
    )


def _is_huge(cell: CellWanted) -> bool:
    return cell.page_kib is not None and cell.page_kib > SMALL_KIB


def _pages(server: ServerWanted) -> Iterator[Element]:
    """Which pages each of the guest's nodes is made of; nodes of one size go together."""
    sizes = {cell.page_kib for cell in server.cells if _is_huge(cell)}
    for size in sorted(size for size in sizes if size):
        mine = (number for number, cell in enumerate(server.cells) if cell.page_kib == size)
        yield tag("page", size=str(size), unit="KiB", nodeset=format_cpu_set(mine))


def _places(cell: CellWanted) -> Iterator[tuple[int, frozenset[int]]]:
    """Each of the guest's CPUs with the host's CPUs on which it may run."""
    pins = dict(cell.pins)
    for cpu in cell.cpus:
        yield cpu, frozenset({pins[cpu]} if cpu in pins else cell.floating)
