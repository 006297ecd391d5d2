"""Which devices of one host a server would get, or why it cannot have them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lanekeeper.domain.matching import match_all, most_matched
from lanekeeper.domain.pci.device import DeviceType
from lanekeeper.domain.pci.request import matches, mismatches
from lanekeeper.domain.scheduling.host import DeviceNeed, HostDevice, Standing
from lanekeeper.domain.topology.affinity import ANYWHERE, Locality


@dataclass(frozen=True, slots=True)
class Given:
    """One device for one unit of a need, counted from 0."""

    device: HostDevice
    need_id: str
    index: int


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Why the devices of a host do not do.

    Attributes:
        names: the needs that come off badly.
        unfit: what is wrong with devices that would fit, each text once.
    """

    names: tuple[str, ...]
    reason: str
    remedy: str
    unfit: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Unit:
    """One device that is wanted; several of one need are alike."""

    need: DeviceNeed
    index: int


def fit_devices(
    needs: Sequence[DeviceNeed], devices: Sequence[HostDevice], guest: Locality = ANYWHERE
) -> tuple[Given, ...] | Shortfall:
    """Give every need its devices, whatever the order in which they are named.

    A PF and its VFs are never given together. Earlier alternatives of an alias are preferred, then
    what is nearest to the *guest*, then what can least beside what is asked, so that trusted
    devices are not wasted. VFs come from the fullest card where the PF itself may be lent out, so
    that whole PFs stay whole, and from the emptiest one elsewhere, so that servers share the wire
    evenly.
    """
    wanted = sum(need.request.count for need in needs)
    free = [device for device in devices if device.standing is Standing.FREE]
    for need in needs:
        if shortfall := _alone(need, devices, guest):
            return shortfall
    units = [_Unit(need, index) for need in needs for index in range(need.request.count)]
    found = _place(units, free, guest) if wanted <= len(free) else None
    if found is not None:
        return tuple(found)
    names = tuple(dict.fromkeys(need.name for need in needs if need.request.count))
    most = most_matched([_wishes(unit, free, guest) for unit in units]) if units else 0
    return Shortfall(
        names,
        f"{', '.join(names)} together need {wanted} devices and at most {most} can be had together"
        + (" (a PF and its VFs exclude each other)" if most >= wanted else ""),
        "ask for fewer devices in one server, or free some that serve several of these",
    )


def _place(
    units: Sequence[_Unit], free: Sequence[HostDevice], guest: Locality
) -> list[Given] | None:
    """Choose PFs first, one after the other, so that the VFs left over serve the rest."""
    whole = [unit for unit in units if _wants_whole(unit.need)]
    parts = [unit for unit in units if not _wants_whole(unit.need)]
    for chosen in _whole_choices(whole, parts, free, guest):
        gone = {device.id for device in chosen}
        rest = [device for device in free if device.id not in gone and device.pf_id not in gone]
        given = match_all([_wishes(unit, rest, guest) for unit in parts])
        if given is not None:
            pairs = [*zip(whole, chosen, strict=True)]
            pairs += [(unit, rest[thing]) for unit, thing in zip(parts, given, strict=True)]
            return [Given(device, unit.need.id, unit.index) for unit, device in pairs]
    return None


def _wants_whole(need: DeviceNeed) -> bool:
    # Alternatives of one alias agree in their type.
    return need.request.alternatives[0].dev_type is DeviceType.PF


def _whole_choices(
    whole: Sequence[_Unit], parts: Sequence[_Unit], free: Sequence[HostDevice], guest: Locality
) -> Iterator[list[HostDevice]]:
    """Yield every choice of PFs for *whole*, leaving out those that differ in nothing."""
    if not whole:
        yield []
        return
    unit, *others = whole
    tried: set[object] = set()
    for thing in _wishes(unit, free, guest):
        device = free[thing]
        kind = _kind(device, (whole, parts), free, guest)
        if kind in tried:
            continue
        tried.add(kind)
        rest = [one for one in free if device.id not in (one.id, one.pf_id)]
        for more in _whole_choices(others, parts, rest, guest):
            yield [device, *more]


def _kind(
    pf: HostDevice,
    units: tuple[Sequence[_Unit], Sequence[_Unit]],
    free: Sequence[HostDevice],
    guest: Locality,
) -> object:
    """What taking this PF means for everybody: PFs of one kind are interchangeable."""
    whole, parts = (_one_of_each(some) for some in units)
    vfs = Counter(
        frozenset(kind for kind, one in parts if _rank(one, device, guest) is not None)
        for device in free
        if device.pf_id == pf.id
    )
    takers = frozenset(kind for kind, one in whole if _rank(one, pf, guest) is not None)
    return takers, frozenset(vfs.items())


def _one_of_each(units: Sequence[_Unit]) -> list[tuple[object, _Unit]]:
    """One of the units that want the same of the same provider, under a name for them."""
    return list({(one.need.id, *one.need.providers[one.index :][:1]): one for one in units}.items())


def _wishes(unit: _Unit, free: Sequence[HostDevice], guest: Locality) -> list[int]:
    """Positions in *free* of what would do, the best first."""
    ranked = [
        (
            rank,
            guest.distance(device.numa_node),
            _spare(device),
            device.parts_held * (-1 if device.whole_offered else 1),
            device.address,
            position,
        )
        for position, device in enumerate(free)
        if (rank := _rank(unit, device, guest)) is not None
    ]
    return [position for *_, position in sorted(ranked)]


def _spare(device: HostDevice) -> int:
    """What a device can beyond the least; who asks for it is given nothing else anyway."""
    return sum(device.offered.tags.get(flag) == "true" for flag in ("trusted", "live_migratable"))


def _rank(unit: _Unit, device: HostDevice, guest: Locality) -> int | None:
    """Which alternative the device fits, counted from 0; None when it fits none."""
    need = unit.need
    if need.providers and device.provider_id != need.providers[unit.index]:
        return None
    if not guest.allows(need.request.numa_policy, device.numa_node):
        return None
    return _alternative(need, device)


def _alternative(need: DeviceNeed, device: HostDevice) -> int | None:
    for rank, alternative in enumerate(need.request.alternatives):
        if matches(alternative, device.offered):
            return rank
    return None


def _alone(need: DeviceNeed, devices: Sequence[HostDevice], guest: Locality) -> Shortfall | None:
    """Whether this need alone asks for more than the host has free, and why."""
    count, policy = need.request.count, need.request.numa_policy
    fitting = [device for device in devices if _alternative(need, device) is not None]
    near = [device for device in fitting if guest.allows(policy, device.numa_node)]
    if fitting and len(near) < count <= len(fitting):
        return _too_far(need, fitting, near, guest)
    fitting = near
    standings = Counter(device.standing for device in fitting)
    if standings[Standing.FREE] >= count:
        return None
    if not fitting:
        return Shortfall(
            (need.name,),
            f"{need.name} needs {count}, and no device listed here fits{_nearest(need, devices)}",
            "list such devices in [pci] device_spec of this host",
        )
    ills = (one.unfit for one in fitting if one.standing is Standing.UNFIT)
    unfit = tuple(dict.fromkeys(ills))
    return Shortfall(
        (need.name,),
        f"{need.name} needs {count}; of {len(fitting)} that fit {_tally(standings)}",
        _remedy(standings, unfit) if count <= len(fitting) else _TOO_MANY,
        unfit,
    )


def _tally(standings: Mapping[Standing, int]) -> str:
    parts = [f"{standings[one]} are {one}" for one in Standing if standings.get(one)]
    return ", ".join(parts) if standings.get(Standing.FREE) else ", ".join(["0 are free", *parts])


def _too_far(
    need: DeviceNeed, fitting: Sequence[HostDevice], near: Sequence[HostDevice], guest: Locality
) -> Shortfall:
    nodes = sorted({str(device.numa_node) for device in fitting if device not in near})
    guests = ", ".join(map(str, sorted(guest.nodes or ())))
    return Shortfall(
        (need.name,),
        f"{need.name} needs {need.request.count} by NUMA policy {need.request.numa_policy}; of "
        f"{len(fitting)} that fit {len(near)} are near enough: the guest is on node {guests}, the "
        f"others on node {', '.join(nodes)}",
        "use the policy preferred, or socket, or devices on the guest's nodes",
    )


_NAMED = 3
_RETURN = (
    "ask for the return of what is spent or reserved: openstack resource provider inventory set "
    "--amend --resource CLASS:reserved=0 UUID, or lanekeeper device release ID (lanekeeper device "
    "list shows the ids)"
)
_TOO_MANY = "ask for fewer, or add devices: even with all of them free there are not so many"


_REMEDIES: Mapping[Standing, str] = {
    Standing.SPENT: _RETURN,
    Standing.RESERVED: _RETURN,
    Standing.RETIRED: "have a retired device serve again (lanekeeper device release ID), or add "
    "devices",
    Standing.QUARANTINED: "see why devices are quarantined (lanekeeper device list) and have them "
    "cleaned",
    Standing.TIED: "see which function of its unit is not free (lanekeeper device list): all of "
    "them are given away together",
}
"""What helps where some devices stand so, the first one first."""


def _remedy(standings: Mapping[Standing, int], unfit: Sequence[str]) -> str:
    if standings.get(Standing.CLEANING):
        return "wait until the cleaning is done"
    if unfit:
        more = f" and {len(unfit) - _NAMED} more" if len(unfit) > _NAMED else ""
        return (
            f"mend {', '.join(unfit[:_NAMED])}{more}; what has been well for long enough is "
            "offered again by itself"
        )
    found = (remedy for standing, remedy in _REMEDIES.items() if standings.get(standing))
    return next(found, "delete a server that holds such a device, or add devices")


def _nearest(need: DeviceNeed, devices: Sequence[HostDevice]) -> str:
    """Say what keeps out the devices that miss by the least."""
    first = need.request.alternatives[0]
    misses = [tuple(mismatches(first, device.offered)) for device in devices]
    if not misses:
        return "; none is listed at all"
    least = min(map(len, misses))
    (reasons, number), *_ = Counter(miss for miss in misses if len(miss) == least).most_common(1)
    return f"; of the nearest {number} each says: {', '.join(reasons)}"
