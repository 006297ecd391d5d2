"""Bindings of a port, one by one: where it is, and where it may go.

An INACTIVE binding takes nothing: no device, no bandwidth. It says that the port can be bound
there, and with what; whoever moves a server has a device claimed before the binding is activated.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.network.port import binding_of, update_port, visible_port
from lanekeeper.control.network.port_able import check_settings
from lanekeeper.control.network.port_rules import PortChange, check_filtered
from lanekeeper.control.network.scope import demand_owner
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict, NotFound
from lanekeeper.domain.network.binding import Refusal
from lanekeeper.domain.network.port import PortRecord, VifType
from lanekeeper.domain.network.port_binding import (
    BindingChange,
    BindingStatus,
    PortBinding,
    active_binding,
    as_if_on,
    check_server_port,
)
from lanekeeper.domain.network.profile import check_profile
from lanekeeper.store import tables
from lanekeeper.store.compute.server import server_get
from lanekeeper.store.network.port_binding import (
    binding_activate,
    binding_insert,
    binding_list,
    binding_replace,
    bindings_drop,
)
from lanekeeper.store.row import row_update


def list_bindings(
    site: Site, caller: Caller, port_id: str
) -> tuple[PortRecord, tuple[PortBinding, ...]]:
    """A port and its bindings, the ACTIVE one first.

    Raises:
        NotFound: code PortNotFound.
        Invalid: code BadRequest; no server has the port.
    """
    with site.database.read() as connection:
        port = visible_port(connection, caller, port_id)
        check_server_port(port)
        return port, _all(connection, port)


def show_binding(
    site: Site, caller: Caller, port_id: str, host_name: str
) -> tuple[PortRecord, PortBinding]:
    """A port and its binding on one host.

    Raises:
        NotFound: codes PortNotFound, PortBindingNotFound.
        Invalid: as ``list_bindings``.
    """
    port, bindings = list_bindings(site, caller, port_id)
    return port, _on(bindings, port_id, host_name)


def create_binding(
    site: Site, caller: Caller, port_id: str, host_name: str, said: BindingChange
) -> tuple[PortRecord, PortBinding]:
    """Say that a port may go to a host: an INACTIVE binding there, decided now.

    Without a vnic type it has the port's own: with another the port could not go there as it is.

    Raises:
        NotFound, Invalid: as ``list_bindings``.
        Conflict: codes PortBindingAlreadyExists; PortBindingError, with the reasons.
    """

    def work(connection: sa.Connection) -> tuple[PortRecord, PortBinding]:
        port = _hold(connection, site, caller, port_id)
        if host_name == port.host_name:
            raise _exists(port_id, host_name)
        wanted = PortBinding(
            host_name=host_name,
            vnic_type=port.vnic_type if said.vnic_type is None else said.vnic_type,
            profile=said.profile or {},
        )
        made = _decided(connection, site, port, wanted)
        if not binding_insert(connection, port_id, made):
            raise _exists(port_id, host_name)
        return port, made

    return site.database.write(work)


def update_binding(
    site: Site, caller: Caller, port_id: str, host_name: str, change: BindingChange
) -> tuple[PortRecord, PortBinding]:
    """Change a binding, which is decided anew; the ACTIVE one is the port's own.

    Raises:
        NotFound, Invalid: as ``show_binding``.
        Conflict: as ``create_binding``; for the ACTIVE one as ``update_port``, and what cannot be
            bound then stands as failed in the port.
    """
    _, present = show_binding(site, caller, port_id, host_name)
    if present.status is BindingStatus.ACTIVE:
        return _change_active(site, caller, port_id, change)

    def work(connection: sa.Connection) -> tuple[PortRecord, PortBinding]:
        port = _hold(connection, site, caller, port_id)
        now = _on(_all(connection, port), port_id, host_name)
        wanted = replace(
            now,
            status=BindingStatus.INACTIVE,
            host_name=now.host_name if change.host_name is None else change.host_name,
            vnic_type=now.vnic_type if change.vnic_type is None else change.vnic_type,
            profile=now.profile if change.profile is None else change.profile,
        )
        made = _decided(connection, site, port, wanted)
        if wanted.host_name == port.host_name or not binding_replace(
            connection, port_id, host_name, made
        ):
            raise _exists(port_id, wanted.host_name)
        return port, made

    return site.database.write(work)


def activate_binding(
    site: Site, caller: Caller, port_id: str, host_name: str
) -> tuple[PortRecord, PortBinding]:
    """Have a port be on a host where it has an INACTIVE binding; where it was is INACTIVE then.

    Raises:
        NotFound, Invalid: as ``show_binding``.
        Conflict: code PortBindingAlreadyActive; PortInUse, a server holds it with a device of the
            host where it is.
    """
    now = site.clock()

    def work(connection: sa.Connection) -> tuple[PortRecord, PortBinding]:
        port = _hold(connection, site, caller, port_id)
        if host_name == port.host_name:
            raise Conflict(
                f"Binding for port {port_id} on host {host_name} is already active",
                code="PortBindingAlreadyActive",
            )
        if not binding_activate(connection, port, host_name, now):
            raise _missing(port_id, host_name)
        if server_get(connection, port.device_id) is not None:
            raise Conflict(
                f"Port {port_id} is still in use by {port.device_id}, with a device of host "
                f"{port.host_name}; its binding cannot move alone",
                hint="move the server: its ports move with it",
                code="PortInUse",
            )
        changed = visible_port(connection, caller, port_id)
        return changed, active_binding(changed)

    return site.database.write(work)


def delete_binding(site: Site, caller: Caller, port_id: str, host_name: str) -> None:
    """Remove a binding; without its ACTIVE one a port is bound nowhere.

    Raises:
        NotFound, Invalid: as ``show_binding``.
        Conflict: code PortInUse; a server holds the port there.
    """
    _, present = show_binding(site, caller, port_id, host_name)
    if present.status is BindingStatus.ACTIVE:
        update_port(site, caller, port_id, PortChange(values={"binding_host": ""}))
        return

    def work(connection: sa.Connection) -> None:
        _hold(connection, site, caller, port_id)
        if not bindings_drop(connection, port_id, (host_name,)):
            raise _missing(port_id, host_name)

    site.database.write(work)


def _change_active(
    site: Site, caller: Caller, port_id: str, change: BindingChange
) -> tuple[PortRecord, PortBinding]:
    said = {
        "binding_host": change.host_name,
        "vnic_type": change.vnic_type,
        "binding_profile": None if change.profile is None else dict(change.profile),
    }
    values: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    changed = update_port(site, caller, port_id, PortChange(values=values))
    if changed.vif_type is VifType.FAILED:
        raise _unbindable(port_id, changed.host_name, changed.binding_failure)
    return changed, active_binding(changed)


def _decided(
    connection: sa.Connection, site: Site, port: PortRecord, wanted: PortBinding
) -> PortBinding:
    """Decide a binding as the port's own would be on that host."""
    there = as_if_on(port, wanted)
    check_profile(there.vnic_type, there.profile)
    check_filtered(site, there.vnic_type, there.security_groups, there.project_id)
    check_settings(connection, [there])
    found = binding_of(connection, site, there)
    if isinstance(found, Refusal):
        raise _unbindable(port.id, wanted.host_name, str(found))
    return replace(
        wanted,
        vif_type=found.vif_type,
        vif_details=found.vif_details,
        segment_id=found.segment.id,
    )


def _hold(connection: sa.Connection, site: Site, caller: Caller, port_id: str) -> PortRecord:
    """Read a port that nobody else changes until the commit."""
    seen = visible_port(connection, caller, port_id)
    demand_owner(caller, seen.project_id, "create_port_binding")
    row_update(connection, tables.port, port_id, {}, now=site.clock())
    port = visible_port(connection, caller, port_id)
    check_server_port(port)
    return port


def _all(connection: sa.Connection, port: PortRecord) -> tuple[PortBinding, ...]:
    return (active_binding(port), *binding_list(connection, port.id))


def _on(bindings: tuple[PortBinding, ...], port_id: str, host_name: str) -> PortBinding:
    for binding in bindings:
        if binding.host_name == host_name:
            return binding
    raise _missing(port_id, host_name)


def _missing(port_id: str, host_name: str) -> NotFound:
    return NotFound(
        f"Binding for port {port_id} for host {host_name} could not be found",
        code="PortBindingNotFound",
    )


def _exists(port_id: str, host_name: str) -> Conflict:
    return Conflict(
        f"Binding for port {port_id} on host {host_name} already exists",
        code="PortBindingAlreadyExists",
    )


def _unbindable(port_id: str, host_name: str, why: str) -> Conflict:
    return Conflict(
        f"Binding for port {port_id} on host {host_name} could not be created or updated: {why}",
        code="PortBindingError",
    )
