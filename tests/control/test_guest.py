"""What a server wants from its host, down to the files of its config drive."""

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from fleet import ADMIN, MEMBER, Fleet, fleet
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.keypair import delete_keypair, import_keypair
from lanekeeper.control.compute.server import delete_server, stop_server
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_nic import NicAsked
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.host.desired import desired_of
from lanekeeper.control.network.port import update_port
from lanekeeper.control.network.port_rules import PortChange
from lanekeeper.control.network.qos import create_policies, create_rule, delete_rule, update_rule
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.errors import Invalid, NotOffered
from lanekeeper.domain.network.qos import QosPolicyWanted, RuleType
from lanekeeper.protocol import BandwidthFact, ServerWanted

pytestmark = pytest.mark.service

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGc5cLzWz2k3xV0c1CBY6oAwXzV1z0p6pZ2m8nN5T1aa me"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Fleet]:
    with fleet(f"sqlite:///{tmp_path}/x.db", tmp_path) as made:
        made.host("h1", bandwidths=[BandwidthFact(interface="ens21f0", egress_kbps=10_000)])
        yield made


def create(world: Fleet, *, flavor_specs: Mapping[str, str] | None = None, **more: Any) -> str:
    specs = {"pci_passthrough:alias": "a1:2"} | dict(flavor_specs or {})
    flavor = Flavor(id="", name="m1", vcpus=2, ram_mib=256, disk_gib=3, extra_specs=specs)
    flavor_id = create_flavor(world.site, flavor).id
    values = {"name": "Web 1", "flavor_id": flavor_id, "image_id": world.image()} | more
    (made,) = create_servers(world.site, MEMBER, NewServer(**values))
    return made.id


def wanted(world: Fleet) -> ServerWanted:
    (one,) = desired_of(world.site, world.hosts["h1"]).servers
    return one


def test_sizes_devices_and_cards_are_told(world: Fleet) -> None:
    network_id = world.network(vlan=16)
    first, second = world.port(network_id), world.port(network_id)
    create(world, networks=[NicAsked(port_id=second.id), NicAsked(port_id=first.id)])
    guest = wanted(world)
    assert (guest.vcpus, guest.memory_mib, guest.disk_gib) == (2, 256, 3)
    assert (guest.power, guest.generation, guest.reboots) == ("running", 1, 0)
    assert [nic.port_id for nic in guest.nics] == [second.id, first.id]
    card = guest.nics[0]
    assert (card.mac, card.vlan, card.pf_netdev) == (second.mac, 16, "ens21f0")
    assert card.device.address.startswith("0000:21:10.")
    assert [(one.address, one.alias) for one in guest.devices] == [
        ("0000:41:10.0", "a1"),
        ("0000:41:10.1", "a1"),
    ]
    assert guest.image is not None
    assert guest.image.sha512 == "0" * 128


def test_the_config_drive_tells_a_guest_who_and_where_it_is(world: Fleet) -> None:
    import_keypair(world.site, MEMBER.user_id, "mine", KEY)
    web = world.port(world.network())
    script = "#!/bin/sh\necho grüße\n"
    server_id = create(
        world,
        networks=[NicAsked(port_id=web.id)],
        metadata={"tier": "web"},
        key_name="mine",
        user_data=base64.b64encode(script.encode()).decode(),
    )
    files = wanted(world).config_drive
    meta = json.loads(files["openstack/latest/meta_data.json"])
    assert (meta["uuid"], meta["name"], meta["hostname"]) == (server_id, "Web 1", "web-1")
    assert (meta["meta"], meta["public_keys"]) == ({"tier": "web"}, {"mine": KEY})
    network = json.loads(files["openstack/latest/network_data.json"])
    assert network["links"][0]["ethernet_mac_address"] == web.mac
    assert network["networks"][0]["ip_address"] == web.fixed_ips[0].ip
    assert files["openstack/latest/user_data"] == script
    # Whatever becomes of the key, the guest is asked for as it was.
    delete_keypair(world.site, MEMBER.user_id, "mine")
    assert wanted(world).config_drive == files


def test_no_config_drive_is_none(world: Fleet) -> None:
    create(world, config_drive=False)
    assert wanted(world).config_drive == {}


def test_kernel_ramdisk_and_arguments_come_with_the_image(world: Fleet) -> None:
    kernel, ramdisk = world.image("kernel"), world.image("ramdisk")
    root = world.image(kernel_id=kernel, ramdisk_id=ramdisk, os_command_line="console=ttyS0")
    create(world, image_id=root)
    guest = wanted(world)
    assert guest.kernel is not None
    assert guest.ramdisk is not None
    assert (guest.kernel.id, guest.ramdisk.id) == (kernel, ramdisk)
    assert guest.kernel_arguments == "console=ttyS0"


def test_a_change_of_mind_is_a_new_generation_and_a_deletion_a_tombstone(world: Fleet) -> None:
    server_id = create(world)
    world.obey()
    before = desired_of(world.site, world.hosts["h1"])
    stop_server(world.site, MEMBER, server_id)
    after = desired_of(world.site, world.hosts["h1"])
    assert (after.generation, after.servers[0].power) == (before.generation + 1, "stopped")
    assert after.servers[0].generation == before.servers[0].generation + 1
    delete_server(world.site, MEMBER, server_id)
    gone = desired_of(world.site, world.hosts["h1"])
    assert (gone.servers, gone.absent) == ([], [server_id])
    world.report(server_id, "absent")
    clean = desired_of(world.site, world.hosts["h1"])
    assert (clean.absent, len(clean.cleaning)) == ([], 2)


def test_a_policys_rates_reach_the_guest_and_so_do_their_changes(world: Fleet) -> None:
    slow = create_policies(world.site, ADMIN, [QosPolicyWanted(name="slow", shared=True)])[0]
    kinds = (RuleType.BANDWIDTH_LIMIT, RuleType.MINIMUM_BANDWIDTH)
    most, least = (
        create_rule(world.site, ADMIN, slow.id, kind, {"kbps": kbps})[1]
        for kind, kbps in zip(kinds, (5_000, 1_400), strict=True)
    )
    web = world.port(world.network())
    change = PortChange(values={"qos_policy_id": slow.id})
    update_port(world.site, ADMIN, web.id, change)
    create(world, networks=[NicAsked(port_id=web.id)])
    before = wanted(world)
    assert (before.nics[0].min_tx_mbps, before.nics[0].max_tx_mbps) == (1, 5)
    update_rule(world.site, ADMIN, kinds[0], most.id, {"kbps": 9_000})
    after = wanted(world)
    assert (after.generation, after.nics[0].max_tx_mbps) == (before.generation + 1, 9)
    delete_rule(world.site, ADMIN, kinds[1], least.id)
    update_port(world.site, ADMIN, web.id, PortChange(values={"qos_policy_id": None}))
    assert (wanted(world).nics[0].min_tx_mbps, wanted(world).nics[0].max_tx_mbps) == (0, 0)


def test_a_flavors_rate_is_for_ports_without_a_policy(world: Fleet) -> None:
    web = world.port(world.network())
    extra = {"quota:vif_outbound_average": "125000"}
    create(world, networks=[NicAsked(port_id=web.id)], flavor_specs=extra)
    assert wanted(world).nics[0].max_tx_mbps == 1000


def test_what_a_flavor_says_and_a_vf_cannot_keep_is_refused(world: Fleet) -> None:
    web = world.port(world.network())
    with pytest.raises(NotOffered, match="vif_inbound_average=1, which a VF cannot keep"):
        create(
            world,
            networks=[NicAsked(port_id=web.id)],
            flavor_specs={"quota:vif_inbound_average": "1"},
        )


def test_a_flavors_rate_that_is_no_number_is_refused(world: Fleet) -> None:
    with pytest.raises(Invalid, match="quota:vif_outbound_average='fast'"):
        create(world, flavor_specs={"quota:vif_outbound_average": "fast"})
