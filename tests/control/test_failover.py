"""Failover pairs: found a host that has both halves, bound, told, given up and refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from control.test_normal_port import boot, port_now, wanted
from fleet import ADMIN, MEMBER, Fleet, fleet, lab_devices
from lanekeeper.control.compute.explain import explain
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.question import Question
from lanekeeper.control.compute.server import delete_server
from lanekeeper.control.compute.server_attach import attach_card, detach_card
from lanekeeper.control.compute.server_nic import NicAsked
from lanekeeper.control.host.desired import desired_of, desired_stamp
from lanekeeper.control.host.host import report_state
from lanekeeper.control.network.guard_watch import GuardWatch
from lanekeeper.control.network.port import create_ports, update_port
from lanekeeper.control.network.port_rules import PortChange
from lanekeeper.control.network.qos import create_policies, create_rule
from lanekeeper.control.verify.verify import verify
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.compute.server import VmState
from lanekeeper.domain.errors import Conflict, Invalid
from lanekeeper.domain.network.port import PortRecord, PortWanted, VnicType
from lanekeeper.domain.network.qos import QosPolicyWanted, RuleType
from lanekeeper.protocol import HostState, ServerState
from lanekeeper.store.compute.server import server_get

pytestmark = pytest.mark.service

BRIDGES = {"physnet1": "br-ex"}


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path, hosts=0) as made:
        made.host("h0", lab_devices(), bridges=BRIDGES)  # its agent is older than pairs
        made.host("h1", lab_devices(), pairs=True)
        made.host("h2", lab_devices(), bridges=BRIDGES, guards=True, pairs=True)
        made.seen()
        create_flavor(made.site, Flavor(id="m1", name="m1", vcpus=1, ram_mib=64, disk_gib=1))
        yield made
        with made.site.database.read() as connection:
            assert [one for one in verify(connection) if not one.notice] == []


def pair(world: Fleet, network_id: str | None = None, **values: Any) -> PortRecord:
    asked = PortWanted(
        network_id=network_id or world.network(),
        vnic_type=VnicType.DIRECT,
        profile={"failover": "true"},
        **values,
    )
    return create_ports(world.site, ADMIN, [asked])[0]


def tell(world: Fleet, server_id: str, devices: list[str], taps: list[str]) -> None:
    with world.site.database.read() as connection:
        record = server_get(connection, server_id)
    assert record is not None
    guest = ServerState(
        id=server_id, power="running", generation=record.generation, devices=devices, taps=taps
    )
    report_state(world.site, world.hosts["h2"], HostState(servers=[guest]))


def test_it_goes_where_both_halves_are_and_has_both(world: Fleet) -> None:
    port = pair(world)
    made = boot(world, port)
    assert made.host_name == "h2"
    bound = port_now(world, port)
    assert (bound.vif_type, bound.status) == ("hw_veb", "BUILD")
    assert bound.vif_details["standby"] == {"bridge_name": "br-ex", "port_filter": True}
    assert bound.profile["failover"] == "true"
    assert bound.profile["pci_slot"].startswith("0000:21:")
    order = wanted(world)
    (vf,), (tap,) = order.nics, order.taps
    assert order.cards == [port.id]
    assert (vf.port_id, vf.mac, vf.vlan, vf.failover) == (port.id, port.mac, 15, True)
    assert (tap.port_id, tap.mac, tap.vlan, tap.failover) == (port.id, port.mac, 15, True)
    assert (tap.bridge, tap.model) == ("br-ex", "virtio")
    assert tap.guard is not None
    world.report(made.id, "running")
    assert port_now(world, port).status == "ACTIVE"
    tell(world, made.id, [], [port.id])  # its uplink is down: the VF is out
    assert port_now(world, port).status == "ACTIVE"
    assert wanted(world).nics == [vf]
    delete_server(world.site, MEMBER, made.id)
    world.report(made.id, "absent")
    free = port_now(world, port)
    assert (free.vif_type, free.vif_details, free.profile) == (
        "unbound",
        {},
        {"failover": "true"},
    )


def test_a_port_that_does_not_ask_has_a_vf_alone(world: Fleet) -> None:
    boot(world, world.port(world.network()))
    orders = [desired_of(world.site, host_id).servers for host_id in world.hosts.values()]
    ((order,),) = [one for one in orders if one]
    assert ([one.failover for one in order.nics], order.taps) == ([False], [])


def test_each_host_says_what_it_lacks(world: Fleet) -> None:
    port = pair(world)
    told = explain(world.site, ADMIN, Question(flavor="m1", ports=(port.id,)))
    assert [one.hosts for one in told.hosts if one.rank] == [("h2",)]
    said = {one.hosts[0]: one.verdicts[0] for one in told.hosts if one.rank is None}
    assert {verdict["filter"] for verdict in said.values()} == {"failover_pair"}
    assert "its agent, libvirt or QEMU is too old" in said["h0"]["reason"]
    assert "has no virtual switch on physnet1 for the card that stands by" in said["h1"]["reason"]
    assert "[ovs] bridge_mappings of this host (physnet1:BRIDGE)" in said["h1"]["remedy"]


def test_where_none_has_both_the_server_says_why(world: Fleet) -> None:
    port = pair(world, world.network("far", vlan=7, physical_network="physnet2"))
    for name in ("h0", "h1", "h2"):
        world.host(name, lab_devices(), mappings=("physnet2",), pairs=True)
    made = boot(world, port)
    assert made.vm_state == VmState.ERROR
    assert made.fault is not None
    assert "has no virtual switch on physnet2 for the card that stands by" in made.fault["message"]
    assert "cannot give a guest a failover pair on the port's network" in made.fault["told"]


def test_it_is_plugged_into_a_running_guest_and_out_again(world: Fleet) -> None:
    first = world.port(world.network())
    made = boot(world, first, host="h2")
    world.report(made.id, "running")
    port = pair(world, first.network_id)
    attached = attach_card(world.site, MEMBER, made.id, NicAsked(port_id=port.id))
    assert (attached.status, attached.bridge) == ("BUILD", "br-ex")
    world.report(made.id, "running")
    assert port_now(world, port).status == "ACTIVE"
    held = {one.port_id: one.device.address for one in wanted(world).nics}
    detach_card(world.site, MEMBER, made.id, port.id)
    order = wanted(world)
    assert (order.leaving, order.leaving_taps) == ([held[port.id]], [port.id])
    tell(world, made.id, [held[first.id]], [port.id])  # the VF went first
    assert port_now(world, port).device_id == made.id
    tell(world, made.id, [held[first.id]], [])
    assert port_now(world, port).device_id == ""


def test_a_host_without_the_other_half_is_given_no_pair(world: Fleet) -> None:
    first = world.port(world.network())
    made = boot(world, first, host="h1")
    world.report(made.id, "running")
    port = pair(world, first.network_id)
    with pytest.raises(Invalid, match="host h1, where the server is, has no virtual switch on"):
        attach_card(world.site, ADMIN, made.id, NicAsked(port_id=port.id))
    assert port_now(world, port).device_id == ""


def test_hosts_hear_of_what_guards_the_card_that_stands_by(world: Fleet) -> None:
    port = pair(world)
    boot(world, port)
    watch = GuardWatch(world.site)
    watch.look()
    before = desired_stamp(world.site, world.hosts["h2"])
    watch.look()
    assert desired_stamp(world.site, world.hosts["h2"]) == before
    (peer,) = create_ports(world.site, MEMBER, [PortWanted(network_id=port.network_id)])
    watch.look()
    assert desired_stamp(world.site, world.hosts["h2"]) != before
    members = desired_of(world.site, world.hosts["h2"]).members
    assert peer.fixed_ips[0].ip in next(iter(members.values()))


def test_what_the_two_cards_would_not_both_keep_is_refused(world: Fleet) -> None:
    (policy,) = create_policies(world.site, ADMIN, [QosPolicyWanted(name="slow")])
    create_rule(world.site, ADMIN, policy.id, RuleType.BANDWIDTH_LIMIT, {"kbps": 1000})
    limited = pair(world, qos_policy_id=policy.id)
    with pytest.raises(Conflict, match="rule bandwidth_limit of its QoS policy would not be kept"):
        boot(world, limited)
    port = pair(world, limited.network_id)
    with pytest.raises(Invalid, match="hw_vif_model=e1000: only a virtio card stands by"):
        boot(world, port, image_id=world.image(hw_vif_model="e1000"))
    with pytest.raises(Invalid, match=r"would not be enforced"):
        pair(world, limited.network_id, security_groups=(world.security_group("web"),))


@pytest.mark.parametrize(
    ("vnic_type", "said", "refusal"),
    [
        (VnicType.NORMAL, "true", "the port is of vnic type normal"),
        (VnicType.DIRECT, "perhaps", "is neither true nor false"),
    ],
)
def test_a_profile_that_asks_in_vain_is_refused_and_changes_nothing(
    world: Fleet, vnic_type: VnicType, said: str, refusal: str
) -> None:
    network_id = world.network()
    asked = PortWanted(network_id=network_id, vnic_type=vnic_type, profile={"failover": said})
    with pytest.raises(Invalid, match=refusal):
        create_ports(world.site, ADMIN, [asked])
    port = world.port(network_id, vnic_type=vnic_type)
    change = PortChange(values={"binding_profile": {"failover": said}})
    with pytest.raises(Invalid, match=refusal):
        update_port(world.site, ADMIN, port.id, change)
    assert port_now(world, port).profile == {}


def test_a_port_that_a_server_has_does_not_become_another_kind(world: Fleet) -> None:
    port = world.port(world.network())
    boot(world, port)
    change = PortChange(values={"binding_profile": {"failover": "true"}})
    with pytest.raises(Conflict, match="still in use"):
        update_port(world.site, ADMIN, port.id, change)
