"""Ports of a virtual switch: found a host, bound, plugged and let go of, without any device."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from fleet import ADMIN, MEMBER, Fleet, fleet, lab_devices
from lanekeeper.control.compute.explain import explain
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.question import Question
from lanekeeper.control.compute.server import delete_server, start_server, stop_server
from lanekeeper.control.compute.server_attach import attach_card, detach_card
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_nic import NicAsked
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.host.desired import desired_of
from lanekeeper.control.host.host import report_state
from lanekeeper.control.network.network import NetworkChange, update_network
from lanekeeper.control.network.port import create_ports, show_port, update_port
from lanekeeper.control.network.port_rules import PortChange
from lanekeeper.control.network.qos import create_policies, create_rule
from lanekeeper.control.verify.verify import verify
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.compute.server import VmState
from lanekeeper.domain.errors import Conflict, Invalid
from lanekeeper.domain.network.port import PortRecord, PortWanted, VnicType
from lanekeeper.domain.network.qos import QosPolicyWanted, RuleType
from lanekeeper.protocol import HostState, ServerState, ServerWanted
from lanekeeper.store.compute.server import ServerRecord, server_get

pytestmark = pytest.mark.service


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path, hosts=0) as made:
        made.host("h1", lab_devices())
        made.host("h2", lab_devices(), bridges={"physnet1": "br-ex"})
        made.seen()
        create_flavor(made.site, Flavor(id="m1", name="m1", vcpus=1, ram_mib=64, disk_gib=1))
        yield made
        with made.site.database.read() as connection:
            assert [one for one in verify(connection) if not one.notice] == []


def boot(
    world: Fleet,
    *ports: PortRecord,
    name: str = "s",
    image_id: str = "",
    host: str | None = None,
) -> ServerRecord:
    """Order a server with *ports*; an admin's, on *host*, where one is named."""
    asked = NewServer(
        name=name,
        flavor_id="m1",
        image_id=image_id or world.image(),
        networks=[NicAsked(port_id=port.id) for port in ports] or "none",
        host=host,
    )
    (made,) = create_servers(world.site, ADMIN if host else MEMBER, asked)
    return made


def normal(world: Fleet, network_id: str | None = None) -> PortRecord:
    return world.port(network_id or world.network(), vnic_type=VnicType.NORMAL)


def port_now(world: Fleet, port: PortRecord) -> PortRecord:
    return show_port(world.site, ADMIN, port.id)


def wanted(world: Fleet) -> ServerWanted:
    (one,) = desired_of(world.site, world.hosts["h2"]).servers
    return one


def test_it_goes_where_a_switch_is_and_lives_as_its_guest_does(world: Fleet) -> None:
    network_id = world.network()
    vf, port = world.port(network_id), normal(world, network_id)
    made = boot(world, port, vf)
    assert made.host_name == "h2"
    bound = port_now(world, port)
    assert (bound.vif_type, bound.status, bound.host_name) == ("ovs", "BUILD", "h2")
    assert bound.vif_details["bridge_name"] == "br-ex"
    assert bound.vif_details["bound_drivers"] == {"0": "openvswitch"}
    assert bound.profile == {}
    server = wanted(world)
    (tap,) = server.taps
    assert (tap.port_id, tap.mac, tap.bridge, tap.vlan, tap.link) == (
        port.id,
        port.mac,
        "br-ex",
        15,
        True,
    )
    assert server.cards == [port.id, vf.id]
    world.report(made.id, "running")
    assert port_now(world, port).status == "ACTIVE"
    stop_server(world.site, MEMBER, made.id)
    world.report(made.id, "stopped")
    assert port_now(world, port).status == "DOWN"
    start_server(world.site, MEMBER, made.id)
    world.report(made.id, "running")
    assert port_now(world, port).status == "ACTIVE"
    delete_server(world.site, MEMBER, made.id)
    world.report(made.id, "absent")
    free = port_now(world, port)
    assert (free.device_id, free.vif_type, free.vif_details) == ("", "unbound", {})


def test_nowhere_is_a_switch_on_its_network(world: Fleet) -> None:
    port = normal(world, world.network("far", vlan=7, physical_network="physnet2"))
    made = boot(world, port)
    assert made.vm_state == VmState.ERROR
    assert made.fault is not None
    assert "has no virtual switch on physnet2 for a normal port" in made.fault["message"]
    assert "has no virtual switch for a normal port" in made.fault["told"]
    assert "--vnic-type direct" in made.fault["told"]


def test_a_dry_run_says_the_same(world: Fleet) -> None:
    port = normal(world)
    told = explain(world.site, ADMIN, Question(flavor="m1", ports=(port.id,)))
    assert told.fits
    assert [one.hosts for one in told.hosts if one.rank] == [("h2",)]
    (refused,) = [one for one in told.hosts if one.rank is None]
    assert refused.verdicts[0]["filter"] == "virtual_switch"


def test_it_is_plugged_into_a_running_guest_and_out_again(world: Fleet) -> None:
    network_id = world.network()
    first, port = normal(world, network_id), normal(world, network_id)
    made = boot(world, first)
    world.report(made.id, "running")
    before = wanted(world).generation
    attached = attach_card(world.site, MEMBER, made.id, NicAsked(port_id=port.id))
    assert (attached.device_id, attached.status, attached.vif_type) == (made.id, "BUILD", "ovs")
    assert wanted(world).generation > before
    assert [tap.port_id for tap in wanted(world).taps] == [first.id, port.id]
    world.report(made.id, "running")
    assert port_now(world, port).status == "ACTIVE"

    detach_card(world.site, MEMBER, made.id, port.id)
    assert wanted(world).leaving_taps == [port.id]
    tell(world, made.id, first, port)  # it has not let go yet
    assert port_now(world, port).device_id == made.id
    with pytest.raises(Conflict, match="in use"):
        boot(world, port)
    tell(world, made.id, first)
    assert port_now(world, port).device_id == ""
    assert wanted(world).leaving_taps == []
    assert port_now(world, first).status == "ACTIVE"


def tell(world: Fleet, server_id: str, *taps: PortRecord) -> None:
    with world.site.database.read() as connection:
        record = server_get(connection, server_id)
    assert record is not None
    guest = ServerState(
        id=server_id,
        power="running",
        generation=record.generation,
        taps=[one.id for one in taps],
    )
    report_state(world.site, world.hosts["h2"], HostState(servers=[guest]))


def test_a_host_without_a_switch_is_given_no_such_card(world: Fleet) -> None:
    vf = world.port(world.network())
    made = boot(world, vf, host="h1")
    world.report(made.id, "running")
    port = normal(world, vf.network_id)
    with pytest.raises(Invalid, match="host h1, where the server is, has no virtual switch on"):
        attach_card(world.site, ADMIN, made.id, NicAsked(port_id=port.id))
    with pytest.raises(Invalid, match="the server's host has no virtual switch for a normal port"):
        attach_card(world.site, MEMBER, made.id, NicAsked(port_id=port.id))
    assert port_now(world, port).device_id == ""


def test_a_server_with_groups_goes_where_they_are_enforced(world: Fleet) -> None:
    group_id = world.security_group("web")
    wanted = PortWanted(network_id=world.network(), security_groups=(group_id,))
    (port, other) = create_ports(world.site, MEMBER, [wanted, wanted])
    refused = boot(world, port)
    assert refused.fault is not None
    assert "their security groups would not be enforced" in refused.fault["message"]
    assert "does not enforce security groups of normal ports" in refused.fault["told"]
    plain = boot(world, normal(world, port.network_id))  # the default group asks for nothing
    assert plain.host_name == "h2"
    world.report(plain.id, "running")
    with pytest.raises(Invalid, match="its host filters no packets of normal ports"):
        attach_card(world.site, MEMBER, plain.id, NicAsked(port_id=other.id))
    world.host("h3", lab_devices(), bridges={"physnet1": "br-ex"}, guards=True)
    world.seen()
    assert boot(world, other).host_name == "h3"
    assert port_now(world, other).vif_details["port_filter"] is True


def test_without_a_filter_groups_are_taken_where_the_operator_says_so(world: Fleet) -> None:
    group_id = world.security_group("web")
    wanted = PortWanted(network_id=world.network(), security_groups=(group_id,))
    (port,) = create_ports(world.site, MEMBER, [wanted])
    config = world.site.config
    world.site.config = structs.replace(
        config, lanekeeper=structs.replace(config.lanekeeper, vf_security_groups="ignore")
    )
    assert boot(world, port).host_name == "h2"
    assert port_now(world, port).vif_details["port_filter"] is False


def test_a_rule_that_no_switch_applies_is_refused_when_a_server_takes_the_port(
    world: Fleet,
) -> None:
    (policy,) = create_policies(world.site, ADMIN, [QosPolicyWanted(name="slow")])
    create_rule(world.site, ADMIN, policy.id, RuleType.BANDWIDTH_LIMIT, {"kbps": 1000})
    wanted = PortWanted(network_id=world.network(), qos_policy_id=policy.id)
    (port,) = create_ports(world.site, ADMIN, [wanted])
    with pytest.raises(Conflict, match="rule bandwidth_limit of its QoS policy would not be kept"):
        boot(world, port)


def test_what_no_switch_keeps_is_refused_of_a_port_that_is_on_one(world: Fleet) -> None:
    port = normal(world)
    boot(world, port)
    change = PortChange(values={"security_groups": [world.security_group("web")]})
    with pytest.raises(Invalid, match="would not be enforced"):
        update_port(world.site, ADMIN, port.id, change)
    (policy,) = create_policies(world.site, ADMIN, [QosPolicyWanted(name="slow")])
    change = PortChange(values={"qos_policy_id": policy.id})
    update_port(world.site, ADMIN, port.id, change)  # it asks for nothing yet
    with pytest.raises(Conflict, match="would not be kept"):
        create_rule(world.site, ADMIN, policy.id, RuleType.BANDWIDTH_LIMIT, {"kbps": 1000})


def test_the_vlan_of_a_network_stays_while_a_normal_port_is_on_it(world: Fleet) -> None:
    port = normal(world)
    boot(world, port)
    with pytest.raises(Invalid, match=f"while ports are bound: {port.id}"):
        update_network(world.site, ADMIN, port.network_id, NetworkChange(vlan=77))
    assert wanted(world).taps[0].vlan == 15
