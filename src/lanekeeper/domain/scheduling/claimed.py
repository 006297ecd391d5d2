"""What a host is after a server was given its place there: the claim, on the view in memory.

The database's claim (``store/device/life.py``, ``store/topology/claim.py``) does the same to rows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import replace

from lanekeeper.domain.network.promise import Promise
from lanekeeper.domain.pci.device import DeviceType
from lanekeeper.domain.scheduling.host import (
    AWAY,
    BESIDE,
    HostDevice,
    HostView,
    ServerRequest,
    Standing,
    Stock,
)
from lanekeeper.domain.scheduling.selection import Choice
from lanekeeper.domain.topology.cell import Amount, HostCell
from lanekeeper.domain.topology.fit import Seat


def claimed(request: ServerRequest, choice: Choice, server_id: str) -> HostView:
    """The host of *choice* with that server on it."""
    host = choice.host
    amounts = {**dict.fromkeys(host.stocks, 0), **request.amounts}
    groups = Counter(host.groups)
    if request.group is not None:
        groups[request.group.id] += 1
    return replace(
        host,
        stocks={
            name: Stock(host.stock(name).capacity, host.stock(name).used + amount)
            for name, amount in amounts.items()
        },
        devices=_less_bandwidth(
            _devices(host.devices, {given.device.id for given in choice.given}), request, choice
        ),
        cells=tuple(_cell(cell, choice.seats) for cell in host.cells),
        servers=host.servers | {server_id},
        groups=groups,
        generation=host.generation + 1,
    )


def classes_taken(choice: Choice) -> tuple[str, ...]:
    """Resource classes of the devices that are given, and of what comes along with them."""
    ids = {given.device.id for given in choice.given}
    units = {given.device.unit for given in choice.given} - {None}
    devices = (one for one in choice.host.devices if one.id in ids or one.unit in units)
    return tuple(one.offered.resource_class for one in devices)


def _devices(devices: tuple[HostDevice, ...], given: Collection[str]) -> tuple[HostDevice, ...]:
    """Those that are given are held, with the rest of their units; what is on the other side of
    their cards is blocked.
    """
    if not given:
        return devices
    units = {one.unit for one in devices if one.id in given and one.unit is not None}
    given = {one.id for one in devices if one.id in given or one.unit in units}
    parts = Counter(one.pf_id for one in devices if one.id in given and one.pf_id is not None)

    def after(one: HostDevice) -> HostDevice:
        held = one.parts_held + parts[one.card]
        if one.id in given:
            return replace(one, standing=Standing.HELD, parts_held=held)
        is_barred = one.pf_id in given or (
            one.offered.dev_type is DeviceType.PF and one.id in parts
        )
        if is_barred and (one.standing is Standing.FREE or one.standing in BESIDE):
            return replace(one, standing=Standing.BLOCKED, behind=(), parts_held=held)
        return replace(one, parts_held=held)

    return with_ties(tuple(map(after, devices)))


def with_ties(devices: tuple[HostDevice, ...]) -> tuple[HostDevice, ...]:
    """What is free, and cannot be had since another function of its unit is not free."""
    tying = {
        one.unit
        for one in devices
        if one.unit is not None and one.standing not in (Standing.FREE, *AWAY)
    }
    if not tying:
        return devices
    return tuple(
        replace(one, standing=Standing.TIED)
        if one.standing is Standing.FREE and one.unit in tying
        else one
        for one in devices
    )


def _less_bandwidth(
    devices: tuple[HostDevice, ...], request: ServerRequest, choice: Choice
) -> tuple[HostDevice, ...]:
    """The cards have promised what the server's ports are promised."""
    promises = {need.id: need.promise for need in request.needs if need.promise}
    made: dict[str, list[Promise]] = defaultdict(list)
    for given in choice.given:
        if given.need_id in promises and given.device.bandwidth is not None:
            made[given.device.bandwidth.provider_id].append(promises[given.need_id])
    if not made:
        return devices
    return tuple(
        replace(one, bandwidth=one.bandwidth.after(made[one.bandwidth.provider_id]))
        if one.bandwidth is not None and one.bandwidth.provider_id in made
        else one
        for one in devices
    )


def _cell(cell: HostCell, seats: Collection[Seat]) -> HostCell:
    for seat in seats:
        if seat.host_cell != cell.id:
            continue
        amounts = dict(cell.amounts)
        for take in seat.takes:
            before = cell.amount(take.what)
            amounts[take.what] = Amount(before.total, before.capacity, before.used + take.amount)
        cell = replace(cell, pinned=cell.pinned | set(seat.cpus), amounts=amounts)
    return cell
