"""NUMA nodes of this machine: CPUs, cores, sockets, memory and huge pages.

Source: Linux ``Documentation/ABI/stable/sysfs-devices-node``, ``sysfs-devices-system-cpu``.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.hostplan.observed import NumaNode, node_name
from lanekeeper.host.attribute import names, read_text, whole
from lanekeeper.host.fault import Faults, Part

_CPU = "sys/devices/system/cpu/cpu{}/topology"
_POOL = re.compile(r"hugepages-(\d+)kB")
_KIB = 1024
_CPUS_MAX = 2**16  # Linux NR_CPUS ends at 8192


def cpu_list(text: str) -> tuple[int, ...]:
    """Read a kernel CPU list such as ``0-3,8``. Source: Linux lib/bitmap.c, bitmap_parselist()."""
    found: list[int] = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        low, high = whole(first, "a CPU list"), whole(last or first, "a CPU list")
        if not 0 <= low <= high < _CPUS_MAX:
            raise HostFault(f"a CPU list is {text[:40]!r}, which no kernel has")
        found.extend(range(low, high + 1))
    return tuple(found)


def read_nodes(root: Path, faults: Faults | None = None) -> tuple[NumaNode, ...]:
    """Read all nodes, by number.

    Args:
        root: where ``sys`` is.
        faults: keeps what of a node cannot be read, by :func:`node_name`; that is left out.

    Raises:
        HostFault: a file says what no kernel would, and *faults* keeps none.
    """
    part = (faults or Faults(keep=False)).part
    base = root / "sys/devices/system/node"
    numbers = [int(n[4:]) for n in names(str(base)) if n.startswith("node") and n[4:].isdecimal()]
    nodes = (
        part(
            node_name(number),
            partial(_node, root, base / f"node{number}", number, part),
            None,
        )
        for number in sorted(numbers)
    )
    return tuple(node for node in nodes if node is not None)


def _node(root: Path, home: Path, number: int, part: Part) -> NumaNode | None:
    total = re.search(r"MemTotal:\s+(\d+) kB", read_text(str(home / "meminfo")) or "")
    sizes = [
        int(found[1]) for name in names(str(home / "hugepages")) if (found := _POOL.match(name))
    ]
    pools = {
        size: part(node_name(number), partial(_huge_pages, home, size), None)
        for size in sorted(sizes)
    }
    cpus = cpu_list(read_text(str(home / "cpulist")) or "")
    cores = {_siblings(root, cpu) for cpu in cpus}
    return NumaNode(
        number=number,
        cpus=cpus,
        memory_mib=int(total[1]) // _KIB if total else 0,
        huge_pages={size: pages for size, pages in pools.items() if pages is not None},
        socket=_socket(root, cpus[0]) if cpus else None,
        siblings=tuple(sorted(core for core in cores if core)),
    )


def _socket(root: Path, cpu: int) -> int | None:
    text = read_text(str(root / _CPU.format(cpu) / "physical_package_id"))
    number = whole(text, _CPU.format(cpu)) if text else -1
    return number if number >= 0 else None  # -1 where the firmware does not say


def _siblings(root: Path, cpu: int) -> tuple[int, ...]:
    """The threads of a CPU's core; none where the kernel does not tell."""
    return cpu_list(read_text(str(root / _CPU.format(cpu) / "thread_siblings_list")) or "")


def _huge_pages(home: Path, size_kib: int) -> tuple[int, int] | None:
    pool = home / f"hugepages/hugepages-{size_kib}kB"
    return _pages(pool / "nr_hugepages"), _pages(pool / "free_hugepages")


def _pages(count: Path) -> int:
    pages = whole(read_text(str(count)) or "0", str(count))
    if pages < 0:
        raise HostFault(f"{count} is {pages}, which no kernel has")
    return pages
