"""Networks: what a caller can want of them."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from lanekeeper.config import Config
from lanekeeper.control.caller import Caller
from lanekeeper.control.network.port import lock_holders, touch_holders
from lanekeeper.control.network.port_able import check_settings
from lanekeeper.control.network.port_bandwidth import settle_bandwidth
from lanekeeper.control.network.port_rules import check_policy
from lanekeeper.control.network.scope import demand_owner, missing, owner_of_new, owns, scope
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict, Invalid, NoCapacity
from lanekeeper.domain.network.network import (
    DEFAULT_POLICY,
    NetworkRecord,
    NetworkWanted,
    check_mtu,
)
from lanekeeper.domain.network.port import PortRecord, VifType
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
from lanekeeper.store.network.network import (
    network_delete,
    network_insert,
    network_list,
    network_set_mtu,
    network_show,
    physical_networks_served,
    segment_holder,
    segment_insert,
    segment_move,
    vlans_used,
)
from lanekeeper.store.network.port import port_list
from lanekeeper.store.network.qos import qos_policy_default
from lanekeeper.store.network.subnet import subnets_on
from lanekeeper.store.row import row_update

_TOLD_TO_HOSTS = frozenset({"mtu", "qos_policy_id"})
"""Columns that the hosts of the servers on a network have to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkChange:
    """What is to change; *values* are columns, absent ones stay. Empty is allowed.

    Attributes:
        revision: the one that must still be the present one, or None.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    vlan: int | None = None
    revision: int | None = None


def list_networks(
    site: Site, caller: Caller, wanted: Mapping[str, Collection[str]]
) -> tuple[NetworkRecord, ...]:
    """What *caller* sees, oldest first, narrowed by ``store.network.FILTERS``."""
    with site.database.read() as connection:
        return network_list(connection, wanted, project_id=scope(caller))


def show_network(site: Site, caller: Caller, network_id: str) -> NetworkRecord:
    """One network.

    Raises:
        NotFound: code NetworkNotFound.
    """
    with site.database.read() as connection:
        return visible_network(connection, caller, network_id)


def create_networks(
    site: Site, caller: Caller, wanted: Sequence[NetworkWanted]
) -> tuple[NetworkRecord, ...]:
    """Make all networks, or none.

    Raises:
        Invalid: a provider attribute or the MTU is wrong.
        Conflict: codes VlanIdInUse, FlatNetworkInUse.
        NoCapacity: code NoNetworkAvailable; no VLAN id is left to draw.
        Forbidden: for another project.
    """
    now = site.clock()

    def work(connection: sa.Connection) -> tuple[NetworkRecord, ...]:
        return tuple(_create(connection, site.config, caller, one, now) for one in wanted)

    return site.database.write(work)


def update_network(
    site: Site, caller: Caller, network_id: str, change: NetworkChange
) -> NetworkRecord:
    """Change a network.

    Raises:
        NotFound, Forbidden: not there, or another project's.
        Stale: the revision is another one.
        Invalid: MTU or VLAN id out of bounds, or ports hold the present VLAN id.
        Conflict: codes VlanIdInUse, InvalidSharedSetting, QosPlacementAllocationUpdateConflict.
    """
    now = site.clock()

    def work(connection: sa.Connection) -> tuple[NetworkRecord, tuple[str, ...]]:
        present = visible_network(connection, caller, network_id)
        demand_owner(caller, present.project_id, "update_network")
        values = dict(change.values)
        if _TOLD_TO_HOSTS & set(values):
            lock_holders(connection, _ports_on(connection, network_id))
        check_policy(connection, caller, values.get("qos_policy_id"))
        row_update(
            connection, tables.network, network_id, values, now=now, revision=change.revision
        )
        hosts: tuple[str, ...] = ()
        if "mtu" in values:
            _check_mtu_of(connection, site.config, present, values["mtu"])
        if _TOLD_TO_HOSTS & set(values):
            ports = _ports_on(connection, network_id)
            check_settings(connection, ports)
            settle_bandwidth(connection, ports, now)
            hosts = touch_holders(connection, ports)
        if present.shared and values.get("shared") is False:
            _check_unshare(connection, present)
        if change.vlan is not None:
            _move(connection, caller, present, change.vlan)
        return visible_network(connection, caller, network_id), hosts

    changed, hosts = site.database.write(work)
    for host_id in hosts:
        site.bells.ring(host_id)
    return changed


def delete_network(
    site: Site, caller: Caller, network_id: str, revision: int | None = None
) -> None:
    """Delete a network with its subnets.

    Raises:
        NotFound, Forbidden, Stale: as ``update_network``.
        Conflict: code NetworkInUse.
    """

    def work(connection: sa.Connection) -> None:
        present = visible_network(connection, caller, network_id)
        demand_owner(caller, present.project_id, "delete_network")
        network_delete(connection, network_id, revision=revision)

    site.database.write(work)


def visible_network(connection: sa.Connection, caller: Caller, network_id: str) -> NetworkRecord:
    """Read a network that *caller* sees.

    Raises:
        NotFound: code NetworkNotFound.
    """
    found = network_show(connection, network_id, project_id=scope(caller))
    if found is None:
        raise missing("Network", network_id)
    return found


def _create(
    connection: sa.Connection, config: Config, caller: Caller, wanted: NetworkWanted, now: datetime
) -> NetworkRecord:
    owner = owner_of_new(caller, wanted.project_id, "network")
    network_id = str(uuid.uuid4())
    candidates = _candidates(connection, config, wanted.segment)
    wanted = replace(wanted, qos_policy_id=_policy_of_new(connection, caller, wanted, owner))
    network_insert(connection, network_id, wanted, project_id=owner, now=now)
    segment, tried = _take(connection, network_id, candidates)
    if segment is None:
        is_named = wanted.segment.segmentation_id or wanted.segment.network_type == NetworkType.FLAT
        if tried is not None and is_named:
            raise _in_use(connection, caller, tried)
        raise _nothing_left(config, wanted.segment)
    most = _mtu_max(config, segment)
    mtu = most if wanted.mtu is None else wanted.mtu
    check_mtu(mtu, most)
    network_set_mtu(connection, network_id, mtu)
    made = network_show(connection, network_id)
    assert made is not None, "a network just made is there"
    return made


def _policy_of_new(
    connection: sa.Connection, caller: Caller, wanted: NetworkWanted, owner: str
) -> str | None:
    if wanted.qos_policy_id == DEFAULT_POLICY:
        return qos_policy_default(connection, owner)
    check_policy(connection, caller, wanted.qos_policy_id)
    return wanted.qos_policy_id


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
    return iter((_segment(wanted.network_type, wanted.physical_network, wanted.segmentation_id),))


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
                    yield _segment(NetworkType.VLAN, name, vlan)


def _take(
    connection: sa.Connection, network_id: str, candidates: Iterator[Segment]
) -> tuple[Segment | None, Segment | None]:
    """Take the first candidate that is free; returns it, or None with the last one tried."""
    tried = None
    for tried in candidates:
        if segment_insert(connection, network_id, tried):
            return tried, tried
    return None, tried


def _in_use(connection: sa.Connection, caller: Caller, taken: Segment) -> Conflict:
    """Say who has the segment, if *caller* may know."""
    assert taken.physical_network is not None, "flat and vlan have one"
    holder = segment_holder(connection, taken.physical_network, taken.segmentation_id)
    seen = holder is not None and (owns(caller, holder.project_id) or holder.shared)
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


def _move(connection: sa.Connection, caller: Caller, present: NetworkRecord, vlan: int) -> None:
    segment = present.segments[0]
    if segment.network_type != NetworkType.VLAN:
        raise Invalid(
            f"provider:segmentation_id of a {segment.network_type} network cannot be set",
            code="InvalidInput",
        )
    check_vlan(vlan)
    if vlan == segment.segmentation_id:
        return
    ports = _ports_on(connection, present.id)
    if held := [port.id for port in ports if port.vif_type == VifType.HW_VEB]:
        raise Invalid(
            f"provider:segmentation_id cannot change while ports are bound: {', '.join(held[:3])}",
            code="InvalidInput",
        )
    if not segment_move(connection, segment.id, vlan):
        wanted = Segment(
            id=segment.id,
            network_type=segment.network_type,
            physical_network=segment.physical_network,
            segmentation_id=vlan,
        )
        raise _in_use(connection, caller, wanted)


def _check_mtu_of(
    connection: sa.Connection, config: Config, present: NetworkRecord, mtu: int
) -> None:
    versions = {subnet.ip_version for subnet in subnets_on(connection, present.id)}
    check_mtu(mtu, _mtu_max(config, present.segments[0]), versions)


def _check_unshare(connection: sa.Connection, present: NetworkRecord) -> None:
    others = [
        port.id
        for port in _ports_on(connection, present.id)
        if port.project_id != present.project_id
    ]
    if others:
        raise Conflict(
            f"network {present.id} cannot be unshared: other projects have ports on it",
            code="InvalidSharedSetting",
        )


def _ports_on(connection: sa.Connection, network_id: str) -> tuple[PortRecord, ...]:
    return port_list(connection, {"network_id": (network_id,)})


def physical_networks(connection: sa.Connection, config: Config) -> frozenset[str]:
    """Every physical network that the configuration names or a host's devices serve."""
    names = {*config.ml2.vlan_ranges, *config.ml2.flat_networks, *config.ml2.physical_network_mtus}
    names |= set(config.sriov_nic.physical_device_mappings)
    names |= {spec.tags.get("physical_network", "") for spec in config.pci.device_spec}
    names |= physical_networks_served(connection)
    return frozenset(name for name in names if name and name != "*")


def _mtu_max(config: Config, segment: Segment) -> int:
    most = config.ml2.global_physnet_mtu
    return min(most, config.ml2.physical_network_mtus.get(segment.physical_network or "", most))


def _segment(kind: str | None, physical_network: str | None, vlan: int | None) -> Segment:
    assert kind is not None, "check_segment saw to it"
    return Segment(
        id=str(uuid.uuid4()),
        network_type=NetworkType(kind),
        physical_network=physical_network,
        segmentation_id=vlan,
    )
