"""A server's place on one host: its NUMA cells, CPUs and pages together with its devices."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from lanekeeper.domain.scheduling.fit import Given, fit_devices
from lanekeeper.domain.scheduling.host import HostDevice, HostView, ServerRequest, Standing
from lanekeeper.domain.scheduling.shortfall import Shortfall
from lanekeeper.domain.scheduling.tied import units_of
from lanekeeper.domain.topology.affinity import ANYWHERE, Locality, RootPolicy
from lanekeeper.domain.topology.fit import Seat, seatings, why_not


@dataclass(frozen=True, slots=True)
class Place:
    """What a server would get: devices, and a seat for each cell that it asks for."""

    given: tuple[Given, ...]
    seats: tuple[Seat, ...] = ()


def place(request: ServerRequest, host: HostView) -> Place | Shortfall:
    """Seat the guest and match its devices, all or nothing; the nearest devices that can be had.

    Of several ways to seat a guest the one is taken whose devices are nearest to it; of equal ones
    the first, in the order of ``seatings``.
    """
    best: tuple[int, Place] | None = None
    short: Shortfall | None = None
    is_seated = False
    # All of the host's: some of a unit may be on another root port.
    units = units_of(one for one in host.devices if one.standing is Standing.FREE)
    for seats in _seatings(request, host):
        is_seated, guest = True, locality(seats, host)
        for devices in _together(request, host.devices):
            given = fit_devices(request.needs, devices, guest, isolate=request.isolate, units=units)
            if isinstance(given, Shortfall):
                if short is None or (short.is_too_far and not given.is_too_far):
                    short = given  # where else the guest may be does not count against devices
                continue
            far = sum(guest.distance(one.device.numa_node) for one in given)
            if best is None or far < best[0]:
                best = far, Place(given, seats)
            break
        if best is not None and best[0] == 0:
            break
    if best is not None:
        return best[1]
    if request.topology is not None and not is_seated:
        miss = why_not(request.topology, host.cells)
        return Shortfall(tuple(need.name for need in request.needs), miss.reason, miss.remedy)
    return _short(request, host, short)


def _seatings(request: ServerRequest, host: HostView) -> Iterator[tuple[Seat, ...]]:
    if request.topology is None:
        yield ()
        return
    free = [one for one in host.devices if one.standing is Standing.FREE]
    yield from seatings(
        request.topology,
        host.cells,
        devices=Counter(one.numa_node for one in free if one.numa_node is not None),
        wants_devices=bool(request.needs),
        kinds=partial(_kinds, free),
        pack=request.pack_cells,
    )


def _kinds(free: Sequence[HostDevice]) -> Mapping[int, Hashable]:
    """What is near to each cell, as far as it decides what fits."""
    near: dict[int, Counter[Hashable]] = defaultdict(Counter)
    for one in free:
        if one.numa_node is not None:
            near[one.numa_node][one.offered.key, one.pf_id, one.pcie_root] += 1
    return {node: frozenset(kinds.items()) for node, kinds in near.items()}


def locality(seats: Sequence[Seat], host: HostView) -> Locality:
    """Where a guest with these seats is on its host."""
    if not seats:
        return ANYWHERE
    return Locality(
        frozenset(seat.host_cell for seat in seats), {cell.id: cell.socket for cell in host.cells}
    )


def _together(
    request: ServerRequest, devices: Sequence[HostDevice]
) -> Iterator[Sequence[HostDevice]]:
    """Yield the devices among which all are to be found, the best first."""
    if request.pcie_root is not RootPolicy.ANY and request.needs:
        roots: dict[str, list[HostDevice]] = defaultdict(list)
        for one in devices:
            if one.pcie_root is not None:
                roots[one.pcie_root].append(one)
        yield from (roots[root] for root in sorted(roots))
    if request.pcie_root is not RootPolicy.REQUIRED or not request.needs:
        yield devices


def _short(request: ServerRequest, host: HostView, short: Shortfall | None) -> Shortfall:
    names = tuple(need.name for need in request.needs)
    if request.pcie_root is RootPolicy.REQUIRED:
        roots = {one.pcie_root for one in host.devices if one.pcie_root is not None}
        return Shortfall(
            names,
            f"none of its {len(roots)} PCIe root ports has all of {', '.join(names)} near enough "
            "below it",
            "use lanekeeper:pcie_root=preferred, or put the cards behind one switch",
        )
    assert short is not None, "a way to seat the guest failed for want of devices"
    return short
