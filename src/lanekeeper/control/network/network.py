"""Networks: what a caller can want of them."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
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
from lanekeeper.control.network.quota import within_network_quota
from lanekeeper.control.network.rbac import share_with_everybody
from lanekeeper.control.network.scope import demand_owner, missing, owner_of_new, scope
from lanekeeper.control.network.segment import move_segment, mtu_max, take_segments
from lanekeeper.control.site import Site
from lanekeeper.domain.network.network import (
    DEFAULT_POLICY,
    NetworkRecord,
    NetworkWanted,
    check_mtu,
)
from lanekeeper.domain.network.port import PortRecord
from lanekeeper.domain.network.quota import Resource
from lanekeeper.store import tables
from lanekeeper.store.network.network import (
    network_delete,
    network_insert,
    network_list,
    network_set_mtu,
    network_show,
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
        return tuple(_create(connection, site, caller, one, now) for one in wanted)

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
        shared = values.pop("shared", None)
        if _TOLD_TO_HOSTS & set(values):
            lock_holders(connection, _ports_on(connection, network_id))
        check_policy(connection, caller, values.get("qos_policy_id"))
        row_update(
            connection, tables.network, network_id, values, now=now, revision=change.revision
        )
        if shared is not None:
            share_with_everybody(connection, present, shared=shared)
        hosts: tuple[str, ...] = ()
        if "mtu" in values:
            _check_mtu_of(connection, site.config, present, values["mtu"])
        if _TOLD_TO_HOSTS & set(values):
            ports = _ports_on(connection, network_id)
            check_settings(connection, ports)
            settle_bandwidth(connection, ports, now)
            hosts = touch_holders(connection, ports)
        if change.vlan is not None:
            move_segment(connection, caller, present, change.vlan)
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
    connection: sa.Connection, site: Site, caller: Caller, wanted: NetworkWanted, now: datetime
) -> NetworkRecord:
    owner = owner_of_new(caller, wanted.project_id, "network")
    config = site.config
    network_id = str(uuid.uuid4())
    wanted = replace(wanted, qos_policy_id=_policy_of_new(connection, caller, wanted, owner))
    with within_network_quota(connection, site, owner, Resource.NETWORK):
        network_insert(connection, network_id, wanted, project_id=owner, now=now)
    segments = take_segments(connection, config, caller, network_id, wanted.segments)
    most = mtu_max(config, segments)
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


def _check_mtu_of(
    connection: sa.Connection, config: Config, present: NetworkRecord, mtu: int
) -> None:
    versions = {subnet.ip_version for subnet in subnets_on(connection, present.id)}
    check_mtu(mtu, mtu_max(config, present.segments), versions)


def _ports_on(connection: sa.Connection, network_id: str) -> tuple[PortRecord, ...]:
    return port_list(connection, {"network_id": (network_id,)})
