"""A server's place on one host: its NUMA cells, CPUs and pages together with its devices."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from lanekeeper.domain.scheduling.fit import Given, fit_devices, without_promises
from lanekeeper.domain.scheduling.freed import all_free, past_help
from lanekeeper.domain.scheduling.host import HostDevice, HostView, ServerRequest, Standing
from lanekeeper.domain.scheduling.shortfall import Shortfall, alternative_of, names_of
from lanekeeper.domain.scheduling.tied import units_of
from lanekeeper.domain.topology.affinity import ANYWHERE, Locality, RootPolicy
from lanekeeper.domain.topology.cell import HostCell
from lanekeeper.domain.topology.fit import Seat, misfit, seatings, why_not
from lanekeeper.domain.topology.guest import GuestTopology

_SMALLER = (
    "use a smaller flavor, give guests more of those cells ([compute] cpu_dedicated_set, "
    "cpu_shared_set, or huge pages on that host)"
)


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
    found, short, is_seated = _best(request, host)
    if found is not None:
        return found
    if request.topology is not None and not is_seated:
        miss = why_not(request.topology, host.cells)
        return Shortfall(names_of(request.needs), miss.reason, miss.remedy)
    told = _short(request, host, short)
    if told.is_taken:
        return _even_if_free(request, host, told)
    return _crowded(request, request.topology, host, told) if request.topology else told


def _even_if_free(request: ServerRequest, host: HostView, short: Shortfall) -> Shortfall:
    """*short*, or what would stand against the server if nobody else were on its host."""
    cells = tuple(cell.emptied() for cell in host.cells)
    empty = replace(host, devices=all_free(host.devices), cells=cells)
    place, still, _ = _best(replace(request, needs=without_promises(request.needs)), empty)
    return short if place is not None else past_help(short, still)


def _best(request: ServerRequest, host: HostView) -> tuple[Place | None, Shortfall | None, bool]:
    """The nearest place; what the devices came short of otherwise; whether there was any seat."""
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
                if short is None or _weight(given) > _weight(short):
                    short = given
                continue
            far = sum(guest.distance(one.device.numa_node) for one in given)
            if best is None or far < best[0]:
                best = far, Place(given, seats)
            break
        if best is not None and best[0] == 0:
            break
    return None if best is None else best[1], short, is_seated


def _weight(short: Shortfall) -> int:
    """Which of several is told: nothing is a fact of the host where one search was given up, and
    where else the guest may be does not count against devices.
    """
    return 2 if short.is_given_up else int(not short.is_too_far)


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
    is_known = short is None or not short.is_given_up
    if is_known and request.pcie_root is RootPolicy.REQUIRED:
        names = names_of(request.needs)
        roots = {one.pcie_root for one in host.devices if one.pcie_root is not None}
        return Shortfall(
            names,
            f"none of its {len(roots)} PCIe root ports has all of {', '.join(names)} near enough "
            "below it",
            "use lanekeeper:pcie_root=preferred, or put the cards behind one switch",
        )
    assert short is not None, "a way to seat the guest failed for want of devices"
    return short


def _crowded(
    request: ServerRequest, topology: GuestTopology, host: HostView, short: Shortfall
) -> Shortfall:
    """*short*, or that only other guests keep the guest from where free devices are near."""
    is_of_roots = request.pcie_root is RootPolicy.REQUIRED
    if short.is_given_up or not (short.is_too_far or is_of_roots):
        return short
    near = _near_free(request, host)
    cells = {cell.id: cell for cell in host.cells}
    emptied = tuple(cell.emptied() if cell.id in near else cell for cell in host.cells)
    found, _, _ = _best(request, replace(host, cells=emptied))
    if found is None:
        return _too_small(topology, [one for one in emptied if one.id in near], short)
    if emptied == host.cells:
        return short  # nobody is there
    full = {
        seat.host_cell: miss.reason
        for seat in found.seats
        if (miss := misfit(topology, seat.guest_cell, cells[seat.host_cell]))
    }
    if not full:
        return short
    names = ", ".join(short.names)
    told = "; ".join(f"cell {cell} {reason}" for cell, reason in sorted(full.items()))
    on = "cell" if len(full) == 1 else "cells"
    where = f"{on} {' and '.join(map(str, sorted(full)))}"
    return replace(
        short,
        reason=f"has no room for the guest near free devices for {names}: {told}",
        remedy=f"delete servers on {where} of this host, or {short.remedy}",
    )


def _too_small(topology: GuestTopology, near: Sequence[HostCell], short: Shortfall) -> Shortfall:
    """*short*, or that no cell near free devices would have room even without other guests."""
    misses = {
        cell.id: [misfit(topology, index, cell) for index in range(len(topology.cells))]
        for cell in near
    }
    first = {cell: found[0] for cell, found in misses.items() if found[0] and all(found)}
    if not near or len(first) < len(near):
        return short
    told = "; ".join(f"cell {cell} {miss.reason}" for cell, miss in sorted(first.items()))
    return replace(
        short,
        reason=f"{short.reason}; and even without other guests {told}",
        remedy=f"{_SMALLER}, or {short.remedy}",
    )


def _near_free(request: ServerRequest, host: HostView) -> set[int]:
    """The cells near which some free device is that a need could have."""
    sockets = {cell.id: cell.socket for cell in host.cells}
    free = [one for one in host.devices if one.standing is Standing.FREE]
    return {
        cell
        for need in request.needs
        for one in free
        if alternative_of(need, one) is not None
        for cell in sockets
        if Locality(frozenset({cell}), sockets).allows(need.request.numa_policy, one.numa_node)
    }
