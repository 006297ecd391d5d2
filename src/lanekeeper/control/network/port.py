"""Ports: what a caller can want of them, and what of it a host has to be told."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.network.agent import host_network
from lanekeeper.control.network.dhcp import lock_answering, touch_answering
from lanekeeper.control.network.port_able import check_settings
from lanekeeper.control.network.port_bandwidth import settle_bandwidth
from lanekeeper.control.network.port_rules import (
    PortChange,
    check_create,
    check_filtered,
    check_groups,
    check_held,
    check_no_server,
    check_policy,
    check_secured,
    check_switched,
    check_update,
    is_server_owner,
)
from lanekeeper.control.network.quota import within_network_quota
from lanekeeper.control.network.scope import (
    demand_owner,
    missing,
    owner_of_new,
    owns,
    refused,
    scope,
)
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.network.address import parse_mac
from lanekeeper.domain.network.binding import Binding, PortFacts, Reason, Refusal, bind
from lanekeeper.domain.network.extra_dhcp import changed_options
from lanekeeper.domain.network.fixed_ip import (
    FixedIpAsked,
    plan_addresses,
    plan_change,
    plan_other_mac,
)
from lanekeeper.domain.network.port import PortRecord, PortWanted
from lanekeeper.domain.network.profile import check_profile
from lanekeeper.domain.network.quota import Resource
from lanekeeper.store import tables
from lanekeeper.store.compute.server import ServerRecord, server_change, server_get
from lanekeeper.store.host.desired import desired_touch, host_lock
from lanekeeper.store.host.host import host_told_by_name
from lanekeeper.store.network.network import SERVES_NETWORK, network_show
from lanekeeper.store.network.port import (
    port_bind,
    port_create,
    port_delete,
    port_list,
    port_missing,
    port_set_mac,
    port_show,
    port_write,
    unbound,
)
from lanekeeper.store.network.port_binding import bindings_drop
from lanekeeper.store.network.rbac import rbac_hold
from lanekeeper.store.network.subnet import address_drop, address_take, subnets_on
from lanekeeper.store.row import row_update

_REBIND = frozenset({"vnic_type", "binding_host", "binding_profile"})
"""Columns whose change lets go of the present binding."""

_TOLD_TO_HOSTS = frozenset(
    {"admin_state_up", "trusted", "port_security_enabled", "propagate_uplink_status"}
    | {"qos_policy_id", "extra_dhcp_opts"}
)
"""Columns that a host writes to the VF, or tells the guest by DHCP."""


def list_ports(
    site: Site,
    caller: Caller,
    wanted: Mapping[str, Collection[str]],
    fixed_ips: Sequence[FixedIpAsked] = (),
) -> tuple[PortRecord, ...]:
    """What *caller* sees, oldest first, narrowed as ``store.port.port_list`` does."""
    with site.database.read() as connection:
        return port_list(connection, wanted, fixed_ips=fixed_ips, project_id=scope(caller))


def show_port(site: Site, caller: Caller, port_id: str) -> PortRecord:
    """One port.

    Raises:
        NotFound: code PortNotFound.
    """
    with site.database.read() as connection:
        return visible_port(connection, caller, port_id)


def create_ports(
    site: Site, caller: Caller, wanted: Sequence[PortWanted]
) -> tuple[PortRecord, ...]:
    """Make all ports, or none; bind those that name a host.

    Raises:
        NotFound: the network or a security group; as if not there when not for *caller* to see.
        Forbidden: for another project, or a MAC or address on somebody else's network.
        Invalid, Conflict: see ``store.port.port_create`` and ``port_rules``.
    """

    def work(connection: sa.Connection) -> tuple[PortRecord, ...]:
        with ExitStack() as quotas:
            judged = _Judged(connection, site, quotas)
            return tuple(_create(connection, site, caller, one, judged) for one in wanted)

    return site.database.write(work)


def update_port(site: Site, caller: Caller, port_id: str, change: PortChange) -> PortRecord:
    """Change a port; the host of the server that holds it is told.

    Raises:
        NotFound, Forbidden: not there, or another project's.
        Stale: the revision is another one.
        Invalid, Conflict: codes PortBound, PortInUse, MacAddressInUse, those of addresses, and
            QosPlacementAllocationUpdateConflict.
    """
    now = site.clock()

    def work(connection: sa.Connection) -> tuple[PortRecord, tuple[str, ...]]:
        seen = visible_port(connection, caller, port_id)
        demand_owner(caller, seen.project_id, "update_port")
        answering = _lock_answering(connection, seen)
        lock_holders(connection, [seen])
        # Holds the row until the commit, so what is checked below cannot change under it.
        row_update(connection, tables.port, port_id, {}, now=now, revision=change.revision)
        present = visible_port(connection, caller, port_id)
        network = network_show(connection, present.network_id)
        assert network is not None, "a port has a network"
        check_update(present, change, owns_network=owns(caller, network.project_id))
        held = server_get(connection, present.device_id) is not None
        check_held(present, change.values, change.mac, held=held)
        check_secured(present, change.values)
        check_no_server(connection, present, change.values.get("device_id", ""))
        _check_groups_exist(connection, caller, change.values.get("security_groups"))
        check_policy(connection, caller, change.values.get("qos_policy_id"))
        rebinds = any(_differs(present, name, change.values) for name in _REBIND)
        values = dict(change.values)
        if said := values.pop("extra_dhcp_opts", ()):
            values["extra_dhcp_opts"] = list(changed_options(present.extra_dhcp_opts, said))
        if rebinds:
            values = {**unbound(), "binding_host": present.host_name, **values}
            bindings_drop(connection, port_id, (values["binding_host"],))  # the port says it now
        port_write(connection, port_id, values)
        _change_addresses(connection, present, change)
        changed = visible_port(connection, caller, port_id)
        if not {"binding_profile", "vnic_type"}.isdisjoint(change.values):
            check_profile(changed.vnic_type, changed.profile)
        if not {"security_groups", "vnic_type"}.isdisjoint(change.values):
            check_filtered(site, changed.vnic_type, changed.security_groups, changed.project_id)
        if "security_groups" in change.values:
            check_switched(site, changed)
        if not _TOLD_TO_HOSTS.isdisjoint(change.values) or rebinds:
            check_settings(connection, [changed])
            settle_bandwidth(connection, [changed], now)
            changed = visible_port(connection, caller, port_id)
        if rebinds and changed.host_name:
            changed = _bind(connection, site, changed)
        moves = present.fixed_ips != changed.fixed_ips or change.fixed_ips is not None
        told = held and (moves or not _TOLD_TO_HOSTS.isdisjoint(change.values))
        touch_answering(connection, answering)
        return changed, (*answering, *touch_holders(connection, [changed] if told else ()))

    changed, hosts = site.database.write(work)
    site.bells.ring_all(hosts)
    return changed


def delete_port(site: Site, caller: Caller, port_id: str, revision: int | None = None) -> None:
    """Delete a port that no server holds.

    Raises:
        NotFound, Forbidden, Stale: as ``update_port``.
        Conflict: code PortInUse; a server holds it.
    """

    def work(connection: sa.Connection) -> tuple[str, ...]:
        present = visible_port(connection, caller, port_id)
        network = network_show(connection, present.network_id)
        if network is None or not owns(caller, network.project_id):  # whose owner may clear it
            demand_owner(caller, present.project_id, "delete_port")
        answering = _lock_answering(connection, present)
        held = server_get(connection, present.device_id) is not None
        deleted = not held and port_delete(
            connection, port_id, held_by=present.device_id, revision=revision
        )
        if not deleted:
            raise Conflict(
                f"Port {port_id} is still in use by server {present.device_id}",
                hint="delete the server, or take the port from it",
                code="PortInUse",
            )
        touch_answering(connection, answering)
        return answering

    site.bells.ring_all(site.database.write(work))


def lock_holders(connection: sa.Connection, ports: Iterable[PortRecord]) -> None:
    """Lock the hosts of the servers that hold *ports*, for ``touch_holders`` later.

    It comes before anything else is changed. Who takes a port at this moment is not met: such a
    rival is met at the port's row, and the database begins one of the two again.
    """
    hosts = {server.host_id for server in _holders(connection, ports)}
    for host_id in sorted(host_id for host_id in hosts if host_id is not None):
        host_lock(connection, host_id)


def touch_holders(connection: sa.Connection, ports: Iterable[PortRecord]) -> tuple[str, ...]:
    """Say that what is wanted of the servers that hold *ports* has changed.

    Returns the ids of their hosts, whose bells are to be rung after the commit.
    """
    hosts: set[str] = set()
    for server in _holders(connection, ports):
        if server.host_id is None:
            continue
        server_change(connection, server.id, server.generation, generation=server.generation + 1)
        hosts.add(server.host_id)
    for host_id in sorted(hosts):
        desired_touch(connection, host_id)
    return tuple(sorted(hosts))


def _holders(connection: sa.Connection, ports: Iterable[PortRecord]) -> list[ServerRecord]:
    ids = sorted({port.device_id for port in ports if is_server_owner(port)})
    found = (server_get(connection, server_id) for server_id in ids)
    return [server for server in found if server is not None]


@dataclass(slots=True)
class _Judged:
    """The projects whose ports are counted: before the first that each gets, and when all are made.

    Counted for each port, a request for many would count all that a project has as many times.
    """

    connection: sa.Connection
    site: Site
    quotas: ExitStack
    projects: set[str] = field(default_factory=set)

    def take(self, project_id: str) -> None:
        if project_id not in self.projects:
            self.projects.add(project_id)
            self.quotas.enter_context(
                within_network_quota(self.connection, self.site, project_id, Resource.PORT)
            )


def _create(
    connection: sa.Connection, site: Site, caller: Caller, wanted: PortWanted, judged: _Judged
) -> PortRecord:
    network = network_show(connection, wanted.network_id, project_id=scope(caller))
    if network is None:
        raise missing("Network", wanted.network_id)
    owner = owner_of_new(caller, wanted.project_id, "port")
    if not owns(caller, network.project_id) and not rbac_hold(
        connection, network.id, caller.project_id or ""
    ):
        if network.external:  # to be seen by everybody, and for its owner's ports
            raise refused("create_port", f"network {network.id} is external and not shared")
        raise missing("Network", network.id)
    check_create(wanted, network, owns_network=owns(caller, network.project_id))
    check_no_server(connection, None, wanted.device_id)
    check_profile(wanted.vnic_type, wanted.profile)
    _check_groups_exist(connection, caller, wanted.security_groups)
    check_filtered(site, wanted.vnic_type, wanted.security_groups or (), owner)
    check_policy(connection, caller, wanted.qos_policy_id)
    judged.take(owner)
    made = port_create(connection, wanted, project_id=owner, now=site.clock())
    check_settings(connection, [made])
    return _bind(connection, site, made) if made.host_name else made


def _bind(connection: sa.Connection, site: Site, port: PortRecord) -> PortRecord:
    """Bind a port to the host that it names, or write down why it cannot be bound there."""
    bound = binding_of(connection, site, port)
    port_bind(connection, port.id, bound if isinstance(bound, Binding) else str(bound))
    changed = port_show(connection, port.id)
    assert changed is not None, "a port just bound is there"
    return changed


def binding_of(connection: sa.Connection, site: Site, port: PortRecord) -> Binding | Refusal:
    """What a port becomes on the host that it names, or why it cannot be there."""
    host = host_told_by_name(connection, port.host_name)
    if host is None:
        return Refusal((Reason("host", f"there is no host {port.host_name}"),))
    facts = PortFacts(vnic_type=port.vnic_type, profile=port.profile, fixed_ips=port.fixed_ips)
    return bind(facts, port.segments, host_network(site, host))


def _lock_answering(connection: sa.Connection, port: PortRecord) -> tuple[str, ...]:
    """Lock the hosts that answer DHCP from the addresses of *port*, if it is there for that."""
    if port.device_owner != SERVES_NETWORK:
        return ()
    return lock_answering(connection, [port.network_id])


def _change_addresses(connection: sa.Connection, present: PortRecord, change: PortChange) -> None:
    mac = present.mac if change.mac is None else parse_mac(change.mac)
    if mac != present.mac:
        port_set_mac(connection, present.id, mac)
    elif change.fixed_ips is None:
        return
    subnets = subnets_on(connection, present.network_id)
    if change.fixed_ips is None:
        planned = plan_other_mac(present.fixed_ips, subnets, mac)
    else:
        planned = plan_addresses(change.fixed_ips, subnets, mac)
    keep, get = plan_change(planned, present.fixed_ips)
    for fixed in set(present.fixed_ips) - set(keep):
        address_drop(connection, present.id, fixed)
    for position, wanted in enumerate(get, start=len(keep)):
        address_take(connection, present.id, wanted, position)


def _check_groups_exist(
    connection: sa.Connection, caller: Caller, groups: Collection[str] | None
) -> None:
    if groups:
        check_groups(connection, groups, project_id=scope(caller))


def _differs(present: PortRecord, column: str, values: Mapping[str, Any]) -> bool:
    now = {
        "vnic_type": present.vnic_type,
        "binding_host": present.host_name,
        "binding_profile": dict(present.profile),
    }
    return column in values and values[column] != now[column]


def visible_port(connection: sa.Connection, caller: Caller, port_id: str) -> PortRecord:
    """Read a port that *caller* sees.

    Raises:
        NotFound: code PortNotFound.
    """
    found = port_show(connection, port_id, project_id=scope(caller))
    if found is None:
        raise port_missing(port_id)
    return found
