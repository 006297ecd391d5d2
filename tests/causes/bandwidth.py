"""Causes that lie in what ports are promised: each has its bandwidth from the PF of its VF."""

from __future__ import annotations

from causes.case import Asked, Cause, Make, Mend, World
from fleet import ADMIN, pf_and_vfs
from lanekeeper.control.network.port import show_port, update_port
from lanekeeper.control.network.port_rules import PortChange
from lanekeeper.control.network.qos import create_policies, create_rule, update_rule
from lanekeeper.domain.network.qos import QosPolicyWanted, RuleType
from lanekeeper.protocol import BandwidthFact

_KIND = RuleType.MINIMUM_BANDWIDTH


def host(world: World, egress_kbps: int | None) -> None:
    fact = BandwidthFact(interface="ens21f0", egress_kbps=egress_kbps)
    world.fleet.host(
        "h1",
        pf_and_vfs("21", 4, physical_network="physnet1"),
        bandwidths=[fact] if egress_kbps is not None else [],
    )


def promised(world: World, network: str, kbps: int) -> str:
    """A port that is promised so much."""
    (policy,) = create_policies(world.fleet.site, ADMIN, [QosPolicyWanted(name="q")])
    create_rule(world.fleet.site, ADMIN, policy.id, _KIND, {"kbps": kbps})
    port = world.port(network)
    update_port(world.fleet.site, ADMIN, port, PortChange(values={"qos_policy_id": policy.id}))
    return port


def ports(carried: int | None, *asked: int, others: int = 0) -> Make:
    """Ports for a PF that carries so much; a server is there that holds *others* of it."""

    def make(world: World) -> Asked:
        host(world, carried)
        network = world.fleet.network("n")
        flavor = world.flavor()
        if others:
            world.create(Asked(flavor=flavor, ports=(promised(world, network, others),)))
        mine = tuple(promised(world, network, kbps) for kbps in asked)
        return Asked(flavor=flavor, ports=mine)

    return make


def carries(kbps: int) -> Mend:
    return lambda world, asked: host(world, kbps)


def lower(kbps: int) -> Mend:
    def mend(world: World, asked: Asked) -> None:
        for port in asked.ports:
            (rule,) = show_port(world.fleet.site, ADMIN, port).qos_rules
            update_rule(world.fleet.site, ADMIN, _KIND, rule.id, {"kbps": kbps})

    return mend


CAUSES = (
    Cause(
        id="bandwidth-uncounted",
        what="a port is promised bandwidth, and nobody has said what the PF carries",
        says="has free devices and no bandwidth: their PF has no bandwidth to promise",
        helps="say what the PF carries in [sriov_nic] resource_provider_bandwidths",
        make=ports(None, 3_000),
        mend=carries(3_000),
    ),
    Cause(
        id="bandwidth-left",
        what="a port is promised more than the PF of any free VF has left",
        says="PF ens21f0 has 2,000 of 10,000 kbit/s egress left, the port wants 3,000",
        helps="lower min_kbps of the port's minimum_bandwidth rule",
        make=ports(10_000, 3_000, others=8_000),
        mend=lower(2_000),
    ),
    Cause(
        id="bandwidth-together",
        what="ports of one server are promised more together than the PFs have left",
        says="together are promised more than the PFs of free devices have left, each port from "
        "one PF",
        helps="say that the PF carries more in [sriov_nic] resource_provider_bandwidths",
        make=ports(5_000, 3_000, 3_000),
        mend=carries(6_000),
    ),
)
