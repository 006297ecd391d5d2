"""What a port may not become, each with the fault that Neutron has for it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
import structlog

from lanekeeper.control.caller import Caller
from lanekeeper.control.network.port_able import check_switch_rules
from lanekeeper.control.network.scope import missing, refused, scope
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict, Invalid
from lanekeeper.domain.network.address import parse_ip
from lanekeeper.domain.network.network import NetworkRecord
from lanekeeper.domain.network.port import (
    NETWORK_OWNER,
    SERVER_OWNER,
    FixedIpWanted,
    PortRecord,
    PortWanted,
    VnicType,
)
from lanekeeper.domain.network.security_group import default_group_id, unfiltered
from lanekeeper.store.compute.server import server_get
from lanekeeper.store.network.qos import qos_policy_hold, qos_policy_list
from lanekeeper.store.network.security_group import security_group_list

log = structlog.get_logger()

_HELD_BY_SERVER = frozenset({"device_id", "device_owner", "binding_host", "binding_profile"})
"""What belongs to the server while it holds the port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortChange:
    """What is to change; *values* are columns, absent ones stay.

    Attributes:
        mac: None to keep it.
        fixed_ips: None to keep them.
        revision: the one that must still be the present one, or None.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    mac: str | None = None
    fixed_ips: tuple[FixedIpWanted, ...] | None = None
    revision: int | None = None


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
        _check_foreign_new(wanted)
    if wanted.is_secured(on_network=network.port_security_enabled):
        return
    if wanted.security_groups:
        raise _groups_need_security()
    if wanted.allowed_address_pairs:
        raise _pairs_need_security()


def check_held(
    present: PortRecord, values: Mapping[str, Any], mac: str | None, *, held: bool
) -> None:
    """Refuse to change under a server what it stands on; *held* is whether a server holds it.

    Raises:
        Conflict: codes PortBound, PortInUse, UnsupportedPortDeviceOwner.
    """
    if mac is not None and mac != present.mac:
        _check_mac_may_change(present, values.get("device_owner") or present.device_owner)
    for name, current in (
        ("vnic_type", present.vnic_type),
        ("numa_affinity_policy", present.numa_affinity_policy),
    ):
        if present.is_bound and name in values and values[name] != current:
            raise _in_use(present, name)
    if held and (named := sorted(_HELD_BY_SERVER & _changed(present, values))):
        raise _in_use(present, named[0])


def _check_mac_may_change(present: PortRecord, owner: str) -> None:
    if present.is_bound:
        raise Conflict(
            f"Port {present.id} is bound as {present.vif_type}; its mac_address cannot change",
            hint="take it from its server, or unset its host, first",
            code="PortBound",
        )
    if _serves_network(owner):
        raise Conflict(
            f"Port {present.id} is for {owner}; its mac_address cannot change",
            hint="make another port",
            code="UnsupportedPortDeviceOwner",
        )


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
        Invalid: code PortSecurityAndIPRequiredForSecurityGroups; the request names groups.
        Conflict: codes PortSecurityPortHasSecurityGroup, AddressPairAndPortSecurityRequired.
    """
    if values.get("port_security_enabled", present.port_security_enabled):
        return
    if values.get("allowed_address_pairs", list(present.allowed_address_pairs)):
        raise _pairs_need_security()
    if values.get("security_groups"):
        raise _groups_need_security()
    if values.get("security_groups", list(present.security_groups)):
        raise Conflict(
            f"Port {present.id} has security groups; port_security_enabled cannot be false",
            hint="remove its security groups first",
            code="PortSecurityPortHasSecurityGroup",
        )


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


def check_filtered(site: Site, vnic_type: VnicType, groups: Iterable[str], project_id: str) -> None:
    """Refuse groups that nobody enforces on such a port, or have the log tell of them; as
    ``[lanekeeper] vf_security_groups`` says.

    Raises:
        Invalid: code lanekeeper.port.unfiltered.
    """
    refuse_unfiltered(site, vnic_type, groups, project_id)
    said = site.config.lanekeeper.vf_security_groups
    if said == "warn" and (void := unfiltered(vnic_type, groups, project_id)):
        log.warning("port.unfiltered", vnic_type=vnic_type, security_groups=void)


def refuse_unfiltered(
    site: Site, vnic_type: VnicType, groups: Iterable[str], project_id: str
) -> None:
    """The same where nothing is made yet, so that there is nothing to tell of.

    Raises:
        Invalid: code lanekeeper.port.unfiltered.
    """
    void = unfiltered(vnic_type, groups, project_id)
    if not void or site.config.lanekeeper.vf_security_groups != "refuse":
        return
    raise Invalid(
        f"security group {', '.join(void)} would not be enforced: no packet of a port of type "
        f"{vnic_type} passes through its host",
        hint="leave the group out and filter in the guest; the VF's own switch checks MAC and VLAN "
        "(port_security_enabled). [lanekeeper] vf_security_groups = warn or ignore takes it as "
        "Neutron does",
        code="lanekeeper.port.unfiltered",
    )


def check_switched(site: Site, port: PortRecord) -> None:
    """Refuse what a port that is on a virtual switch would be asked and not keep.

    Network takes such a port as Neutron does as long as nobody has it, since where it will be is
    not known then; it is judged when a server takes it, and while one has it.

    Raises:
        Conflict: code QosRuleNotSupported.
        Invalid: code lanekeeper.port.unfiltered; its host filters nothing.
    """
    if not port.is_switched:
        return
    check_switch_rules(f"Port {port.id}", port.qos_rules)
    if not port.is_filtered and needs_filter(site, port.security_groups, port.project_id):
        raise unfiltered_switch(f"Port {port.id}")


def needs_filter(site: Site, groups: Iterable[str], project_id: str) -> bool:
    """Whether a normal port with these groups may be on hosts alone that filter its packets.

    The default group is on every port, so nobody relies on what it says where nothing filters.
    """
    asked_for = set(groups) - {default_group_id(project_id)}
    return bool(asked_for) and site.config.lanekeeper.vf_security_groups == "refuse"


def unfiltered_switch(what: str) -> Invalid:
    """The refusal of *what*, a normal port where nothing filters."""
    return Invalid(
        f"{what}: its security groups would not be enforced, since its host filters no packets of "
        "normal ports (firewall_driver = noop)",
        hint="take noop out of [securitygroup] firewall_driver of the host, take the groups off "
        "the port, or set [lanekeeper] vf_security_groups to warn or ignore",
        code="lanekeeper.port.unfiltered",
    )


def check_policy(connection: sa.Connection, caller: Caller, policy_id: str | None) -> None:
    """Refuse a QoS policy that *caller* does not see; one that is seen stays until the commit.

    Raises:
        NotFound: code QosPolicyNotFound.
    """
    if policy_id is None:
        return
    seen = qos_policy_list(connection, {"id": (policy_id,)}, project_id=scope(caller))
    if not seen or not qos_policy_hold(connection, policy_id):
        raise missing("QosPolicy", policy_id)


def check_update(present: PortRecord, change: PortChange, *, owns_network: bool) -> None:
    """Refuse to change what only the network's owner may say; the same as for a new port.

    Raises:
        Forbidden: on another project's network.
    """
    if owns_network:
        return
    values = change.values
    secured = values.get("port_security_enabled", present.port_security_enabled)
    pairs = values.get("allowed_address_pairs", list(present.allowed_address_pairs))
    owner = values.get("device_owner", present.device_owner)
    had = {fixed.ip for fixed in present.fixed_ips}
    said = (fixed.ip for fixed in change.fixed_ips or () if fixed.ip is not None)
    _check_foreign(
        "update_port",
        {
            "mac_address": change.mac is not None and change.mac != present.mac,
            "fixed_ips:ip_address": any(str(parse_ip(ip, "fixed_ips")) not in had for ip in said),
            "port_security_enabled": secured != present.port_security_enabled,
            "allowed_address_pairs": list(pairs) != list(present.allowed_address_pairs),
            "device_owner": owner != present.device_owner and _serves_network(owner),
        },
    )


def _check_foreign_new(wanted: PortWanted) -> None:
    _check_foreign(
        "create_port",
        {
            "mac_address": wanted.mac is not None,
            "fixed_ips:ip_address": any(ip.ip is not None for ip in wanted.fixed_ips or ()),
            "port_security_enabled": wanted.port_security_enabled is not None,
            "allowed_address_pairs": bool(wanted.allowed_address_pairs),
            "device_owner": _serves_network(wanted.device_owner),
        },
    )


def _check_foreign(rule: str, said: Mapping[str, bool]) -> None:
    for name, is_said in said.items():
        if is_said:
            raise refused(f"{rule}:{name}", "it is for the network's owner and admins")


def _serves_network(device_owner: str) -> bool:
    return device_owner.startswith(NETWORK_OWNER)


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
        f"Port {present.id} is still in use by {present.device_id or 'a host'}; "
        f"its {name} cannot change",
        hint="take the port from its server first",
        code="PortInUse",
    )


def _groups_need_security() -> Invalid:
    return Invalid(
        "security_groups need port_security_enabled true",
        code="PortSecurityAndIPRequiredForSecurityGroups",
    )


def _pairs_need_security() -> Conflict:
    return Conflict(
        "allowed_address_pairs need port_security_enabled true",
        code="AddressPairAndPortSecurityRequired",
    )
