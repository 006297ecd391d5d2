"""Rules of security groups as flows of the tables that judge by them.

What a rule says of services becomes matches, a range of ports one for each power of two in it. Its
other side, where that is a group, is matched on its own: flows grow with members plus services, not
with members times services (conjunctive matches, ovs-fields(7)).

Source: neutron ``agent/linux/openvswitch_firewall/rules.py``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping

from lanekeeper.domain.network.guard.flow import Flow
from lanekeeper.domain.network.guard.guarded import Direction, Guarded, Rule
from lanekeeper.domain.network.guard.table import (
    RECEIVED_OPEN,
    RECEIVED_PASSED,
    RECEIVED_TRACKED,
    SENT,
    SENT_PASSED,
    SENT_TRACKED,
    go,
    port,
)

_RULE, _OF_GROUP = 70, 69
_ICMP = frozenset({1, 58})
_WITH_PORTS = {6: "tcp", 17: "udp", 132: "sctp"}
"""Of which Open vSwitch reads ports."""
_NAMES = {4: "ip", 6: "ipv6"}
_TABLES = {
    (Direction.EGRESS, True): (SENT_TRACKED, SENT_PASSED),
    (Direction.EGRESS, False): (SENT, SENT_PASSED),
    (Direction.INGRESS, True): (RECEIVED_TRACKED, RECEIVED_PASSED),
    (Direction.INGRESS, False): (RECEIVED_OPEN, RECEIVED_PASSED),
}

Match = tuple[str, ...]


def flows(one: Guarded, members: Mapping[str, Collection[str]]) -> Iterator[Flow]:
    """What the rules of *one* let pass."""
    plain: dict[tuple[int, Match], int] = {}
    clauses: dict[tuple[int, Match], dict[str, None]] = {}
    whole: dict[tuple[int, Match], int] = {}
    for rule in one.rules:
        table, passed = _TABLES[rule.direction, rule.stateful]
        services = [(*services_of, port(one.number)) for services_of in _services(rule)]
        others = list(_of_version(members.get(rule.group, ()), rule.version)) if rule.group else []
        if rule.group is None or not all(map(_side_says, others)):
            side = _side(rule, rule.prefix) if rule.prefix and _side_says(rule.prefix) else ()
            plain |= {(table, (*service, *side)): passed for service in services}
            continue
        number = _conjunction(one, rule)
        family = (_NAMES[rule.version], port(one.number))
        whole[table, (*family, f"conj_id={number}")] = passed
        for service in services:
            clauses.setdefault((table, service), {})[f"conjunction({number},2/2)"] = None
        for prefix in others:
            match = (*family, *_side(rule, prefix))
            clauses.setdefault((table, match), {})[f"conjunction({number},1/2)"] = None
    for (table, match), passed in plain.items():
        yield Flow(table, _RULE, match, (go(passed),))
    for (table, match), passed in whole.items():
        yield Flow(table, _OF_GROUP, match, (go(passed),))
    for (table, match), parts in clauses.items():
        yield Flow(table, _OF_GROUP, match, tuple(parts))


def masks(first: int, last: int) -> Iterator[tuple[int, int]]:
    """Part a range of ports into values with masks, the fewest that there can be."""
    while first <= last:
        size = first & -first or 1 << 16
        while first + size - 1 > last:
            size >>= 1
        yield first, 0xFFFF & ~(size - 1)
        first += size


def _services(rule: Rule) -> Iterator[Match]:
    """What the rule says but for its other side; nothing where the switch cannot tell."""
    family = _NAMES[rule.version]
    protocol = rule.protocol
    if protocol is None:
        yield (family,)
    elif protocol in _ICMP:
        yield _icmp(rule, protocol)
    elif protocol not in _WITH_PORTS:
        if rule.first is None:
            yield (family, f"nw_proto={protocol}")
    elif rule.first is None or rule.last is None:
        yield (_named(rule, protocol),)
    else:
        name = _named(rule, protocol)
        for value, mask in masks(rule.first, rule.last):
            yield (name, f"tp_dst={value:#x}/{mask:#x}") if mask else (name,)


def _named(rule: Rule, protocol: int) -> str:
    return _WITH_PORTS[protocol] + ("6" if rule.version == 6 else "")  # noqa: PLR2004


def _icmp(rule: Rule, protocol: int) -> Match:
    expected = 58 if rule.version == 6 else 1  # noqa: PLR2004
    if protocol != expected:  # ICMP of the other IP's is a protocol like any other
        return (_NAMES[rule.version], f"nw_proto={protocol}")
    parts = ["icmp6" if rule.version == 6 else "icmp"]  # noqa: PLR2004
    if rule.first is not None:
        parts.append(f"icmp_type={rule.first}")
    if rule.last is not None:
        parts.append(f"icmp_code={rule.last}")
    return tuple(parts)


def _side(rule: Rule, prefix: str) -> Match:
    end = "src" if rule.direction is Direction.INGRESS else "dst"
    return (f"{'nw' if rule.version == 4 else 'ipv6'}_{end}={prefix}",)  # noqa: PLR2004


def _side_says(prefix: str) -> bool:
    """Whether *prefix* leaves anybody out."""
    return not prefix.endswith("/0")


def _of_version(prefixes: Iterable[str], version: int) -> Iterator[str]:
    return (one for one in prefixes if (":" in one) == (version == 6))  # noqa: PLR2004


def _conjunction(one: Guarded, rule: Rule) -> int:
    """A number for all rules of the port that have this group for their other side.

    It stays the same whatever else changes, so that few flows change.
    """
    said = f"{one.number} {rule.direction} {rule.version} {rule.stateful} {rule.group}"
    digest = hashlib.blake2b(said.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") or 1
