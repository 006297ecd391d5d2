"""All flows that guard the ports of one bridge. See ``table`` for the way of a packet.

What a guarded port sends is judged first and then handed back to table 0 as if the controller had
sent it, on its VLAN: flows of others, and the switch's own learning, go on with it. What is for a
guarded port never comes to it by those, since its record on the bridge takes no frame of any VLAN.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from lanekeeper.domain.network.guard import rule_flows, source
from lanekeeper.domain.network.guard.flow import Flow
from lanekeeper.domain.network.guard.guarded import Beside, Guarded, Guards
from lanekeeper.domain.network.guard.table import (
    ALLOWED,
    DONE,
    GROUP,
    LOCAL,
    OUT,
    PORT,
    RECEIVED,
    RECEIVED_OPEN,
    RECEIVED_PASSED,
    RECEIVED_TRACKED,
    REFUSED,
    SENT,
    SENT_PASSED,
    SENT_TRACKED,
    SOURCE,
    UNTAGGED,
    VLAN,
    ZONE,
    ZONE_OF,
    go,
    load,
    noted,
    port,
    vlan,
)

_FROM, _TO = 40010, 40000
_CONTROLLER = 0xFFFD  # OFPP_CONTROLLER
_LOCAL_PORT = 0xFFFE  # OFPP_LOCAL
_VLAN_PRESENT = 0x1000  # OFPVID_PRESENT
_ONWARD = (load(1, DONE), go(0))
_NEIGHBOURS = (130, 134, 135, 136)
"""Of ICMPv6: who asks for groups, routers, neighbours. Source: neutron-lib ``constants``,
ICMPV6_ALLOWED_INGRESS_TYPES."""


def bridge_flows(guards: Guards) -> tuple[Flow, ...]:
    """Return all flows; none where nothing is guarded."""
    return tuple(_flows(guards)) if guards.ports else ()


def _flows(guards: Guards) -> Iterator[Flow]:
    yield from source.common()
    yield from _tracking(SENT, SENT_TRACKED, SENT_PASSED)
    yield from _tracking(RECEIVED_OPEN, RECEIVED_TRACKED, RECEIVED_PASSED)
    yield from _passed(SENT_PASSED, go(OUT))
    yield from _passed(RECEIVED_PASSED, f"output:{PORT}")
    yield from _received()
    for one in guards.ports:
        yield from _from(one)
        yield from source.flows(one)
        yield from rule_flows.flows(one, guards.members)
        yield Flow(RECEIVED, 100, (port(one.number), f"dl_src={one.mac}"), ())
    by_vlan: dict[int, list[Guarded]] = defaultdict(list)
    for one in guards.ports:
        by_vlan[one.vlan].append(one)
    for number, ports in by_vlan.items():
        yield from _out(number, ports)
        yield from _local(number, ports)
        for other in guards.beside:
            yield from _to(other, number, ports)


def _from(one: Guarded) -> Iterator[Flow]:
    registers = (load(one.number, PORT), load(one.vlan, VLAN), load(one.zone, ZONE))
    came = f"in_port={one.number}"
    yield Flow(0, _FROM, (came, UNTAGGED), (*registers, go(SOURCE)))
    yield Flow(0, _TO, (came,), ())  # tags are the switch's


def _tracking(begin: int, tracked: int, passed: int) -> Iterator[Flow]:
    """How packets come to be tracked, and what conntrack's word alone decides.

    A connection whose first direction no rule lets pass any more is marked, so that its answers
    pass no more either. The kernel's conntrack puts fragments together; the userspace's does not,
    and no rule with ports matches one there, which says nothing of its connection.
    """
    for family in ("ip", "ipv6"):
        yield Flow(begin, 0, (family,), (f"ct(table={tracked},{ZONE_OF})",))
        yield Flow(tracked, 100, (family, "ct_state=+trk+inv"), ())
        for state in ("+trk+est+rpl", "+trk+rel"):
            refused = (family, f"ct_state={state}", f"ct_mark={REFUSED}")
            yield Flow(tracked, 90, refused, ())
            yield Flow(tracked, 80, (family, f"ct_state={state}"), (go(passed),))
        yield Flow(tracked, 20, (family, "ct_state=+trk+est", "nw_frag=yes"), ())
        yield Flow(tracked, 10, (family, "ct_state=+trk+est"), (noted(REFUSED),))


def _passed(table: int, onward: str) -> Iterator[Flow]:
    for family in ("ip", "ipv6"):
        for state in ("ct_state=+trk+new", "ct_state=+trk+est-rpl"):
            mark = (f"ct_mark={REFUSED}",) if "est" in state else ()
            yield Flow(table, 20, (family, state, *mark), (noted(ALLOWED), onward))
    yield Flow(table, 0, (), (onward,))


def _received() -> Iterator[Flow]:
    passes = (go(RECEIVED_PASSED),)
    yield Flow(RECEIVED, 80, ("arp",), passes)
    yield Flow(RECEIVED, 80, ("udp", "tp_src=67", "tp_dst=68"), passes)
    yield Flow(RECEIVED, 80, ("udp6", "tp_src=547", "tp_dst=546"), passes)
    for kind in _NEIGHBOURS:
        yield Flow(RECEIVED, 80, ("icmp6", f"icmp_type={kind}"), passes)
    for family in ("ip", "ipv6"):
        yield Flow(RECEIVED, 40, (family,), (go(RECEIVED_OPEN),))


def _out(number: int, ports: Iterable[Guarded]) -> Iterator[Flow]:
    for one in ports:
        yield Flow(OUT, 20, (vlan(number), f"dl_dst={one.mac}"), (go(LOCAL),))
    tag = ("push_vlan:0x8100", f"set_field:{number | _VLAN_PRESENT}->vlan_vid") if number else ()
    sender = (load(_CONTROLLER, "NXM_OF_IN_PORT[]"),)
    here = (f"clone({go(LOCAL)})",)
    yield Flow(OUT, 10, (vlan(number),), (*here, *tag, *sender, *_ONWARD))


def _local(number: int, ports: Sequence[Guarded]) -> Iterator[Flow]:
    for mac, owners in _owners(ports).items():
        yield Flow(LOCAL, 10, (vlan(number), f"dl_dst={mac}"), tuple(map(_give, owners)))
    yield Flow(LOCAL, 10, (vlan(number), GROUP), tuple(map(_give, ports)))


def _give(one: Guarded) -> str:
    registers = f"{load(one.number, PORT)},{load(one.zone, ZONE)}"
    return f"clone(ct_clear,{registers},{go(RECEIVED)})"


def _owners(ports: Iterable[Guarded]) -> Mapping[str, list[Guarded]]:
    """Who may have each MAC; the one whose own it is, alone."""
    own = {one.mac: [one] for one in ports}
    found: dict[str, list[Guarded]] = defaultdict(list)
    for one in ports:
        for mac in one.macs:
            if mac not in own:
                found[mac].append(one)
    return {**found, **own}


def _to(other: Beside, number: int, ports: Sequence[Guarded]) -> Iterator[Flow]:
    """Have what comes in by a port that nobody guards come to those that it is for.

    What may be for others, too, goes on as it would have gone.
    """
    came = "LOCAL" if other.number == _LOCAL_PORT else other.number
    here = ("reg10=0", f"in_port={came}")
    ways: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
    if number and (other.tagged is None or number in other.tagged):
        ways.append(((*here, f"dl_vlan={number}"), ("pop_vlan",)))
    if other.untagged == number:
        ways.append(((*here, UNTAGGED), ()))
    own = {one.mac for one in ports}
    for match, pop in ways:
        give = (*pop, load(number, VLAN), go(LOCAL))
        copy = (f"clone({','.join(give)})", *_ONWARD)
        for mac in _owners(ports):
            actions = give if mac in own else copy
            yield Flow(0, _TO, (*match, f"dl_dst={mac}"), actions)
        yield Flow(0, _TO, (*match, GROUP), copy)
