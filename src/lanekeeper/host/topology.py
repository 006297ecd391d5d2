"""NUMA nodes of this machine: CPUs, cores, sockets, memory and huge pages.

Source: Linux ``Documentation/ABI/stable/sysfs-devices-node``, ``sysfs-devices-system-cpu``.
"""

from __future__ import annotations

import re
from pathlib import Path

from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.hostplan.observed import NumaNode
from lanekeeper.host.attribute import names, read_text, whole

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


def read_nodes(root: Path) -> tuple[NumaNode, ...]:
    """Read all nodes, by number. Raises HostFault: a file says what no kernel would."""
    base = root / "sys/devices/system/node"
    numbers = [int(n[4:]) for n in names(str(base)) if n.startswith("node") and n[4:].isdecimal()]
    return tuple(_node(root, base / f"node{number}", number) for number in sorted(numbers))


def _node(root: Path, home: Path, number: int) -> NumaNode:
    total = re.search(r"MemTotal:\s+(\d+) kB", read_text(str(home / "meminfo")) or "")
    sizes = [
        int(found[1]) for name in names(str(home / "hugepages")) if (found := _POOL.match(name))
    ]
    cpus = cpu_list(read_text(str(home / "cpulist")) or "")
    cores = {_siblings(root, cpu) for cpu in cpus}
    return NumaNode(
        number=number,
        cpus=cpus,
        memory_mib=int(total[1]) // _KIB if total else 0,
        huge_pages={size: _huge_pages(home, size) for size in sorted(sizes)},
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


def _huge_pages(home: Path, size_kib: int) -> tuple[int, int]:
    pool = home / f"hugepages/hugepages-{size_kib}kB"
    counts = (read_text(str(pool / f"{kind}_hugepages")) for kind in ("nr", "free"))
    total, free = (whole(count or "0", f"{pool}/*_hugepages") for count in counts)
    return total, free
