"""Guarded ports: what passes by the flows is what rules and addresses say, packet by packet."""

from __future__ import annotations

import ipaddress
from typing import Any, Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from campaign import size
from domain.network.flow_switch import ARP, IP, IPV6, NORMAL, FlowSwitch, Packet, ends
from lanekeeper.domain.network.guard.bridge import bridge_flows
from lanekeeper.domain.network.guard.flow import MARK, MASK
from lanekeeper.domain.network.guard.guarded import Beside, Direction, Guarded, Guards, Rule
from lanekeeper.domain.network.guard.rule_flows import masks

CARD, PLAIN = 1, 9
A, B, WEB = "fa:16:3e:00:00:0a", "fa:16:3e:00:00:0b", "00:00:5e:00:01:01"
OUTSIDE = "52:54:00:00:00:01"
IN, OUT = Direction.INGRESS, Direction.EGRESS
GROUP_MAC = "ff:ff:ff:ff:ff:ff"
ALL_OUT = (Rule(direction=OUT), Rule(direction=OUT, version=6))
FOUR = {A: "10.0.0.10", B: "10.0.0.11", OUTSIDE: "10.0.0.99", WEB: "10.0.0.100"}
SIX = {A: "2001:db8::a", B: "2001:db8::b", OUTSIDE: "2001:db8::99", WEB: "2001:db8::100"}
LINK_LOCAL = {A: "fe80::f816:3eff:fe00:a", B: "fe80::f816:3eff:fe00:b"}


def guarded(mac: str, *rules: Rule, vlan: int = 15, **more: Any) -> Guarded:
    number = {A: 2, B: 3}[mac]
    told = {"sources": ((mac, FOUR[mac]), (mac, SIX[mac])), "rules": (*ALL_OUT, *rules)} | more
    return Guarded(number=number, zone=100 + number, vlan=vlan, mac=mac, **told)


def switch(*ports: Guarded, members: dict[str, tuple[str, ...]] | None = None) -> FlowSwitch:
    beside = (Beside(number=CARD), Beside(number=PLAIN, untagged=ports[0].vlan, tagged=frozenset()))
    return FlowSwitch(bridge_flows(Guards(ports=ports, beside=beside, members=members or {})))


def ip(src: str, dst: str, protocol: int = 6, **more: Any) -> Packet:
    """A packet from whoever has MAC *src*; from the card where that is nobody here."""
    ports = {"tp_src": 40000, "tp_dst": 80} if protocol in (6, 17, 132) else {}
    where = {A: 2, B: 3}.get(src, CARD)
    told = {"dl_src": src, "dl_dst": dst, "dl_type": IP, "nw_proto": protocol, **ports}
    told |= {"nw_src": FOUR[src], "nw_dst": FOUR[dst], "in_port": where}
    return told | ({"dl_vlan": 15} if where == CARD else {}) | more


def answer(packet: Packet, in_port: int, **more: Any) -> Packet:
    """What goes back; with *more*, as a tag."""
    ips = (("nw_src", "nw_dst"), ("ipv6_src", "ipv6_dst"))
    pairs = (("dl_src", "dl_dst"), *ips, ("tp_src", "tp_dst"))
    turned = {name: packet[other] for pair in pairs for name, other in (pair, pair[::-1])
              if other in packet}  # fmt: skip
    kept = {name: packet[name] for name in ("dl_type", "nw_proto")}
    return kept | turned | {"in_port": in_port} | more


def test_what_no_rule_allows_does_not_come_in_and_answers_do() -> None:
    one = switch(guarded(A))
    assert one.send(ip(OUTSIDE, A)) == set()
    asked = ip(A, OUTSIDE)
    assert one.send(asked) == {(NORMAL, 15)}
    assert one.send(answer(asked, CARD, dl_vlan=15)) == {(2, None)}
    assert one.send(answer(asked, CARD, dl_vlan=16)) == {(NORMAL, 16)}  # of another network
    assert one.send(answer(asked, CARD, dl_vlan=15, tp_dst=40001)) == set()


def test_a_port_that_is_allowed_is_and_the_guest_answers() -> None:
    rules = (Rule(direction=IN, protocol=6, first=80, last=81),)
    one = switch(guarded(A, *rules, rules=rules))  # the guest may begin nothing
    assert one.send(ip(OUTSIDE, A)) == {(2, None)}
    assert one.send(answer(ip(OUTSIDE, A), 2)) == {(NORMAL, 15)}
    assert one.send(ip(OUTSIDE, A, tp_dst=82)) == set()
    assert one.send(ip(OUTSIDE, A, protocol=17)) == set()
    assert one.send(ip(A, OUTSIDE)) == set()


def test_a_rule_that_is_gone_ends_its_connections_too() -> None:
    rule = Rule(direction=IN, protocol=6, first=80, last=80)
    before, after = switch(guarded(A, rule)), switch(guarded(A))
    asked = ip(OUTSIDE, A)
    assert before.send(asked) == {(2, None)}
    after.conntrack = before.conntrack
    assert after.send(answer(asked, 2)) == {(NORMAL, 15)}  # until its other end is heard of
    assert after.send(asked) == set()
    assert after.send(answer(asked, 2)) == set()
    before.conntrack = after.conntrack
    assert before.send(asked) == {(2, None)}
    assert before.send(answer(asked, 2)) == {(NORMAL, 15)}


def test_guests_of_one_bridge_meet_and_each_is_judged_by_its_own_rules() -> None:
    group: dict[str, tuple[str, ...]] = {"g": (FOUR[A], SIX[A])}
    rule = Rule(direction=IN, protocol=6, first=80, last=80, group="g")
    one = switch(guarded(A), guarded(B, rule), members=group)
    asked = ip(A, B)
    assert one.send(asked) == {(3, None)}
    assert one.send(answer(asked, 3)) == {(2, None)}
    assert one.send(ip(A, B, tp_dst=81)) == set()
    assert one.send(ip(B, A)) == set()
    assert one.send(ip(OUTSIDE, B)) == set()  # no member
    nobody = switch(guarded(A), guarded(B, rule), members={})
    assert nobody.send(asked) == set()


def test_a_port_without_guard_meets_a_guarded_one_by_its_rules() -> None:
    rule = Rule(direction=IN, protocol=6, first=80, last=80)
    one = switch(guarded(A, rule))
    untagged = {name: value for name, value in ip(OUTSIDE, A).items() if name != "dl_vlan"}
    assert one.send(untagged | {"in_port": PLAIN}) == {(2, None)}
    assert one.send(untagged | {"in_port": PLAIN, "tp_dst": 81}) == set()
    # An access port takes no tags, a trunk has no untagged frames of a VLAN: the switch's business.
    assert one.send(ip(OUTSIDE, A, in_port=PLAIN)) == {(NORMAL, 15)}
    assert one.send(untagged) == {(NORMAL, None)}


def test_a_flat_network_has_no_tag_anywhere() -> None:
    rule = Rule(direction=IN, protocol=6, first=80, last=80)
    one = switch(guarded(A, rule, vlan=0))
    asked = {name: value for name, value in ip(OUTSIDE, A).items() if name != "dl_vlan"}
    assert one.send(asked) == {(2, None)}
    assert one.send(answer(asked, 2)) == {(NORMAL, None)}
    assert one.send(ip(OUTSIDE, A)) == {(NORMAL, 15)}


def test_a_spoofed_sender_does_not_pass() -> None:
    one = switch(guarded(A), guarded(B))
    assert one.send(ip(A, OUTSIDE)) == {(NORMAL, 15)}
    for spoofed in (
        {"dl_src": OUTSIDE},
        {"dl_src": B},
        {"nw_src": FOUR[B]},
        {"dl_vlan": 16},
        {"dl_vlan": 15},
        {"dl_type": 0x88CC},
    ):
        assert one.send(ip(A, OUTSIDE) | spoofed) == set(), spoofed


def arp(**more: Any) -> Packet:
    told = {"in_port": 2, "dl_src": A, "dl_dst": GROUP_MAC, "dl_type": ARP, "arp_op": 1}
    return told | {"arp_sha": A, "arp_spa": FOUR[A]} | more


def test_arp_is_true_or_does_not_pass() -> None:
    one = switch(guarded(A), guarded(B))
    assert one.send(arp()) == {(NORMAL, 15), (3, None)}
    assert one.send(arp(arp_spa="0.0.0.0")) == {(NORMAL, 15), (3, None)}
    assert one.send(arp(dl_dst=B, arp_op=2)) == {(3, None)}
    for spoofed in (
        {"arp_spa": FOUR[B]},
        {"arp_sha": B},
        {"dl_src": B},
        {"arp_spa": "0.0.0.0", "arp_op": 2},
    ):
        assert one.send(arp(**spoofed)) == set(), spoofed
    asked = arp(dl_src=OUTSIDE, arp_sha=OUTSIDE, in_port=CARD, dl_vlan=15)
    assert one.send(asked) == {(NORMAL, 15), (2, None), (3, None)}


def icmp6(kind: int, **more: Any) -> Packet:
    told = {"in_port": 2, "dl_src": A, "dl_dst": B, "dl_type": IPV6, "nw_proto": 58}
    told |= {"ipv6_src": LINK_LOCAL[A], "ipv6_dst": SIX[B], "icmp_type": kind, "icmp_code": 0}
    return told | more


def test_neighbour_discovery_is_true_or_does_not_pass() -> None:
    one = switch(guarded(A), guarded(B))
    none = "00:00:00:00:00:00"
    for true in (
        icmp6(135, nd_target=SIX[B], nd_sll=A),
        icmp6(135, nd_target=SIX[A], nd_sll=none, ipv6_src="::"),
        icmp6(136, nd_target=SIX[A], nd_tll=A),
        icmp6(136, nd_target=LINK_LOCAL[A], nd_tll=none, ipv6_src=SIX[A]),
    ):
        assert one.send(true) == {(3, None)}, true
    for spoofed in (
        icmp6(135, nd_target=SIX[B], nd_sll=B),
        icmp6(135, nd_target=SIX[B], nd_sll=A, ipv6_src="::"),
        icmp6(135, nd_target=SIX[B], nd_sll=A, ipv6_src=SIX[B]),
        icmp6(136, nd_target=SIX[B], nd_tll=A),
        icmp6(136, nd_target=SIX[A], nd_tll=B),
        icmp6(136, nd_target=SIX[A], nd_tll=A, dl_src=B),
        icmp6(134),
        icmp6(137),
    ):
        assert one.send(spoofed) == set(), spoofed
    advertised = icmp6(134, in_port=CARD, dl_vlan=15, dl_src=OUTSIDE, ipv6_src="fe80::1")
    assert one.send(advertised) == {(3, None)}  # a router out there is one


def test_a_guest_asks_for_an_address_and_gives_none() -> None:
    one = switch(guarded(A, rules=()), guarded(B))
    asks = {"nw_src": "0.0.0.0", "nw_dst": "255.255.255.255", "dl_dst": GROUP_MAC}
    asked = ip(A, OUTSIDE, 17, tp_src=68, tp_dst=67) | asks
    assert (NORMAL, 15) in one.send(asked)
    assert one.send(asked | {"nw_src": FOUR[B]}) == set()
    assert one.send(ip(OUTSIDE, A, 17, tp_src=67, tp_dst=68)) == {(2, None)}
    assert one.send(ip(B, A, 17, tp_src=67, tp_dst=68)) == set()


def test_an_allowed_pair_lets_a_guest_be_somebody_else_too() -> None:
    sources = ((A, FOUR[A]), (A, "10.1.0.0/16"), (WEB, FOUR[WEB]))
    rule = Rule(direction=IN, protocol=6, first=80, last=80)
    one = switch(guarded(A, rule, sources=sources), guarded(B))
    assert one.send(ip(A, OUTSIDE, nw_src="10.1.2.3")) == {(NORMAL, 15)}
    shared = ip(A, OUTSIDE, dl_src=WEB, nw_src=FOUR[WEB])
    assert one.send(shared) == {(NORMAL, 15)}
    assert one.send(shared | {"nw_src": FOUR[A]}) == set()  # not with that MAC
    # The address may be with another host: who asks for it here asks there, too.
    assert one.send(ip(B, WEB)) == {(2, None), (NORMAL, 15)}
    assert one.send(ip(OUTSIDE, WEB)) == {(2, None), (NORMAL, 15)}


def test_a_rule_without_state_lets_no_answer_pass() -> None:
    rule = Rule(direction=IN, protocol=17, first=53, last=53, stateful=False)
    one = switch(guarded(A, rules=(rule,)))
    asked = ip(OUTSIDE, A, 17, tp_dst=53)
    assert one.send(asked) == {(2, None)}
    assert one.send(answer(asked, 2)) == set()
    assert not one.conntrack.marks


def test_flows_that_do_not_change_keep_their_cookies() -> None:
    rule = Rule(direction=IN, protocol=6, first=80, last=80, group="g")
    few = bridge_flows(Guards(ports=(guarded(A, rule),), members={"g": (FOUR[B],)}))
    more = bridge_flows(Guards(ports=(guarded(A, rule),), members={"g": (FOUR[B], "10.0.0.12")}))
    (new,) = {one.cookie for one in more} - {one.cookie for one in few}
    assert {one.cookie for one in few} < {one.cookie for one in more}
    assert new & MASK == MARK
    assert bridge_flows(Guards(beside=(Beside(number=1),))) == ()


def test_a_fragment_without_ports_does_not_end_its_connection() -> None:
    one = switch(guarded(A, Rule(direction=IN, protocol=17, first=53, last=53)))
    asked = ip(OUTSIDE, A, 17, tp_dst=53)
    assert one.send(asked) == {(2, None)}
    part = ip(OUTSIDE, A, 17, tp_src=0, tp_dst=0, nw_frag="later")
    one.conntrack.marks[102, *ends(part)] = 0
    assert one.send(part) == set()
    assert set(one.conntrack.marks.values()) == {0}


@given(st.integers(0, 65535), st.integers(0, 65535))
def test_masks_cover_a_range_and_nothing_else(one: int, other: int) -> None:
    first, last = sorted((one, other))
    parts = list(masks(first, last))
    assert sum(0x10000 - mask for _, mask in parts) == last - first + 1
    for port in {first, last, (first + last) // 2, max(first - 1, 0), min(last + 1, 65535)}:
        assert any(port & mask == value for value, mask in parts) == (first <= port <= last)
    assert len(parts) <= 30


# What the flows say is what the rules say ---------------------------------------------------------

PREFIXES = {4: (None, "10.0.0.0/24", "10.0.0.99", "0.0.0.0/0"), 6: (None, "2001:db8::/64", "::/0")}
MEMBERS = {"g": (FOUR[A], SIX[B]), "h": (FOUR[OUTSIDE], "10.0.0.8/30"), "all": ("0.0.0.0/0",)}


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    version: Literal[4, 6] = draw(st.sampled_from((4, 6)))
    protocol = draw(st.sampled_from((None, 6, 17, 132, 47, 1, 58)))
    first, last = None, None
    if protocol in (1, 58):
        first = draw(st.sampled_from((None, 0, 8)))
        last = draw(st.sampled_from((None, 0))) if first is not None else None
    elif protocol in (6, 17, 132) and draw(st.booleans()):
        first, last = sorted(draw(st.tuples(*[st.sampled_from((0, 79, 80, 443, 65535))] * 2)))
    group = draw(st.sampled_from((None, "g", "h", "all", "nobody")))
    prefix = None if group else draw(st.sampled_from(PREFIXES[version]))
    stateful, direction = draw(st.booleans()), draw(st.sampled_from((IN, OUT)))
    return Rule(
        direction=direction, version=version, protocol=protocol, first=first, last=last,
        prefix=prefix, group=group, stateful=stateful,
    )  # fmt: skip


@st.composite
def packets(draw: st.DrawFn) -> Packet:
    src, dst = draw(st.permutations((A, B, OUTSIDE)))[:2]
    protocol = draw(st.sampled_from((6, 17, 132, 47, 1, 58)))
    packet = ip(src, dst, protocol)
    if protocol in (6, 17, 132):
        packet["tp_dst"] = draw(st.sampled_from((0, 1, 79, 80, 81, 443, 65535)))
    elif protocol in (1, 58):
        packet |= {"icmp_type": draw(st.sampled_from((0, 8))), "icmp_code": draw(st.integers(0, 1))}
    if draw(st.booleans()):
        del packet["nw_src"], packet["nw_dst"]
        packet |= {"dl_type": IPV6, "ipv6_src": SIX[src], "ipv6_dst": SIX[dst]}
    if draw(st.integers(0, 4)) == 0:
        name = "ipv6_src" if packet["dl_type"] == IPV6 else "nw_src"
        packet[name] = draw(st.sampled_from(list((SIX if name == "ipv6_src" else FOUR).values())))
    return packet


def allows(one: Guarded, packet: Packet, direction: Direction) -> bool:
    """The rules, read as they are written."""
    version = 6 if packet["dl_type"] == IPV6 else 4
    end = ("ipv6_" if version == 6 else "nw_") + ("src" if direction is IN else "dst")
    other = ipaddress.ip_address(packet[end])
    names = ("icmp_type", "icmp_code") if "icmp_type" in packet else ("tp_dst", "tp_dst")

    def passes(rule: Rule) -> bool:
        sides = MEMBERS.get(rule.group, ()) if rule.group else (rule.prefix,)
        if (rule.direction, rule.version) != (direction, version):
            return False
        if not any(side is None or other in ipaddress.ip_network(side) for side in sides):
            return False
        if rule.protocol not in (None, packet["nw_proto"]):
            return False
        if rule.protocol in (1, 58):
            is_own = (rule.protocol == 58) == (version == 6)
            said = zip((rule.first, rule.last), names, strict=True)
            return not is_own or all(want in (None, packet[name]) for want, name in said)
        return rule.first is None or rule.first <= packet["tp_dst"] <= (rule.last or 0)

    return any(passes(rule) for rule in one.rules)


def verdict(ports: dict[str, Guarded], packet: Packet) -> set[tuple[int | str, int | None]]:
    """Where a packet that begins a connection goes."""
    sender, taker = ports.get(packet["dl_src"]), ports.get(packet["dl_dst"])
    source = packet.get("nw_src") or packet["ipv6_src"]
    if sender is not None:
        own = {prefix for mac, prefix in sender.sources if mac == packet["dl_src"]}
        if source not in own or not allows(sender, packet, OUT):
            return set()
    if taker is None:
        return {(NORMAL, 15)}
    return {(taker.number, None)} if allows(taker, packet, IN) else set()


@settings(max_examples=size(200, 2000))
@given(
    st.lists(rules(), max_size=6), st.lists(rules(), max_size=6), st.lists(packets(), max_size=4)
)
def test_the_flows_let_pass_what_the_rules_do(
    of_a: list[Rule], of_b: list[Rule], sent: list[Packet]
) -> None:
    ports = {A: guarded(A, rules=tuple(of_a)), B: guarded(B, rules=tuple(of_b))}
    one = switch(*ports.values(), members=MEMBERS)
    for packet in sent:
        one.conntrack.marks.clear()
        assert one.send(packet) == verdict(ports, packet), packet
