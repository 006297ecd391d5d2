"""Which of a cell's CPUs each pinned CPU of a guest gets."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from lanekeeper.domain.topology.cell import HostCell
from lanekeeper.domain.topology.guest import ThreadPolicy

Cores = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class Pinning:
    """Guest's CPU to host's CPU, and the host's CPUs beside them for the hypervisor's threads."""

    pins: Mapping[int, int]
    reserved: tuple[int, ...] = ()


def pin(
    cell: HostCell, vcpus: Collection[int], policy: ThreadPolicy | None, reserve: int = 0
) -> Pinning | None:
    """Give each of *vcpus* a free CPU of the cell, and *reserve* more; None where that cannot be.

    Cores of which more is free come first, so that guests get whole cores; where whole cores do
    not suffice, single threads do, unless the policy is ``require``. ``isolate`` needs a host whose
    cores have one thread: others would be lent out beside it.

    Source: nova ``virt/hardware.py``, _pack_instance_onto_cores.
    """
    free = cell.free_cores
    if policy is ThreadPolicy.ISOLATE and cell.threads > 1:
        return None
    for cores in _ways(free, policy):
        cpus = list(chain(*cores))
        if len(cpus) < len(vcpus):
            continue
        pins = dict(zip(sorted(vcpus), cpus, strict=False))
        taken = set(pins.values())
        left = [cpu for cpu in chain(*free) if cpu not in taken]
        if len(left) >= reserve:
            return Pinning(pins, tuple(left[:reserve]))
    return None


def _ways(free: Cores, policy: ThreadPolicy | None) -> Iterator[Cores]:
    """So many threads of each core that has them, then single threads as they come."""
    for threads in range(max(map(len, free), default=0), 0, -1):
        if threads > 1 or policy is not ThreadPolicy.REQUIRE:
            yield [core[:threads] for core in free if len(core) >= threads]
    if policy is not ThreadPolicy.REQUIRE:
        yield free
