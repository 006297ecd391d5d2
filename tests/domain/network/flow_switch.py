"""A very small Open vSwitch: it reads flows and says where a packet goes.

It knows the matches and actions that guards use and refuses all others, so that no test passes
since a flow was not understood. What no flow of table 0 takes is switched: an output ``NORMAL``.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from lanekeeper.domain.network.guard.flow import Flow

NORMAL = "NORMAL"
CONTROLLER = 0xFFFD
IP, IPV6, ARP = 0x800, 0x86DD, 0x806
_NAMES = {
    "arp": {"dl_type": ARP},
    "ip": {"dl_type": IP},
    "ipv6": {"dl_type": IPV6},
    **{
        f"{name}{suffix}": {"dl_type": kind, "nw_proto": protocol}
        for name, protocol in {"tcp": 6, "udp": 17, "sctp": 132}.items()
        for suffix, kind in {"": IP, "6": IPV6}.items()
    },
    "icmp": {"dl_type": IP, "nw_proto": 1},
    "icmp6": {"dl_type": IPV6, "nw_proto": 58},
}
_PREFIXES = {"nw_src", "nw_dst", "ipv6_src", "ipv6_dst", "arp_spa", "nd_target"}
_MACS = {"dl_src", "dl_dst", "arp_sha", "nd_sll", "nd_tll"}
_NUMBERS = {"dl_vlan", "nw_proto", "tp_src", "tp_dst", "icmp_type", "icmp_code", "arp_op"}
_NUMBERS |= {"ct_mark", "conj_id", "reg6", "reg7", "reg8", "reg10"}
_LOAD = re.compile(r"load:0x([0-9a-f]+)->NXM_(?:NX_REG(\d+)|OF_(IN_PORT))\[\]")
_CONJUNCTION = re.compile(r"conjunction\((\d+),(\d)/(\d)\)")
_TRACK = re.compile(r"ct\(table=(\d+),zone=NXM_NX_REG8\[0\.\.15\]\)")
_COMMIT = re.compile(r"ct\(commit,zone=NXM_NX_REG8\[0\.\.15\],exec\(set_field:(\d)->ct_mark\)\)")

Packet = dict[str, Any]
"""Fields by the names of ovs-fields(7); ``dl_vlan`` is left out of what has no tag."""
Out = tuple[int | str, int | None]
"""A port, or ``NORMAL``, and the VLAN tag."""


@dataclass
class Conntrack:
    """Connections: who began it, by zone; with their marks."""

    marks: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def look(self, zone: int, packet: Packet) -> tuple[set[str], int]:
        for key, more in ((ends(packet), set()), (ends(packet, back=True), {"rpl"})):
            if (zone, *key) in self.marks:
                return {"trk", "est", *more}, self.marks[zone, *key]
        return {"trk", "new"}, 0

    def commit(self, zone: int, packet: Packet, mark: int) -> None:
        back = (zone, *ends(packet, back=True))
        self.marks[back if back in self.marks else (zone, *ends(packet))] = mark


def ends(packet: Packet, *, back: bool = False) -> tuple[Any, ...]:
    names = ("nw_src", "nw_dst") if packet["dl_type"] == IP else ("ipv6_src", "ipv6_dst")
    one, other = (
        (packet[name], packet.get(tp)) for name, tp in zip(names, ("tp_src", "tp_dst"), strict=True)
    )
    return (packet["nw_proto"], *((other, one) if back else (one, other)))


@dataclass(frozen=True)
class _State:
    packet: Packet
    ct_state: frozenset[str] = frozenset()


class FlowSwitch:
    """Takes packets, gives outputs."""

    def __init__(self, flows: Iterable[Flow]) -> None:
        self._tables: dict[int, dict[int, list[Flow]]] = {}
        self.conntrack = Conntrack()
        matches = set()
        for flow in flows:
            what = (flow.table, flow.priority, frozenset(flow.match))
            assert what not in matches, f"two flows match the same: {what}"
            matches.add(what)
            self._tables.setdefault(flow.table, {}).setdefault(flow.priority, []).append(flow)

    def send(self, packet: Packet) -> set[Out]:
        state = _State({"reg6": 0, "reg7": 0, "reg8": 0, "reg10": 0, "ct_mark": 0} | packet)
        return {out for out in self._in_table(0, state) if out[0] != state.packet["in_port"]}

    def _in_table(self, table: int, state: _State) -> Iterator[Out]:
        for _, flows in sorted(self._tables.get(table, {}).items(), reverse=True):
            actions = _chosen(flows, state)
            if actions is not None:
                yield from self._do(list(actions), state)
                return
        if table == 0:
            yield NORMAL, state.packet.get("dl_vlan")

    def _do(self, actions: list[str], state: _State) -> Iterator[Out]:
        for action in actions:
            packet = state.packet
            if found := _LOAD.fullmatch(action):
                name = "in_port" if found[3] else f"reg{found[2]}"
                state = replace(state, packet=packet | {name: int(found[1], 16)})
            elif action.startswith("clone("):
                yield from self._do(list(_parts(action[6:-1])), state)
            elif found := re.fullmatch(r"resubmit\(,(\d+)\)", action):
                yield from self._in_table(int(found[1]), state)
            elif found := _TRACK.fullmatch(action):
                flags, mark = self.conntrack.look(packet["reg8"], packet)
                tracked = _State(packet | {"ct_mark": mark}, frozenset(flags))
                yield from self._in_table(int(found[1]), tracked)
            elif found := _COMMIT.fullmatch(action):
                self.conntrack.commit(packet["reg8"], packet, int(found[1]))
            elif action == "ct_clear":
                state = _State(packet | {"ct_mark": 0})
            elif action == "pop_vlan":
                state = replace(state, packet={k: v for k, v in packet.items() if k != "dl_vlan"})
            elif action == "push_vlan:0x8100":
                assert "dl_vlan" not in packet
            elif found := re.fullmatch(r"set_field:(\d+)->vlan_vid", action):
                state = replace(state, packet=packet | {"dl_vlan": int(found[1]) & 0xFFF})
            elif action == "output:NXM_NX_REG6[]":
                yield packet["reg6"], packet.get("dl_vlan")
            else:
                raise AssertionError(f"what is {action}?")


def _parts(text: str) -> Iterator[str]:
    """Part at the commas that are in no brackets."""
    depth, begin = 0, 0
    for at, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and not depth:
            yield text[begin:at]
            begin = at + 1
    yield text[begin:]


def _chosen(flows: list[Flow], state: _State) -> tuple[str, ...] | None:
    """The actions of the one that matches; clauses count only where all of them are there."""
    clauses: dict[int, set[int]] = {}
    for flow in flows:
        parts = [_CONJUNCTION.fullmatch(one) for one in flow.actions]
        is_whole = any(one.startswith("conj_id=") for one in flow.match)
        if not is_whole and _matches(flow, state):
            if not all(parts) or not parts:
                return flow.actions
            for part in parts:
                assert part is not None
                clauses.setdefault(int(part[1]), set()).add(int(part[2]))
    for number, there in clauses.items():
        if there == {1, 2}:
            whole = replace(state, packet=state.packet | {"conj_id": number})
            found = [flow.actions for flow in flows if _matches(flow, whole)]
            return next(one for one in found if not one[0].startswith("conjunction"))
    return None


def _matches(flow: Flow, state: _State) -> bool:
    return all(_is_met(one, state) for one in flow.match)


def _is_met(said: str, state: _State) -> bool:  # noqa: PLR0911  # one a kind of field
    packet = state.packet
    if said in _NAMES:
        return all(packet.get(name) == value for name, value in _NAMES[said].items())
    name, _, value = said.partition("=")
    if name == "in_port":
        return bool(packet["in_port"] == (0xFFFE if value == "LOCAL" else int(value)))
    if said == "vlan_tci=0x0000/0x1fff":
        return "dl_vlan" not in packet
    if name == "ct_state":
        wanted = re.findall(r"([+-])(\w+)", value)
        return all((flag in state.ct_state) == (sign == "+") for sign, flag in wanted)
    if name == "nw_frag":
        return bool(packet.get("nw_frag", "no") != "no") == (value == "yes")
    has = packet.get(name)
    if has is None:
        return False
    if name in _PREFIXES:
        return ipaddress.ip_address(has) in ipaddress.ip_network(value)
    if name in _MACS:
        want, _, mask = value.partition("/")
        bits = _mac(mask) if mask else -1
        return (_mac(has) & bits) == (_mac(want) & bits)
    if name in _NUMBERS:
        want, _, mask = value.partition("/")
        bits = int(mask, 0) if mask else -1
        return int(has) & bits == int(want, 0) & bits
    raise AssertionError(f"what is {said}?")


def _mac(text: str) -> int:
    return int(text.replace(":", ""), 16)
