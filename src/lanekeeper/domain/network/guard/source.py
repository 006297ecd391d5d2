"""Who a guarded port may say it is: in Ethernet, ARP, IPv4, IPv6 and neighbour discovery.

Source: neutron ``agent/linux/openvswitch_firewall/firewall.py``, _initialize_egress; RFC 826,
RFC 5227 (probes), RFC 4861, RFC 4862 (duplicate addresses), RFC 3810 (MLD).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from lanekeeper.domain.network.address import slaac_address
from lanekeeper.domain.network.guard.flow import Flow
from lanekeeper.domain.network.guard.guarded import Guarded
from lanekeeper.domain.network.guard.table import OUT, SENT, SOURCE, go, port

_NEVER, _SELF, _SELF_ELSE, _DATA = 100, 80, 60, 40
_LINK_LOCAL = ipaddress.IPv6Network("fe80::/64")
_NO_MAC, _UNSPECIFIED = "00:00:00:00:00:00", "::"
_SOLICIT_ROUTER, _SOLICIT, _ADVERTISE = 133, 135, 136
_MULTICAST_REPORTS = (131, 132, 143)
_SERVES = (
    ("udp", "tp_src=67", "tp_dst=68"),  # a DHCP server
    ("udp6", "tp_src=547", "tp_dst=546"),
    ("icmp6", "icmp_type=134"),  # a router
    ("icmp6", "icmp_type=137"),
)


def common() -> Iterator[Flow]:
    """What holds for every guarded port: no guest is a DHCP server or a router."""
    for match in _SERVES:
        yield Flow(SOURCE, _NEVER, match, ())
    for kind in (_SOLICIT_ROUTER, _SOLICIT, _ADVERTISE, *_MULTICAST_REPORTS):
        yield Flow(SOURCE, _SELF_ELSE, ("icmp6", f"icmp_type={kind}"), ())


def flows(one: Guarded) -> Iterator[Flow]:
    """What *one* may send at all; its rules judge of that what is data."""
    for mac in one.macs:
        mine = [prefix for owner, prefix in one.sources if owner == mac]
        four = [prefix for prefix in mine if ":" not in prefix]
        own = slaac_address(_LINK_LOCAL, mac)
        six = list(dict.fromkeys((own, *(prefix for prefix in mine if ":" in prefix))))
        yield from _version_4(one, mac, four)
        yield from _version_6(one, mac, six)


def _version_4(one: Guarded, mac: str, prefixes: list[str]) -> Iterator[Flow]:
    sent = (port(one.number), f"dl_src={mac}")
    arp = ("arp", *sent, f"arp_sha={mac}")
    yield Flow(SOURCE, _SELF, (*arp, "arp_spa=0.0.0.0", "arp_op=1"), (go(OUT),))
    dhcp = ("udp", *sent, "tp_src=68", "tp_dst=67")
    for source in dict.fromkeys(("0.0.0.0", *prefixes)):  # noqa: S104  # none yet
        yield Flow(SOURCE, _SELF, (*dhcp, f"nw_src={source}"), (go(OUT),))
    for prefix in prefixes:
        yield Flow(SOURCE, _SELF, (*arp, f"arp_spa={prefix}"), (go(OUT),))
        yield Flow(SOURCE, _DATA, ("ip", *sent, f"nw_src={prefix}"), (go(SENT),))


def _version_6(one: Guarded, mac: str, prefixes: list[str]) -> Iterator[Flow]:
    sent = (port(one.number), f"dl_src={mac}")
    own = f"ipv6_src={prefixes[0]}"
    dhcp = ("udp6", *sent, own, "tp_src=546", "tp_dst=547")
    yield Flow(SOURCE, _SELF, dhcp, (go(OUT),))

    def itself(kind: int, *match: str) -> Flow:
        return Flow(SOURCE, _SELF, ("icmp6", *sent, f"icmp_type={kind}", *match), (go(OUT),))

    nobody = f"ipv6_src={_UNSPECIFIED}"
    yield itself(_SOLICIT, nobody, f"nd_sll={_NO_MAC}")
    for kind in (_SOLICIT_ROUTER, *_MULTICAST_REPORTS):
        for source in (nobody, own):
            yield itself(kind, source)
    for prefix in prefixes:
        source = f"ipv6_src={prefix}"
        for mac_told in (_NO_MAC, mac):
            yield itself(_SOLICIT, source, f"nd_sll={mac_told}")
            for target in prefixes:
                yield itself(_ADVERTISE, source, f"nd_target={target}", f"nd_tll={mac_told}")
        yield Flow(SOURCE, _DATA, ("ipv6", *sent, source), (go(SENT),))
