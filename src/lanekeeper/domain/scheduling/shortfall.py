"""Why the devices of a host do not do for what a server asks, and what would help."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lanekeeper.domain.errors import some
from lanekeeper.domain.pci.alias import NumaPolicy
from lanekeeper.domain.pci.device import DeviceType
from lanekeeper.domain.pci.request import Alternative, Mismatch, matches, mismatches
from lanekeeper.domain.scheduling.host import DeviceNeed, HostDevice, Standing
from lanekeeper.domain.topology.affinity import Locality

_NAMED = 3
_LIST_SOME = "list such devices in [pci] device_spec of this host"
_TOO_MANY = "ask for fewer, or add devices: even with all of them free there are not so many"
_REMEDIES: Mapping[Standing, str] = {
    Standing.CLEANING: "wait until the cleaning is done",
    Standing.UNFIT: "mend {unfit}; what has been well for long enough is offered again by itself",
    Standing.SPENT: (
        "ask for the return of what is spent or reserved: openstack resource provider inventory "
        "set --amend --resource CLASS:reserved=0 UUID, or lanekeeper device release ID "
        "(lanekeeper device list shows the ids)"
    ),
    Standing.RETIRED: (
        "have a retired device serve again (lanekeeper device release ID), or add devices"
    ),
    Standing.QUARANTINED: (
        "see why devices are quarantined (lanekeeper device list) and have them cleaned "
        "(lanekeeper device clean ID)"
    ),
    Standing.UNLISTED: (
        "have an entry of [pci] device_spec of this host list them again, and the agent read it "
        "(systemctl reload); what is on the bus and set aside in spite of its entry, lanekeeper "
        "agent list names"
    ),
    Standing.MISSING: (
        "see on the host why devices are gone (lspci, dmesg): what is back is offered again by "
        "itself"
    ),
    Standing.TIED: (
        "see which function of its unit is not free (lanekeeper device list): all of them are "
        "given away together"
    ),
    Standing.BLOCKED: (
        "delete the servers that hold the card's other side, its PF or its VFs (lanekeeper device "
        "list names them)"
    ),
    Standing.BESIDE_CLEANING: "wait until {behind} is cleaned",
    Standing.BESIDE_QUARANTINED: (
        "see why {behind} is quarantined (lanekeeper device list --needs-attention) and have it "
        "cleaned (lanekeeper device clean ID)"
    ),
    Standing.BESIDE_UNLISTED: (
        "have an entry of [pci] device_spec of this host list {behind} again, in the place of its "
        "card's other side, so that it is cleaned: it was not when it was listed no more"
    ),
    Standing.BESIDE_SPENT: (
        "ask for the return of {behind}, whose guest has had the card (lanekeeper device release "
        "ID; lanekeeper device list --needs-attention shows the ids)"
    ),
    Standing.HELD: "delete a server that holds such a device, or add devices",
}
"""What frees a device, the easiest first."""
_MORE_BANDWIDTH = (
    "lower min_kbps of the port's minimum_bandwidth rule, delete a server whose ports are promised "
    "some of that PF, or say that the PF carries more in [sriov_nic] resource_provider_bandwidths "
    "of this host"
)
_NO_BANDWIDTH = (
    "say what the PF carries in [sriov_nic] resource_provider_bandwidths of this host "
    "(INTERFACE:EGRESS:INGRESS, in kbit/s)"
)
_POLICIES = (NumaPolicy.SOCKET, NumaPolicy.LEGACY, NumaPolicy.PREFERRED)
"""What may be less strict than another, the strictest first."""


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Why the devices of a host do not do.

    Attributes:
        names: the needs that come off badly.
        unfit: what is wrong with devices that would fit, each text once.
        is_too_far: enough can be had, and not near enough to where the guest would be.
        is_given_up: nothing was found, and there may be a way nevertheless.
        is_taken: enough are there, and not free; the remedy frees them.
        is_past_help: it would not do if everything here were free.
    """

    names: tuple[str, ...]
    reason: str
    remedy: str
    unfit: tuple[str, ...] = ()
    is_too_far: bool = False
    is_given_up: bool = False
    is_taken: bool = False
    is_past_help: bool = False


@dataclass(frozen=True, slots=True)
class Sought:
    """What a search is for that may be given up.

    Attributes:
        remedy: what makes the search shorter.
    """

    what: str
    remedy: str


WHOLE = Sought(
    "PFs whose VFs nobody else here needs",
    "ask for PFs and VFs in two servers, or for fewer of them in one",
)
PROMISED = Sought(
    "PFs that have left what each of the ports is promised",
    "ask for fewer ports with a minimum_bandwidth rule in one server, or lower min_kbps of these",
)

TIED = Sought(
    "devices that bring nothing along which excludes another",
    "ask for them in two servers, or for fewer of them in one",
)

APART = Sought(
    "devices of different cards for the ports with apart in their binding profiles",
    "ask for fewer such ports in one server, or take apart out of some of their binding profiles",
)


def given_up(needs: Iterable[DeviceNeed], sought: Sought) -> Shortfall:
    """Say that nothing was found, and that there may be a way nevertheless."""
    names = names_of(needs)
    return Shortfall(
        names,
        f"{', '.join(names)} together: the search for {sought.what} was given up, there are too "
        "many ways to choose them",
        sought.remedy,
        is_given_up=True,
    )


def names_of(needs: Iterable[DeviceNeed]) -> tuple[str, ...]:
    """Of those that ask for some, each name once."""
    return tuple(dict.fromkeys(need.name for need in needs if need.request.count))


def alternative_of(need: DeviceNeed, device: HostDevice) -> int | None:
    """Which alternative of a need a device is of, counted from 0; None when it is of none."""
    for rank, alternative in enumerate(need.request.alternatives):
        if matches(alternative, device.offered):
            return rank
    return None


def short_alone(
    need: DeviceNeed, devices: Sequence[HostDevice], guest: Locality
) -> Shortfall | None:
    """Whether this need alone asks for more than the host has free, and why."""
    count, policy = need.request.count, need.request.numa_policy
    fitting = [device for device in devices if alternative_of(need, device) is not None]
    near = [device for device in fitting if guest.allows(policy, device.numa_node)]
    free = [device for device in fitting if device.standing is Standing.FREE]
    if len(near) >= count:
        fitting = near
    elif len(free) >= count:
        return _too_far(need, free, near, guest)
    standings = Counter(device.standing for device in fitting)
    if standings[Standing.FREE] >= count:
        return None
    if not fitting:
        kept_out, remedy = _nearest(need, devices)
        return Shortfall(
            (need.name,),
            f"{need.name} needs {count}, and no device listed here fits{kept_out}",
            remedy,
        )
    are_enough = count <= len(fitting)
    return Shortfall(
        (need.name,),
        f"{need.name} needs {count}; of {len(fitting)} that fit {_tally(standings, fitting)}",
        _remedy(standings, count, fitting) if are_enough else _TOO_MANY,
        _unfit(fitting),
        is_taken=are_enough,
        is_past_help=not are_enough,
    )


def _unfit(fitting: Sequence[HostDevice]) -> tuple[str, ...]:
    """What is wrong with those that policy keeps back, each text once."""
    return tuple(dict.fromkeys(one.unfit for one in fitting if one.standing is Standing.UNFIT))


def _tally(standings: Mapping[Standing, int], fitting: Sequence[HostDevice]) -> str:
    parts = [
        f"{standings[one]} are {one}" + (f" ({some(behind, _NAMED)})" if behind else "")
        for one in Standing
        if standings.get(one)
        for behind in [_behind(one, fitting)]
    ]
    return ", ".join(parts) if standings.get(Standing.FREE) else ", ".join(["0 are free", *parts])


def _too_far(
    need: DeviceNeed, free: Sequence[HostDevice], near: Sequence[HostDevice], guest: Locality
) -> Shortfall:
    """Enough could be had, were they nearer; the remedy names policies that these would pass."""
    far = [device for device in free if device not in near]
    near = [device for device in free if device in near]
    nodes = sorted({_node(device) for device in far})
    guests = ", ".join(map(str, sorted(guest.nodes or ())))
    policy = need.request.numa_policy
    return Shortfall(
        (need.name,),
        f"{need.name} needs {need.request.count} by NUMA policy {policy}; of {len(free)} that "
        f"fit and are free {len(near)} are near enough: the guest is on node {guests}, the others "
        f"on {', '.join(nodes)}",
        f"use the policy {' or '.join(_policies(need, free, guest))}, or devices on the guest's "
        "nodes",
        is_too_far=True,
    )


def _node(device: HostDevice) -> str:
    if device.numa_node is None or device.numa_node < 0:
        return "no node that the host names"
    return f"node {device.numa_node}"


def _policies(need: DeviceNeed, free: Sequence[HostDevice], guest: Locality) -> list[NumaPolicy]:
    """Policies by which enough of what is free would be near enough; preferred lets all pass."""
    return [
        policy
        for policy in _POLICIES
        if sum(guest.allows(policy, one.numa_node) for one in free) >= need.request.count
    ]


def _behind(standing: Standing, fitting: Sequence[HostDevice]) -> list[str]:
    """Addresses on the other side of those that stand so."""
    mine = (one.behind for one in fitting if one.standing is standing)
    return list(dict.fromkeys(address for some in mine for address in some))


def _remedy(standings: Mapping[Standing, int], count: int, fitting: Sequence[HostDevice]) -> str:
    """What frees as many as are missing, by the easiest means that together do."""
    lack, means = count - standings.get(Standing.FREE, 0), []
    for standing, text in _REMEDIES.items():
        mine = standings.get(standing, 0)
        if standing is Standing.SPENT:
            mine += standings.get(Standing.RESERVED, 0)
        if mine and lack > 0:
            behind = some(_behind(standing, fitting), _NAMED)
            means.append(text.format(unfit=some(_unfit(fitting), _NAMED), behind=behind))
            lack -= mine
    return "; and ".join(means)


def _nearest(need: DeviceNeed, devices: Sequence[HostDevice]) -> tuple[str, str]:
    """Say what keeps out the devices that miss by the least, and what would let them in."""
    first = need.request.alternatives[0]
    misses = [tuple(mismatches(first, device.offered)) for device in devices]
    if not misses:
        return "; none is listed at all", _LIST_SOME
    least = min(map(len, misses))
    (found, number), *_ = Counter(miss for miss in misses if len(miss) == least).most_common(1)
    reasons = ", ".join(one.reason for one in found)
    remedy = _mend(found)
    if remedy == _LIST_SOME and first.dev_type is DeviceType.PF:
        remedy = _list_whole(need, devices)
    return f"; of the nearest {number} each says: {reasons}", remedy


def _list_whole(need: DeviceNeed, devices: Sequence[HostDevice]) -> str:
    """How a whole PF gets listed that would do: not beside its VFs, and on the same network."""
    networks = list(dict.fromkeys(one.physical_network for one in need.request.alternatives))
    entry = f' with "physical_network": "{networks[0]}" in its entry' if networks[0] else ""
    parted: dict[str, int] = {}
    for device in devices:
        if device.pf_id is not None and _is_of_such(need, device):
            parted[device.pf_id] = parted.get(device.pf_id, 0) + (device.standing is Standing.HELD)
    if not parted:
        return f"list a whole PF in [pci] device_spec of this host{entry}" if entry else _LIST_SOME
    held = sum(sorted(parted.values())[: need.request.count])
    first = f"delete the servers that hold {held} of these VFs, " if held else ""
    return (
        f"{first}list a whole PF in [pci] device_spec of this host in the place of its VFs{entry} "
        f"({len(parted)} PFs here have such VFs that are listed)"
    )


def _is_of_such(need: DeviceNeed, device: HostDevice) -> bool:
    """Whether a VF is of a card that would do as a whole: of its network, and of its vendor."""
    for one in need.request.alternatives:
        mine = Alternative(
            vendor_id=one.vendor_id,
            dev_type=DeviceType.VF,
            physical_network=one.physical_network,
        )
        if matches(mine, device.offered):
            return True
    return False


def _mend(found: Sequence[Mismatch]) -> str:
    remedies = [one.remedy for one in found]
    return "; and ".join(dict.fromkeys(remedies)) if all(remedies) else _LIST_SOME


def short_of_bandwidth(needs: Sequence[DeviceNeed], free: Sequence[HostDevice]) -> Shortfall:
    """Which cards lack how much for needs that are promised bandwidth, and would fit without."""
    asking = [need for need in needs if need.promise]
    for need in asking:
        fitting = [device for device in free if alternative_of(need, device) is not None]
        lacks = list(dict.fromkeys(_lacking(need, device) for device in fitting))
        if all(lacks):
            counted = any(device.bandwidth is not None for device in fitting)
            return Shortfall(
                (need.name,),
                f"{need.name} has free devices and no bandwidth: {some(lacks, _NAMED)}",
                _MORE_BANDWIDTH if counted else _NO_BANDWIDTH,
            )
    names = names_of(asking)
    return Shortfall(
        names,
        f"{', '.join(names)} together are promised more than the PFs of free devices have left, "
        "each port from one PF",
        _MORE_BANDWIDTH,
    )


def _lacking(need: DeviceNeed, device: HostDevice) -> str:
    """What the device's card lacks for a need; empty when it lacks nothing."""
    if device.bandwidth is None:
        return "their PF has no bandwidth to promise"
    return device.bandwidth.lacks(need.promise)
