"""Steps that keep huge pages on NUMA nodes."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan.action import SetHugePages
from lanekeeper.domain.hostplan.observed import HostFacts, node_name
from lanekeeper.domain.hostplan.policy.kernel import HugePages
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.step import Refusal, State, Step

_KIB = 1024


def huge_page_steps(policy: Policy, host: HostFacts) -> Iterator[Step]:
    """Set each pool that has another number of pages."""
    for pool in policy.huge_pages:
        now = _now(pool, host)
        if now is not None and now[0] != pool.pages:
            why = f"the policy says {pool.pages}, there are {now[0]}"
            do = SetHugePages(pool.node, pool.size_kib, pool.pages)
            yield Step(do, (SetHugePages(pool.node, pool.size_kib, now[0]),), why)


def huge_page_refusals(policy: Policy, host: HostFacts) -> Iterator[Refusal]:
    """Refuse pools that the node cannot have, or that guests use."""
    for pool in policy.huge_pages:
        node = next((node for node in host.nodes if node.number == pool.node), None)
        faults = [reason for name, reason in host.node_faults if name == node_name(pool.node)]
        if faults and _now(pool, host) is None:
            fix = "no kernel says so: mend the host, or drop the entry"
            yield Refusal("huge-pages-unknown", pool.path, "; ".join(faults), fix)
            continue
        if node is None:
            there = ", ".join(str(node.number) for node in host.nodes) or "none"
            reason = f"there is no NUMA node {pool.node}"
            yield Refusal("numa-node-not-found", pool.path, reason, f"nodes here: {there}")
            continue
        now = node.huge_pages.get(pool.size_kib)
        if now is None:
            there = ", ".join(f"{size} KiB" for size in node.huge_pages) or "none"
            reason = f"node {pool.node} has no pages of {pool.size_kib} KiB"
            yield Refusal("huge-page-size-unknown", pool.path, reason, f"sizes here: {there}")
            continue
        used = now[0] - now[1]
        if pool.pages < used:
            reason = f"{used} pages are in use on node {pool.node}, {pool.pages} are asked"
            fix = f"at least pages: {used}, or stop the guests that use them"
            yield Refusal("huge-pages-in-use", pool.path, reason, fix)
        most = node.memory_mib * _KIB // pool.size_kib
        if pool.pages > most:
            reason = f"{pool.pages} pages asked, the memory of node {pool.node} holds {most}"
            yield Refusal("huge-pages-above-memory", pool.path, reason, f"below {most}")


def huge_page_states(policy: Policy, host: HostFacts) -> Iterator[State]:
    for pool in policy.huge_pages:
        now = _now(pool, host)
        if now is not None:
            yield State(
                subject=f"node {pool.node}",
                setting=f"huge pages of {pool.size_kib} KiB",
                requested=str(pool.pages),
                active=str(now[0]),
            )


def _now(pool: HugePages, host: HostFacts) -> tuple[int, int] | None:
    nodes = (node.huge_pages for node in host.nodes if node.number == pool.node)
    return next(nodes, {}).get(pool.size_kib)
