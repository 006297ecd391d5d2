"""Ports that are made for a server: of the kind that flavor, image or configuration say."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from fleet import ADMIN, MEMBER, Fleet, fleet, lab_devices
from lanekeeper.control.compute.capacity import capacity
from lanekeeper.control.compute.explain import explain
from lanekeeper.control.compute.flavor import create_flavor, set_specs
from lanekeeper.control.compute.question import Question
from lanekeeper.control.compute.server import stop_server
from lanekeeper.control.compute.server_attach import attach_card
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_nic import NicAsked
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.host.desired import desired_of
from lanekeeper.control.image.image import NewImage, change_image, create_image, find_image
from lanekeeper.control.network.network import NetworkChange, update_network
from lanekeeper.control.network.port import list_ports
from lanekeeper.control.network.qos import create_policies, create_rule
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.errors import Conflict, Error, Forbidden, Invalid
from lanekeeper.domain.network.port import VnicType
from lanekeeper.domain.network.qos import QosPolicyWanted, RuleType
from lanekeeper.protocol import TapWanted
from lanekeeper.store.compute.server import ServerRecord

pytestmark = pytest.mark.service
SPEC, PROPERTY = "hw:vif_vnic_type", "hw_vif_vnic_type"


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    """One host with VFs alone, and one with a virtual switch and no device."""
    with fleet(database_url, tmp_path, hosts=0) as made:
        made.host("vfs", lab_devices())
        made.host("switch", [], bridges={"physnet1": "br-ex"})
        made.seen()
        create_flavor(made.site, Flavor(id="m1", name="m1", vcpus=1, ram_mib=64, disk_gib=1))
        yield made


def default(world: Fleet, **values: str) -> None:
    config = world.site.config
    own = structs.replace(config.lanekeeper, **values)
    world.site.config = structs.replace(config, lanekeeper=own)


def order(world: Fleet, *networks: str, groups: tuple[str, ...] = (), **image: Any) -> NewServer:
    return NewServer(
        name="s",
        flavor_id="m1",
        image_id=world.image(**image),
        networks=[NicAsked(network_id=one) for one in networks] or "none",
        security_groups=groups,
    )


def boot(world: Fleet, asked: NewServer) -> ServerRecord:
    """Create it, and make sure that the question about it had the same answer."""
    networks = tuple(one.network_id or "" for one in asked.networks if isinstance(one, NicAsked))
    question = Question(
        flavor="m1",
        image_id=asked.image_id,
        networks=networks,
        security_groups=tuple(asked.security_groups),
    )
    try:
        told = explain(world.site, MEMBER, question)
        room = capacity(world.site, ADMIN, question, most=1)
    except Error as error:
        with pytest.raises(type(error), match=re.escape(str(error))):
            create_servers(world.site, MEMBER, asked)
        raise
    (made,) = create_servers(world.site, MEMBER, asked)
    assert told.fits == (made.host_id is not None) == bool(room.count)
    return made


def taps(world: Fleet) -> list[TapWanted]:
    return [
        tap for one in desired_of(world.site, world.hosts["switch"]).servers for tap in one.taps
    ]


@pytest.mark.parametrize(
    ("configured", "flavor", "image", "made", "host"),
    [
        ("direct", None, None, "direct", "vfs"),
        ("normal", None, None, "normal", "switch"),
        ("direct", "normal", None, "normal", "switch"),
        ("direct", None, "normal", "normal", "switch"),
        ("normal", "direct", "direct", "direct", "vfs"),
        ("normal", "direct-physical", None, "direct-physical", None),
    ],
)
def test_flavor_image_or_configuration_say_which_kind_is_made(
    world: Fleet,
    configured: str,
    flavor: str | None,
    image: str | None,
    made: str,
    host: str | None,
) -> None:
    default(world, default_vnic_type=configured)
    if flavor:
        set_specs(world.site, "m1", {SPEC: flavor}, validated=False)
    said: dict[str, Any] = {PROPERTY: image} if image else {}
    server = boot(world, order(world, world.network(), **said))
    assert server.host_name == host
    kinds = [port.vnic_type for port in list_ports(world.site, ADMIN, {})]
    assert kinds == ([made] if host else [])  # no whole card is listed


def test_a_question_may_ask_for_another_kind_than_is_made(world: Fleet) -> None:
    network = world.network()
    for kind, host in ((None, "vfs"), (VnicType.NORMAL, "switch")):
        asked = Question(flavor="m1", networks=(network,), vnic_type=kind)
        told = explain(world.site, ADMIN, asked)
        assert [one.hosts for one in told.hosts if one.rank] == [(host,)]


def test_flavor_and_image_that_differ_are_refused(world: Fleet) -> None:
    set_specs(world.site, "m1", {SPEC: "normal"}, validated=False)
    said: dict[str, Any] = {PROPERTY: "direct"}
    with pytest.raises(Forbidden, match="differ"):
        boot(world, order(world, world.network(), **said))


def test_a_kind_that_no_host_carries_is_refused_when_it_is_set(world: Fleet) -> None:
    with pytest.raises(Invalid, match=f"{SPEC} 'vdpa' is none of"):
        set_specs(world.site, "m1", {SPEC: "vdpa"}, validated=False)
    wrong = {PROPERTY: "vf"}
    with pytest.raises(Invalid, match=f"{PROPERTY} 'vf' is none of"):
        create_image(world.site, MEMBER, NewImage(name="i", properties=wrong))
    right = create_image(world.site, MEMBER, NewImage(properties={PROPERTY: "normal"}))
    with pytest.raises(Invalid, match=f"{PROPERTY} 'vf' is none of"):
        change_image(world.site, MEMBER, right.id, lambda image: replace(image, properties=wrong))
    with world.site.database.read() as connection:
        assert find_image(connection, MEMBER, right.id).properties == {PROPERTY: "normal"}


def test_a_server_that_is_there_gets_such_a_port_on_a_network(world: Fleet) -> None:
    set_specs(world.site, "m1", {SPEC: "normal"}, validated=False)
    network = world.network()
    server = boot(world, order(world, network))
    world.report(server.id, "running")
    port = attach_card(world.site, MEMBER, server.id, NicAsked(network_id=network))
    assert (port.vnic_type, port.vif_type, port.host_name) == ("normal", "ovs", "switch")


def test_what_a_normal_port_would_not_keep_is_refused_before_it_is_made(world: Fleet) -> None:
    default(world, default_vnic_type="normal")
    network = world.network()
    (policy,) = create_policies(world.site, ADMIN, [QosPolicyWanted(name="slow")])
    create_rule(world.site, ADMIN, policy.id, RuleType.BANDWIDTH_LIMIT, {"kbps": 1000})
    update_network(world.site, ADMIN, network, NetworkChange(values={"qos_policy_id": policy.id}))
    with pytest.raises(Conflict, match=f"A normal port on network {network}: rule bandwidth_limit"):
        boot(world, order(world, network))
    assert not list_ports(world.site, ADMIN, {})


def test_a_guest_sees_its_normal_ports_as_its_image_wants(world: Fleet) -> None:
    default(world, default_vnic_type="normal")
    network = world.network()
    boot(world, order(world, network, hw_vif_model="VirtualE1000e"))
    boot(world, order(world, network))
    assert sorted(tap.model for tap in taps(world)) == ["e1000e", "virtio"]


def test_a_model_that_is_none_is_refused_where_a_normal_port_would_have_it(world: Fleet) -> None:
    network = world.network()
    wrong: dict[str, Any] = {"hw_vif_model": "VirtualVmxnet"}
    assert boot(world, order(world, network, **wrong)).host_name == "vfs"  # a VF has no model
    default(world, default_vnic_type="normal")
    with pytest.raises(Invalid, match="hw_vif_model='VirtualVmxnet'"):
        boot(world, order(world, network, **wrong))


def test_a_card_of_conventional_pci_waits_until_its_server_is_stopped(world: Fleet) -> None:
    default(world, default_vnic_type="normal")
    network = world.network()
    server = boot(world, order(world, network, hw_vif_model="rtl8139"))
    world.report(server.id, "running")
    with pytest.raises(Conflict, match="hw_vif_model=rtl8139, a card of conventional PCI"):
        attach_card(world.site, MEMBER, server.id, NicAsked(network_id=network))
    stop_server(world.site, MEMBER, server.id)
    world.report(server.id, "stopped")
    attach_card(world.site, MEMBER, server.id, NicAsked(network_id=network))
    assert [tap.model for tap in taps(world)] == ["rtl8139", "rtl8139"]
