"""What a port may not become, each with the fault that Neutron has for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa

from lanekeeper.control.network.scope import missing, refused
from lanekeeper.domain.errors import Conflict, Invalid
from lanekeeper.domain.network.network import NetworkRecord
from lanekeeper.domain.network.port import SERVER_OWNER, PortRecord, PortWanted
from lanekeeper.store.compute.server import server_get
from lanekeeper.store.network.security_group import security_group_list

_HELD_BY_SERVER = frozenset({"device_id", "device_owner", "binding_host", "binding_profile"})
"""What belongs to the server while it holds the port."""


def is_server_owner(port: PortRecord) -> bool:
    return port.device_owner.startswith(SERVER_OWNER)


def check_create(wanted: PortWanted, network: NetworkRecord, *, owns_network: bool) -> None:
    """Refuse fields that do not go together, or that only the network's owner may say.

    Raises:
        Forbidden: on another project's network.
        Invalid: code PortSecurityAndIPRequiredForSecurityGroups.
        Conflict: code AddressPairAndPortSecurityRequired.
    """
    if not owns_network:
        _check_foreign(wanted)
    secured = wanted.port_security_enabled
    if secured is None:
        secured = network.port_security_enabled
    if secured:
        return
    if wanted.security_groups:
        raise Invalid(
            "security_groups need port_security_enabled true",
            code="PortSecurityAndIPRequiredForSecurityGroups",
        )
    if wanted.allowed_address_pairs:
        raise _pairs_need_security()


def check_held(
    present: PortRecord, values: Mapping[str, Any], mac: str | None, *, held: bool
) -> None:
    """Refuse to change under a server what it stands on; *held* is whether a server holds it.

    Raises:
        Conflict: codes PortBound, PortInUse.
    """
    if present.is_bound and mac is not None and mac != present.mac:
        raise Conflict(
            f"Port {present.id} is bound as {present.vif_type}; its mac_address cannot change",
            hint="take it from its server, or unset its host, first",
            code="PortBound",
        )
    for name, current in (
        ("vnic_type", present.vnic_type),
        ("numa_affinity_policy", present.numa_affinity_policy),
    ):
        if present.is_bound and name in values and values[name] != current:
            raise _in_use(present, name)
    if held and (named := sorted(_HELD_BY_SERVER & _changed(present, values))):
        raise _in_use(present, named[0])


def check_no_server(connection: sa.Connection, present: PortRecord | None, device_id: str) -> None:
    """Refuse to put a port into a server's hands behind Compute's back.

    Raises:
        Conflict: code PortInUse; *device_id* is a server's, and not the one that has the port.
    """
    is_held_by_it = present is not None and present.device_id == device_id
    if device_id and not is_held_by_it and server_get(connection, device_id) is not None:
        raise Conflict(
            f"device_id {device_id} is a server; setting it gives the server nothing",
            hint="name the port in the request that creates the server",
            code="PortInUse",
        )


def check_secured(present: PortRecord, values: Mapping[str, Any]) -> None:
    """Refuse groups and address pairs on a port whose security is, or becomes, off.

    Raises:
        Conflict: codes PortSecurityPortHasSecurityGroup, AddressPairAndPortSecurityRequired.
    """
    if values.get("port_security_enabled", present.port_security_enabled):
        return
    if values.get("security_groups", list(present.security_groups)):
        raise Conflict(
            f"Port {present.id} has security groups; port_security_enabled cannot be false",
            hint="remove its security groups first",
            code="PortSecurityPortHasSecurityGroup",
        )
    if values.get("allowed_address_pairs", list(present.allowed_address_pairs)):
        raise _pairs_need_security()


def check_groups(
    connection: sa.Connection, groups: Collection[str], *, project_id: str | None
) -> None:
    """Refuse groups that are not there, or not for *project_id* to see.

    Raises:
        NotFound: code SecurityGroupNotFound.
    """
    found = {
        one.id for one in security_group_list(connection, {"id": groups}, project_id=project_id)
    }
    for group_id in groups:
        if group_id not in found:
            raise missing("SecurityGroup", group_id)


def _check_foreign(wanted: PortWanted) -> None:
    ours = "it is for the network's owner and admins"
    if wanted.mac is not None:
        raise refused("create_port:mac_address", ours)
    if any(fixed.ip is not None for fixed in wanted.fixed_ips or ()):
        raise refused("create_port:fixed_ips:ip_address", ours)
    if wanted.port_security_enabled is not None:
        raise refused("create_port:port_security_enabled", ours)
    if wanted.allowed_address_pairs:
        raise refused("create_port:allowed_address_pairs", ours)
    if wanted.device_owner.startswith("network:"):
        raise refused("create_port:device_owner", ours)


def _changed(present: PortRecord, values: Mapping[str, Any]) -> set[str]:
    now = {
        "device_id": present.device_id,
        "device_owner": present.device_owner,
        "binding_host": present.host_name,
        "binding_profile": dict(present.profile),
    }
    return {name for name in now if name in values and values[name] != now[name]}


def _in_use(present: PortRecord, name: str) -> Conflict:
    return Conflict(
        f"Port {present.id} is still in use by {present.device_id or present.host_name}; "
        f"its {name} cannot change",
        hint="take the port from its server first",
        code="PortInUse",
    )


def _pairs_need_security() -> Conflict:
    return Conflict(
        "allowed_address_pairs need port_security_enabled true",
        code="AddressPairAndPortSecurityRequired",
    )
