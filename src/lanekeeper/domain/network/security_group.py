"""Security groups: stored and shown, filtered by nobody on a VF.

Source: neutron ``db/securitygroups_db.py``; ``extensions/securitygroup.py``.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.network.address import parse_cidr
from lanekeeper.domain.network.binding import SUPPORTED
from lanekeeper.domain.network.port import VnicType

DEFAULT = "default"
DIRECTIONS = ("ingress", "egress")
ETHERTYPES = ("IPv4", "IPv6")
PROTOCOLS = {
    **{"ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "hopopt": 0, "icmp": 1, "icmpv6": 58},
    **{"igmp": 2, "ip": 0, "ipip": 4, "ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58},
    **{"ipv6-nonxt": 59, "ipv6-opts": 60, "ipv6-route": 43, "ospf": 89, "pgm": 113, "rsvp": 46},
    **{"sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112},
}
"""Source: neutron-lib ``constants.py``, IP_PROTOCOL_MAP; IANA, Protocol Numbers."""
_ICMP_OF_IPV6 = {"icmp": "ipv6-icmp", "icmpv6": "ipv6-icmp", "1": "58"}
_PORT_PROTOCOLS = frozenset(
    {"tcp", "udp", "sctp", "dccp", "udplite", "6", "17", "33", "132", "136"}
)
_IPV6_PROTOCOLS = frozenset(
    {"ipv6-encap", "ipv6-frag", "ipv6-icmp", "icmpv6", "ipv6-nonxt", "ipv6-opts", "ipv6-route"}
    | {"41", "44", "58", "59", "60", "43"}
)
"""Source: neutron ``db/securitygroups_db.py``, _validate_ethertype_and_protocol."""
PORT_MAX = 65535
_ICMP_PROTOCOLS = frozenset({"icmp", "icmpv6", "ipv6-icmp", "1", "58"})
_NAMESPACE = uuid.UUID("6c9a4a3b-7d33-5b0e-9a55-6f0f4f1f5c0d")


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityGroupRecord:
    """A group as stored; *rules* as the API shows them, less what all of them share."""

    id: str
    project_id: str
    created_at: datetime
    updated_at: datetime
    name: str = ""
    description: str = ""
    stateful: bool = True
    rules: tuple[Mapping[str, Any], ...] = ()
    tags: tuple[str, ...] = ()
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleWanted:
    """What a request says of a new rule, checked for its types only."""

    security_group_id: str
    direction: str
    ethertype: str = "IPv4"
    protocol: str | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None
    description: str = ""


def default_group_id(project_id: str) -> str:
    """The id of a project's default group: derived, so that two makers make the same one."""
    return str(uuid.uuid5(_NAMESPACE, project_id))


def unfiltered(vnic_type: VnicType, groups: Iterable[str], project_id: str) -> tuple[str, ...]:
    """Return which of *groups* (ids) somebody asked for and nobody enforces on such a port.

    The guest drives its VF, or the whole card, and no packet of it passes through the host. The
    project's default group is on every port, so nobody relies on what it says of these.
    """
    if vnic_type not in SUPPORTED:
        return ()
    return tuple(sorted(set(groups) - {default_group_id(project_id)}))


def first_rules(group_id: str, name: str) -> Iterator[dict[str, Any]]:
    """The rules of a new group: all egress; the default group also hears its own members."""
    directions = ("egress", "ingress") if name == DEFAULT else ("egress",)
    for direction in directions:
        for ethertype in ETHERTYPES:
            yield rule_fields(
                RuleWanted(
                    security_group_id=group_id,
                    direction=direction,
                    ethertype=ethertype,
                    remote_group_id=group_id if direction == "ingress" else None,
                )
            )


def rule_fields(wanted: RuleWanted) -> dict[str, Any]:
    """What is stored of a rule beside its id and times."""
    return {
        "direction": wanted.direction,
        "ethertype": wanted.ethertype,
        "protocol": wanted.protocol,
        "port_range_min": wanted.port_range_min,
        "port_range_max": wanted.port_range_max,
        "remote_ip_prefix": wanted.remote_ip_prefix,
        "remote_group_id": wanted.remote_group_id,
        "remote_address_group_id": None,
        "normalized_cidr": wanted.remote_ip_prefix,
        "description": wanted.description,
    }


def plan_rule(wanted: RuleWanted) -> dict[str, Any]:
    """Check a rule and return what is stored of it.

    Raises:
        Invalid: the message names the field and what would be right.
    """
    if wanted.direction not in DIRECTIONS:
        raise _wrong(f"direction {wanted.direction!r} is not one of {', '.join(DIRECTIONS)}")
    ethertype = ethertype_of(wanted.ethertype)
    protocol = protocol_of(wanted.protocol)
    if ethertype == "IPv6" and protocol in _ICMP_OF_IPV6:
        protocol = _ICMP_OF_IPV6[protocol]
    _check_ports(wanted, protocol)
    prefix = None
    if wanted.remote_ip_prefix is not None:
        prefix = _prefix(wanted.remote_ip_prefix, ethertype)
    if ethertype == "IPv4" and protocol in _IPV6_PROTOCOLS:
        raise Invalid(
            f"protocol {protocol} is one of IPv6, and ethertype is IPv4",
            code="SecurityGroupEthertypeConflictWithProtocol",
        )
    if wanted.remote_ip_prefix is not None and wanted.remote_group_id is not None:
        raise Invalid(
            "only one of remote_ip_prefix and remote_group_id may be given",
            code="SecurityGroupMultipleRemoteEntites",
        )
    fields = rule_fields(wanted)
    fields |= {"ethertype": ethertype, "protocol": protocol}
    if (wanted.port_range_min, wanted.port_range_max) == (1, PORT_MAX):  # every port is no range
        fields |= {"port_range_min": None, "port_range_max": None}
    return fields | {"remote_ip_prefix": prefix, "normalized_cidr": prefix}


def same_rule(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two rules say the same, whatever their ids and descriptions."""
    keys = (
        "direction",
        "ethertype",
        "port_range_min",
        "port_range_max",
        "normalized_cidr",
        "remote_group_id",
    )
    same = all(one.get(key) == other.get(key) for key in keys)
    return same and _number(one["protocol"]) == _number(other["protocol"])


def _number(protocol: str | None) -> int | None:
    if protocol is None:
        return None
    return PROTOCOLS[protocol] if protocol in PROTOCOLS else int(protocol)


def ethertype_of(text: str) -> str:
    """Read an ethertype, in any case.

    Raises:
        Invalid: code SecurityGroupRuleInvalidEtherType.
    """
    ethertype = next((one for one in ETHERTYPES if one.lower() == text.lower()), None)
    if ethertype is None:
        raise Invalid(
            f"ethertype {text!r} is not one of {', '.join(ETHERTYPES)}",
            code="SecurityGroupRuleInvalidEtherType",
        )
    return ethertype


def protocol_of(text: str | None) -> str | None:
    """Read a protocol, a name in any case or a number; None is any of them.

    Raises:
        Invalid: code SecurityGroupRuleInvalidProtocol.
    """
    if text is None or text.lower() == "any":
        return None
    name = text.lower()
    is_number = name.isascii() and name.isdigit() and int(name) <= 255  # noqa: PLR2004 one byte
    if name not in PROTOCOLS and not is_number:
        raise Invalid(
            f"protocol {text!r} is neither a name such as tcp nor a number in 0..255",
            code="SecurityGroupRuleInvalidProtocol",
        )
    return name


def _check_ports(wanted: RuleWanted, protocol: str | None) -> None:
    least, most = wanted.port_range_min, wanted.port_range_max
    if least is None and most is None:
        return
    for port in (least, most):
        if port is not None and not 0 <= port <= PORT_MAX:
            raise _no_port(port, 0)
    if protocol in _ICMP_PROTOCOLS:
        _check_icmp(least, most)
        return
    if protocol not in _PORT_PROTOCOLS:
        raise Invalid(
            "port_range_min and port_range_max need a protocol with ports, such as tcp",
            code="SecurityGroupInvalidProtocolForPort"
            if protocol
            else "SecurityGroupProtocolRequiredWithPorts",
        )
    for port in (least, most):
        if port == 0:
            raise _no_port(port, 1)
    if least is None or most is None or least > most:
        raise Invalid(
            f"port range {least} to {most} is not 1 <= min <= max <= {PORT_MAX}",
            code="SecurityGroupInvalidPortRange",
        )


def _no_port(port: int, least: int) -> Invalid:
    return Invalid(
        f"port {port} is not in {least}..{PORT_MAX}", code="SecurityGroupInvalidPortValue"
    )


def _check_icmp(kind: int | None, code: int | None) -> None:
    if kind is None:
        raise Invalid(
            "port_range_max, an ICMP code, needs port_range_min, its type",
            code="SecurityGroupMissingIcmpType",
        )
    for value in (kind, code or 0):
        if not 0 <= value <= 255:  # noqa: PLR2004 one byte
            raise Invalid(
                f"ICMP type or code {value} is not in 0..255", code="SecurityGroupInvalidIcmpValue"
            )


def _prefix(text: str, ethertype: str) -> str:
    try:
        network = parse_cidr(text if "/" in text else _whole(text), "remote_ip_prefix")
    except Invalid as error:
        raise Invalid(str(error), code="InvalidCIDR") from error
    if f"IPv{network.version}" != ethertype:
        raise Invalid(
            f"remote_ip_prefix {text} does not fit ethertype {ethertype}",
            code="SecurityGroupRuleParameterConflict",
        )
    return str(network)


def _whole(text: str) -> str:
    return f"{text}/128" if ":" in text else f"{text}/32"


def _wrong(message: str) -> Invalid:
    return Invalid(message, code="InvalidInput")
