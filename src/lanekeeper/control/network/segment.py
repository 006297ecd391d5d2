"""Segments of networks: taken for one, given another VLAN id, and changed one by one."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from lanekeeper.config import Config
from lanekeeper.control.caller import Caller
from lanekeeper.control.network.scope import missing, owns, scope
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict, Invalid, NoCapacity
from lanekeeper.domain.network.network import NetworkRecord
from lanekeeper.domain.network.segment import (
    OFFERED,
    NetworkType,
    Segment,
    SegmentRules,
    SegmentWanted,
    check_segment,
    check_vlan,
)
from lanekeeper.store import tables
from lanekeeper.store.network.network import network_list, network_show
from lanekeeper.store.network.segment import (
    physical_networks_served,
    segment_delete,
    segment_holder,
    segment_insert,
    segment_move,
    segment_network,
    segment_users,
    segment_write,
    segments_end,
    vlans_used,
)
from lanekeeper.store.row import row_update


def list_segments(site: Site, caller: Caller) -> tuple[tuple[NetworkRecord, Segment], ...]:
    """The segments of all networks that *caller* sees, each with its network."""
    with site.database.read() as connection:
        networks = network_list(connection, project_id=scope(caller))
    return tuple((network, segment) for network in networks for segment in network.segments)


def show_segment(site: Site, caller: Caller, segment_id: str) -> tuple[NetworkRecord, Segment]:
    """A segment with its network.

    Raises:
        NotFound: code SegmentNotFound.
    """
    with site.database.read() as connection:
        network_id = segment_network(connection, segment_id)
        network = (
            network_show(connection, network_id, project_id=scope(caller)) if network_id else None
        )
    for segment in network.segments if network else ():
        if segment.id == segment_id:
            assert network is not None, "it has this segment"
            return network, segment
    raise missing("Segment", segment_id)


def create_segment(
    site: Site, caller: Caller, network_id: str, wanted: SegmentWanted
) -> tuple[NetworkRecord, Segment]:
    """Give a network one more segment: the same network on another wire.

    Raises:
        NotFound: code NetworkNotFound.
        Invalid: code InvalidInput; it cannot be made, or carries less than the network's MTU.
        Conflict, NoCapacity: as for a network.
    """
    now = site.clock()

    def work(connection: sa.Connection) -> tuple[NetworkRecord, Segment]:
        present = _hold(connection, caller, network_id, now)
        (made,) = _take_each(
            connection,
            site.config,
            caller,
            network_id,
            (wanted,),
            position=segments_end(connection, network_id),
        )
        most = mtu_max(site.config, (made,))
        if present.mtu > most:
            raise Invalid(
                f"physical network {made.physical_network} carries {most} bytes, and the mtu of "
                f"network {network_id} is {present.mtu}",
                hint="lower the network's mtu first",
                code="InvalidInput",
            )
        return present, made

    return site.database.write(work)


def update_segment(
    site: Site, caller: Caller, segment_id: str, values: dict[str, Any]
) -> tuple[NetworkRecord, Segment]:
    """Change name or description of a segment.

    Raises:
        NotFound: code SegmentNotFound.
    """
    network, segment = show_segment(site, caller, segment_id)
    if not site.database.write(lambda c: segment_write(c, segment_id, values)):
        raise missing("Segment", segment_id)
    return network, replace(segment, **values)


def delete_segment(site: Site, caller: Caller, segment_id: str) -> None:
    """Take a segment from its network.

    Raises:
        NotFound: code SegmentNotFound.
        Conflict: code SegmentInUse; ports are bound on it, or the network has no other.
    """
    now = site.clock()
    network, _ = show_segment(site, caller, segment_id)

    def work(connection: sa.Connection) -> None:
        present = _hold(connection, caller, network.id, now)
        if [segment.id for segment in present.segments] == [segment_id]:
            raise Conflict(
                f"Segment '{segment_id}' cannot be deleted: network {network.id} has no other",
                code="SegmentInUse",
            )
        segment_delete(connection, segment_id)

    site.database.write(work)


def take_segments(
    connection: sa.Connection,
    config: Config,
    caller: Caller,
    network_id: str,
    wanted: Sequence[SegmentWanted],
) -> tuple[Segment, ...]:
    """Take what a new network asks for, in its order; without anything, draw one.

    Raises:
        Invalid: a provider attribute is wrong.
        Conflict: codes VlanIdInUse, FlatNetworkInUse.
        NoCapacity: code NoNetworkAvailable; no VLAN id is left to draw.
    """
    return _take_each(
        connection, config, caller, network_id, wanted or (SegmentWanted(),), position=0
    )


def mtu_max(config: Config, segments: Iterable[Segment]) -> int:
    """The largest frame that every one of *segments* carries."""
    most = config.ml2.global_physnet_mtu
    named = config.ml2.physical_network_mtus
    return min(min(most, named.get(one.physical_network or "", most)) for one in segments)


def move_segment(
    connection: sa.Connection, caller: Caller, present: NetworkRecord, vlan: int
) -> None:
    """Give a network's only segment another VLAN id.

    Raises:
        Invalid: code InvalidInput; it is none, the network is not of that kind, or ports hold it.
        Conflict: code VlanIdInUse.
    """
    if len(present.segments) > 1:
        raise Invalid(
            "provider:segmentation_id of a network with several segments cannot be set",
            hint="make another segment: openstack network segment create",
            code="InvalidInput",
        )
    segment = present.segments[0]
    if segment.network_type != NetworkType.VLAN:
        raise Invalid(
            f"provider:segmentation_id of a {segment.network_type} network cannot be set",
            code="InvalidInput",
        )
    check_vlan(vlan)
    if vlan == segment.segmentation_id:
        return
    moved = segment_move(connection, segment.id, vlan)
    # Looked at after it: whoever binds a port at the same time waits for us, or we for them.
    if held := segment_users(connection, segment.id):
        raise Invalid(
            f"provider:segmentation_id cannot change while ports are bound: {', '.join(held)}",
            code="InvalidInput",
        )
    if not moved:
        wanted = Segment(
            id=segment.id,
            network_type=segment.network_type,
            physical_network=segment.physical_network,
            segmentation_id=vlan,
        )
        raise _in_use(connection, caller, wanted)


def physical_networks(connection: sa.Connection, config: Config) -> frozenset[str]:
    """Every physical network that the configuration names or a host's devices serve."""
    names = {*config.ml2.vlan_ranges, *config.ml2.flat_networks, *config.ml2.physical_network_mtus}
    names |= {*config.sriov_nic.physical_device_mappings, *config.ovs.bridge_mappings}
    names |= {spec.tags.get("physical_network", "") for spec in config.pci.device_spec}
    names |= physical_networks_served(connection)
    return frozenset(name for name in names if name and name != "*")


def _hold(
    connection: sa.Connection, caller: Caller, network_id: str, now: datetime
) -> NetworkRecord:
    """Read a network whose segments nobody else changes until the commit."""
    if network_show(connection, network_id, project_id=scope(caller)) is None:
        raise missing("Network", network_id)
    row_update(connection, tables.network, network_id, {}, now=now)
    present = network_show(connection, network_id)
    assert present is not None, "its row is held"
    return present


def _take_each(
    connection: sa.Connection,
    config: Config,
    caller: Caller,
    network_id: str,
    wanted: Sequence[SegmentWanted],
    *,
    position: int,
) -> tuple[Segment, ...]:
    made = []
    for at, one in enumerate(wanted, start=position):
        candidates = (
            replace(candidate, name=one.name, description=one.description)
            for candidate in _candidates(connection, config, one)
        )
        segment, tried = _take(connection, network_id, candidates, at)
        if segment is None:
            is_named = one.segmentation_id or one.network_type == NetworkType.FLAT
            if tried is not None and is_named:
                raise _in_use(connection, caller, tried)
            raise _nothing_left(config, one)
        made.append(segment)
    return tuple(made)


def _candidates(
    connection: sa.Connection, config: Config, wanted: SegmentWanted
) -> Iterator[Segment]:
    """Check what was asked for and offer the segments that would do, best first."""
    if wanted.is_blank:
        types = config.ml2.project_network_types
        return _drawable(connection, config, sorted(config.ml2.vlan_ranges), types)
    rules = SegmentRules(
        network_types=tuple(kind for kind in OFFERED if kind in config.ml2.type_drivers),
        physical_networks=physical_networks(connection, config),
        flat_networks=tuple(config.ml2.flat_networks),
    )
    check_segment(wanted, rules)
    if wanted.network_type == NetworkType.VLAN and wanted.segmentation_id is None:
        named = wanted.physical_network
        names = sorted(config.ml2.vlan_ranges) if named is None else [named]
        return _drawable(connection, config, names, (NetworkType.VLAN,))
    return iter((_made(wanted.network_type, wanted.physical_network, wanted.segmentation_id),))


def _drawable(
    connection: sa.Connection, config: Config, names: Sequence[str], types: Sequence[str]
) -> Iterator[Segment]:
    """Offer VLAN ids of the configured ranges that no network has, lowest first."""
    if NetworkType.VLAN not in types:
        return
    for name in names:
        used = vlans_used(connection, name)
        for one in config.ml2.vlan_ranges.get(name, ()):
            for vlan in range(one.first, one.last + 1):
                if vlan not in used:
                    yield _made(NetworkType.VLAN, name, vlan)


def _take(
    connection: sa.Connection, network_id: str, candidates: Iterator[Segment], position: int
) -> tuple[Segment | None, Segment | None]:
    """Take the first candidate that is free; returns it, or None with the last one tried."""
    tried = None
    for tried in candidates:
        if segment_insert(connection, network_id, tried, position):
            return tried, tried
    return None, tried


def _in_use(connection: sa.Connection, caller: Caller, taken: Segment) -> Conflict:
    """Say who has the segment, if *caller* may know."""
    assert taken.physical_network is not None, "flat and vlan have one"
    holder = segment_holder(connection, taken.physical_network, taken.segmentation_id)
    seen = holder is not None and (
        owns(caller, holder.project_id) or holder.is_shared_with(caller.project_id)
    )
    who = f" by network {holder.name or '(no name)'} ({holder.id})" if holder and seen else ""
    if taken.network_type == NetworkType.FLAT:
        return Conflict(
            f"Physical network {taken.physical_network} is in use untagged{who}",
            hint="use a vlan network, or another physical network",
            code="FlatNetworkInUse",
        )
    return Conflict(
        f"VLAN {taken.segmentation_id} on physical network {taken.physical_network} is in use{who}",
        hint="choose another provider:segmentation_id, or leave it out to have one drawn",
        code="VlanIdInUse",
    )


def _nothing_left(config: Config, wanted: SegmentWanted) -> NoCapacity:
    ranges = config.ml2.vlan_ranges
    names = [wanted.physical_network] if wanted.physical_network else sorted(ranges)
    shown = [f"{name}:{one}" for name in names for one in ranges.get(name, ())]
    where = ", ".join(shown) or "no range is configured there"
    return NoCapacity(
        f"no VLAN id is left to draw ({where})",
        hint="add a range to [ml2_type_vlan] network_vlan_ranges, or name provider:segmentation_id",
        code="NoNetworkAvailable",
    )


def _made(kind: str | None, physical_network: str | None, vlan: int | None) -> Segment:
    assert kind is not None, "check_segment saw to it"
    return Segment(
        id=str(uuid.uuid4()),
        network_type=NetworkType(kind),
        physical_network=physical_network,
        segmentation_id=vlan,
    )
