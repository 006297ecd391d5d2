"""Guarded ports of a real Open vSwitch: frames go in, and what comes out is what rules allow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from host import frames
from host.frames import ACK, SYN, ethernet, tcp, udp
from host.real_ovs import BRIDGE, RealOvs, real_ovs
from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.network.guard.bridge import bridge_flows
from lanekeeper.domain.network.guard.flow import Flow
from lanekeeper.domain.network.guard.guarded import Beside, Direction, Guarded, Guards, Rule
from lanekeeper.host.flow_table import OvsFlowTable

IN, OUT = Direction.INGRESS, Direction.EGRESS
A, B, OUTSIDE = "fa:16:3e:00:00:0a", "fa:16:3e:00:00:0b", "52:54:00:00:00:01"
IP_A, IP_B, IP_OUTSIDE = "10.0.0.10", "10.0.0.11", "10.0.0.99"
ALL, WEB = "ff:ff:ff:ff:ff:ff", Rule(direction=IN, protocol=6, first=80, last=81)
ALL_OUT = (Rule(direction=OUT), Rule(direction=OUT, version=6))
SEALED = {"trunks": "4095"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealOvs]:
    with real_ovs(tmp_path_factory.mktemp("ovs") / "run") as switch:
        switch.plug("pf", 1)
        switch.plug("a", 2, "port-a", **SEALED)
        switch.plug("b", 3, "port-b", **SEALED)
        switch.plug("plain", 9, "port-plain", tag="15")
        yield switch


@pytest.fixture
def switch(running: RealOvs) -> Iterator[RealOvs]:
    yield running
    table = OvsFlowTable(running.ask)
    table.change(BRIDGE, table.flows(BRIDGE), ())
    running.ask(["ovs-appctl", "dpctl/flush-conntrack"])
    running.ask(["ovs-appctl", "fdb/flush", BRIDGE])


def guarded(mac: str, *rules: Rule, sources: tuple[tuple[str, str], ...] = ()) -> Guarded:
    number, address = {A: (2, IP_A), B: (3, IP_B)}[mac]
    six = f"2001:db8::{number}"
    own = ((mac, address), (mac, six), *sources)
    return Guarded(number=number, zone=100 + number, vlan=15, mac=mac, sources=own, rules=rules)


def guard(switch: RealOvs, *ports: Guarded, **members: tuple[str, ...]) -> None:
    """Have exactly these guarded."""
    beside = (Beside(number=1), Beside(number=9, untagged=15, tagged=frozenset()))
    wanted = {
        one.cookie: one for one in bridge_flows(Guards(ports=ports, beside=beside, members=members))
    }
    table = OvsFlowTable(switch.ask)
    found = table.flows(BRIDGE)
    new = [one for cookie, one in wanted.items() if cookie not in found]
    table.change(BRIDGE, found.keys() - wanted.keys(), new)
    assert table.flows(BRIDGE).keys() == wanted.keys()


def came(switch: RealOvs, port: str, frame: bytes) -> set[str]:
    return set(switch.send(port, frame))


def from_outside(packet: bytes, dst: str = A, vlan: int = 15) -> bytes:
    return ethernet(OUTSIDE, dst, 0x800, packet, vlan)


def test_nothing_passes_before_there_are_flows(switch: RealOvs) -> None:
    frame = ethernet(A, ALL, 0x800, udp(IP_A, IP_OUTSIDE, 1000, 2000))
    assert came(switch, "a", frame) == set()
    assert came(switch, "pf", from_outside(udp(IP_OUTSIDE, IP_A, 1, 2), ALL)) == {"plain"}


def test_a_connection_that_a_rule_allows_passes_and_no_other(switch: RealOvs) -> None:
    guard(switch, guarded(A, WEB))
    asked = from_outside(tcp(IP_OUTSIDE, IP_A, 40000, 80, SYN))
    got = switch.send("pf", asked)
    assert got == {"a": [ethernet(OUTSIDE, A, 0x800, tcp(IP_OUTSIDE, IP_A, 40000, 80, SYN))]}
    told = tcp(IP_A, IP_OUTSIDE, 80, 40000, SYN | ACK, 7, 2)
    answered = switch.send("a", ethernet(A, OUTSIDE, 0x800, told))
    assert answered["pf"] == [ethernet(A, OUTSIDE, 0x800, told, 15).ljust(64, b"\0")]
    assert came(switch, "pf", from_outside(tcp(IP_OUTSIDE, IP_A, 40000, 82, SYN))) == set()
    assert came(switch, "pf", from_outside(udp(IP_OUTSIDE, IP_A, 40000, 80))) == set()
    assert came(switch, "a", ethernet(A, OUTSIDE, 0x800, udp(IP_A, IP_OUTSIDE, 1, 2))) == set()


def test_a_guest_that_asks_is_answered_and_told_of_what_failed(switch: RealOvs) -> None:
    guard(switch, guarded(A, *ALL_OUT))
    asked = udp(IP_A, IP_OUTSIDE, 5000, 53)
    assert "pf" in came(switch, "a", ethernet(A, OUTSIDE, 0x800, asked))
    assert came(switch, "pf", from_outside(udp(IP_OUTSIDE, IP_A, 53, 5000))) == {"a"}
    assert came(switch, "pf", from_outside(udp(IP_OUTSIDE, IP_A, 53, 5001))) == set()
    assert came(switch, "pf", from_outside(frames.unreachable(IP_OUTSIDE, IP_A, asked))) == {"a"}
    other = udp(IP_A, IP_OUTSIDE, 5000, 54)
    assert came(switch, "pf", from_outside(frames.unreachable(IP_OUTSIDE, IP_A, other))) == set()


def test_who_says_it_is_somebody_else_is_not_heard(switch: RealOvs) -> None:
    guard(switch, guarded(A, *ALL_OUT), guarded(B, *ALL_OUT, Rule(direction=IN)))
    packet = udp(IP_A, IP_OUTSIDE, 1, 2)
    assert "pf" in came(switch, "a", ethernet(A, OUTSIDE, 0x800, packet))
    assert came(switch, "a", ethernet(OUTSIDE, OUTSIDE, 0x800, packet)) == set()
    assert came(switch, "a", ethernet(A, OUTSIDE, 0x800, packet, 15)) == set()
    assert came(switch, "a", ethernet(A, OUTSIDE, 0x800, udp(IP_B, IP_OUTSIDE, 1, 2))) == set()
    true = frames.arp(A, ALL, A, IP_A, IP_B)
    assert came(switch, "a", true) == {"b", "pf", "plain"}
    assert came(switch, "a", frames.arp(A, ALL, A, IP_B, IP_A)) == set()
    assert came(switch, "a", frames.arp(A, ALL, B, IP_A, IP_B)) == set()
    assert came(switch, "a", frames.arp(B, ALL, B, IP_A, IP_B)) == set()


def test_members_of_a_group_pass_wherever_they_are(switch: RealOvs) -> None:
    rule = Rule(direction=IN, protocol=6, first=80, last=80, group="g")
    ports = (guarded(A, *ALL_OUT), guarded(B, rule))
    guard(switch, *ports, g=(IP_A, "2001:db8::2"))
    asked = ethernet(A, B, 0x800, tcp(IP_A, IP_B, 40000, 80, SYN))
    assert came(switch, "a", asked) == {"b"}
    answered = ethernet(B, A, 0x800, tcp(IP_B, IP_A, 80, 40000, SYN | ACK, 7, 2))
    assert came(switch, "b", answered) == {"a"}
    outside = from_outside(tcp(IP_OUTSIDE, IP_B, 40000, 80, SYN), B)
    assert came(switch, "pf", outside) == set()
    guard(switch, *ports, g=(IP_A, IP_OUTSIDE))
    assert came(switch, "pf", outside) == {"b"}
    guard(switch, *ports, g=())
    assert came(switch, "a", ethernet(A, B, 0x800, tcp(IP_A, IP_B, 40001, 80, SYN))) == set()


def test_a_rule_that_is_taken_away_stops_what_was_there_too(switch: RealOvs) -> None:
    guard(switch, guarded(A, WEB))
    asked = from_outside(tcp(IP_OUTSIDE, IP_A, 40000, 80, SYN))
    assert came(switch, "pf", asked) == {"a"}
    answered = ethernet(A, OUTSIDE, 0x800, tcp(IP_A, IP_OUTSIDE, 80, 40000, SYN | ACK, 7, 2))
    assert "pf" in came(switch, "a", answered)
    more = from_outside(tcp(IP_OUTSIDE, IP_A, 40000, 80, ACK, 2, 8))
    assert came(switch, "pf", more) == {"a"}
    guard(switch, guarded(A))
    assert came(switch, "pf", more) == set()
    told = ethernet(A, OUTSIDE, 0x800, tcp(IP_A, IP_OUTSIDE, 80, 40000, ACK, 8, 2))
    assert came(switch, "a", told) == set()
    assert came(switch, "pf", from_outside(tcp(IP_OUTSIDE, IP_A, 40001, 80, SYN))) == set()


def test_ports_without_guard_go_on_and_meet_guarded_ones_by_their_rules(switch: RealOvs) -> None:
    guard(switch, guarded(A, WEB))
    assert came(switch, "plain", ethernet(OUTSIDE, ALL, 0x800, udp(IP_OUTSIDE, IP_A, 1, 2))) == {
        "pf"
    }
    asked = ethernet(OUTSIDE, A, 0x800, tcp(IP_OUTSIDE, IP_A, 40000, 80, SYN))
    assert came(switch, "plain", asked) == {"a"}
    refused = ethernet(OUTSIDE, A, 0x800, tcp(IP_OUTSIDE, IP_A, 40000, 90, SYN))
    assert came(switch, "plain", refused) == set()
    answered = ethernet(A, OUTSIDE, 0x800, tcp(IP_A, IP_OUTSIDE, 80, 40000, SYN | ACK, 7, 2))
    assert came(switch, "a", answered) == {"plain"}  # the switch learned where it is
    assert came(switch, "pf", from_outside(udp(IP_OUTSIDE, IP_A, 1, 2), ALL, 16)) == set()


def test_a_fragment_passes_no_rule_with_ports_here_and_others(switch: RealOvs) -> None:
    """The userspace datapath gives fragments no ports; the kernel's puts them together."""
    switch.ask(["ovs-appctl", "dpctl/ipf-set-min-frag", "v4", "400"])
    ports = Rule(direction=IN, protocol=17, first=53, last=53)
    for rule, reaches in ((ports, False), (Rule(direction=IN, protocol=17), True)):
        guard(switch, guarded(A, rule))
        whole = udp(IP_OUTSIDE, IP_A, 1000, 53, bytes(1000))[20:]
        first = frames.ipv4(IP_OUTSIDE, IP_A, 17, whole[:504], fragment=0x2000)
        rest = frames.ipv4(IP_OUTSIDE, IP_A, 17, whole[504:], fragment=504 // 8)
        got = [switch.send("pf", from_outside(one)) for one in (first, rest)]
        assert any("a" in one for one in got) == reaches
        switch.ask(["ovs-appctl", "dpctl/flush-conntrack"])


def test_what_the_switch_itself_says_of_neighbours_of_version_6(switch: RealOvs) -> None:
    guard(switch, guarded(A, *ALL_OUT), guarded(B, *ALL_OUT))
    own, link = "2001:db8::2", "fe80::f816:3eff:fe00:a"
    said = f"in_port=2,icmp6,dl_src={A},dl_dst={B},ipv6_src={own},ipv6_dst=2001:db8::3"
    assert switch.trace(f"{said},icmpv6_type=136,nd_target={own},nd_tll={A}").isdecimal()
    assert switch.trace(f"{said},icmpv6_type=136,nd_target={link},nd_tll={A}").isdecimal()
    assert switch.trace(f"{said},icmpv6_type=136,nd_target=2001:db8::3,nd_tll={A}") == "drop"
    assert switch.trace(f"{said},icmpv6_type=136,nd_target={own},nd_tll={B}") == "drop"
    assert switch.trace(f"{said},icmpv6_type=134") == "drop"


def test_flows_of_others_stay_and_are_still_asked(switch: RealOvs) -> None:
    switch.ask(
        ["ovs-ofctl", "add-flow", BRIDGE, "cookie=0x5,priority=50,dl_vlan=15,udp,actions=drop"]
    )
    try:
        guard(switch, guarded(A, *ALL_OUT))
        assert came(switch, "a", ethernet(A, ALL, 0x800, udp(IP_A, IP_OUTSIDE, 1, 2))) == set()
        assert "pf" in came(switch, "a", frames.arp(A, ALL, A, IP_A, IP_B))
        guard(switch)
        shown = switch.ask(["ovs-ofctl", "--no-stats", "dump-flows", BRIDGE])
        assert "cookie=0x5" in shown
        assert "actions=NORMAL" in shown
    finally:
        switch.ask(["ovs-ofctl", "del-flows", BRIDGE, "cookie=0x5/-1"])


def test_a_change_is_made_whole_or_not_at_all(switch: RealOvs) -> None:
    guard(switch, guarded(A, WEB))
    table = OvsFlowTable(switch.ask)
    before = table.flows(BRIDGE)
    wrong = Flow(210, 1, ("dl_src=nonsense",), ())
    with pytest.raises(HostFault, match="nonsense"):
        table.change(BRIDGE, before, (Flow(210, 1, (), ()), wrong))
    assert table.flows(BRIDGE) == before


def test_a_port_is_sealed_and_opened(switch: RealOvs) -> None:
    table = OvsFlowTable(switch.ask)
    by_name = {one.name: one for one in table.ports(BRIDGE)}
    assert (by_name["a"].port_id, by_name["a"].number) == ("port-a", 2)
    assert by_name["a"].is_sealed
    assert by_name["plain"].is_access(15)
    assert not by_name["pf"].is_sealed
    table.place(by_name["a"], 15)
    assert {one.name: one for one in table.ports(BRIDGE)}["a"].is_access(15)
    table.place(by_name["a"], None)
    assert {one.name: one for one in table.ports(BRIDGE)}["a"] == by_name["a"]
    with pytest.raises(HostFault, match="no bridge br-none"):
        table.ports("br-none")
