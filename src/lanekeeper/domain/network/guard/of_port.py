"""What guards a port, taken from what Network says of it and of its security groups."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from lanekeeper.domain.network.guard.guarded import Direction, Rule
from lanekeeper.domain.network.port import PortRecord
from lanekeeper.domain.network.security_group import PROTOCOLS, SecurityGroupRecord

_ANY = ("ip", "0")
"""What iptables takes for any protocol, and so does Neutron."""
_ICMPV6 = 58


def sources_of(port: PortRecord) -> Iterator[tuple[str, str]]:
    """From which MAC and prefix the guest may send, each once."""
    own = ((port.mac, fixed.ip) for fixed in port.fixed_ips)
    pairs = (
        (pair.get("mac_address") or port.mac, pair["ip_address"])
        for pair in port.allowed_address_pairs
    )
    yield from dict.fromkeys((mac, prefix_of(prefix)) for mac, prefix in (*own, *pairs))


def rules_of(groups: Iterable[SecurityGroupRecord]) -> Iterator[Rule]:
    """The rules of *groups*, each once."""
    yield from dict.fromkeys(
        _rule(rule, stateful=group.stateful) for group in groups for rule in group.rules
    )


def prefix_of(text: str) -> str:
    """Spell an address or prefix in the one way that flows have it: one address has no length."""
    network = ipaddress.ip_network(text, strict=False)
    return str(network.network_address if network.num_addresses == 1 else network)


def _rule(told: Mapping[str, Any], *, stateful: bool) -> Rule:
    version: Literal[4, 6] = 6 if told["ethertype"] == "IPv6" else 4
    prefix = told["remote_ip_prefix"]
    return Rule(
        direction=Direction(told["direction"]),
        version=version,
        protocol=_protocol(told["protocol"], version),
        first=told["port_range_min"],
        last=told["port_range_max"],
        prefix=prefix_of(prefix) if prefix else None,
        group=told["remote_group_id"],
        stateful=stateful,
    )


def _protocol(name: str | None, version: int) -> int | None:
    """Its number; ``icmp`` of IPv6 is that of IPv6. Source: neutron ``db/securitygroups_db.py``."""
    if name is None or name in _ANY:
        return None
    number = PROTOCOLS[name] if name in PROTOCOLS else int(name)
    return _ICMPV6 if name == "icmp" and version == 6 else number  # noqa: PLR2004
