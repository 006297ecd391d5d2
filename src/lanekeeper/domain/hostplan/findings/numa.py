"""NUMA nodes, their memory, their huge pages, and how much of it guests may lock."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lanekeeper.domain.hostplan.findings.finding import Finding, Kind, Rule, Severity
from lanekeeper.domain.hostplan.huge_page_argument import pools
from lanekeeper.domain.hostplan.observed import NumaNode
from lanekeeper.domain.hostplan.survey import Survey

NODE = Kind(
    "numa-node",
    Severity.INFO,
    "CPUs, memory and huge pages of a node.",
    "Guests with devices are fastest on the node of their device; this is what it offers.",
)
NODE_UNKNOWN = Kind(
    "numa-node-unknown",
    Severity.INFO,
    "A card does not say which NUMA node it is near, on a host with several.",
    "Guests whose NUMA policy is 'required' cannot have its devices; others may run far from it.",
    "guests that require affinity will not get it; see the firmware's SRAT",
)
HUGE_PAGES_FAR = Kind(
    "huge-pages-far",
    Severity.WARNING,
    "There are huge pages, and none on the node that a card is near.",
    "A guest with huge pages and that card's device cannot have both on one node: it is refused, "
    "or slow.",
)
HUGE_PAGES_SHORT = Kind(
    "huge-pages-short",
    Severity.WARNING,
    "The kernel found fewer huge pages than its arguments ask for.",
    "Memory was short or in pieces when they were taken; guests that count on them do not start.",
    "reserve them on the kernel arguments (1 GiB pages nowhere else), with memory to spare",
)
MEMLOCK_EXCEEDED = Kind(
    "memlock-exceeded",
    Severity.ERROR,
    "The kernel refused a guest's device because the guest may not lock its memory.",
    "With a device all of a guest's memory is locked; above the limit QEMU ends with 'Cannot "
    "allocate memory'.",
    "let libvirt set the limit (it does, for its own guests), or LimitMEMLOCK=infinity in the unit "
    "that starts QEMU",
)
MEMLOCK_LOW = Kind(
    "memlock-low",
    Severity.WARNING,
    "A setting limits the memory that libvirt or QEMU may lock.",
    "Guests with devices lock all their memory; those larger than the limit do not start, where "
    "libvirt may not raise it.",
)

_EXCEEDED = re.compile(r"RLIMIT_MEMLOCK(?: \(\d+\))? exceeded")
_UNIT_BYTES_MIN = 64 * 2**20  # what libvirt's own units ship
_MIB = 2**20


def _nodes(survey: Survey) -> Iterator[Finding]:
    for node in survey.host.nodes:
        huge = [f"{total} of {size // 1024} MiB" for size, (total, _) in node.huge_pages.items()]
        present = [entry for entry in huge if not entry.startswith("0 ")]
        yield NODE.found(
            f"node {node.number}",
            f"{len(node.cpus)} CPUs, {node.memory_mib} MiB, huge pages: "
            f"{', '.join(present) or 'none'}",
            f"/sys/devices/system/node/node{node.number}",
        )


def _of_devices(survey: Survey) -> Iterator[Finding]:
    host = survey.host
    if len(host.nodes) < 2:  # noqa: PLR2004  # one node is near everything
        return
    without = {node.number for node in host.nodes if not _huge(node)}
    for pf in host.pfs:
        if pf.numa_node is None:
            yield NODE_UNKNOWN.found(
                f"{pf.address}{f' ({pf.netdev})' if pf.netdev else ''}",
                "the firmware does not say which NUMA node the card is near",
                "numa_node is -1",
            )
        elif pf.numa_node in without and len(without) < len(host.nodes):
            pools = f"/sys/devices/system/node/node{pf.numa_node}/hugepages/*/nr_hugepages"
            yield HUGE_PAGES_FAR.found(
                str(pf.address),
                f"node {pf.numa_node} of the card has no huge pages, others have",
                f"{pools} are 0",
                f"hugepages={pf.numa_node}:N on the kernel arguments (Linux 5.14 and later)",
            )


def _huge(node: NumaNode) -> int:
    return sum(total for total, _ in node.huge_pages.values())


def _short(survey: Survey) -> Iterator[Finding]:
    """Compare what the kernel takes of its arguments, over all sizes together."""
    counts = pools(survey.host.cmdline).counts.values()
    asked = [count for count in counts if count and count.isdecimal()]
    total = sum(_huge(node) for node in survey.host.nodes)
    if asked and survey.host.nodes and total < sum(map(int, asked)):
        words = " ".join(f"hugepages={count}" for count in asked)
        yield HUGE_PAGES_SHORT.found(
            "host",
            f"{total} huge pages of {sum(map(int, asked))}",
            f"/proc/cmdline has {words}; nr_hugepages of all nodes is {total}",
        )


def _memory_lock(survey: Survey) -> Iterator[Finding]:
    refused = next((line for line in survey.log.lines if _EXCEEDED.search(line)), None)
    if refused:
        yield MEMLOCK_EXCEEDED.found(
            "host",
            "a guest's device was refused for want of lockable memory",
            f"/{survey.log.source} has {refused!r}",
        )
    for limit in survey.memory_limits:
        is_unit = limit.line.path.endswith((".conf", ".service")) and "systemd" in limit.line.path
        if is_unit and limit.amount >= _UNIT_BYTES_MIN:
            continue
        fix = "LimitMEMLOCK=infinity" if is_unit else f"{limit.who} - memlock unlimited"
        yield MEMLOCK_LOW.found(
            limit.who,
            f"{limit.who} may lock {limit.amount // _MIB} MiB",
            str(limit.line),
            f"{fix} there",
        )


RULES: tuple[Rule, ...] = (
    Rule(_nodes, (NODE,)),
    Rule(_of_devices, (NODE_UNKNOWN, HUGE_PAGES_FAR)),
    Rule(_short, (HUGE_PAGES_SHORT,)),
    Rule(_memory_lock, (MEMLOCK_EXCEEDED, MEMLOCK_LOW)),
)
