"""A host whose buses are numbered anew, and one whose card is exchanged, from outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host.simulated import SimulatedMachine
from lanekeeper.host.simulated_bus import insert_card, renumber
from running import Instance, lanekeeper, running, until

pytestmark = pytest.mark.service

CONFIG = """[pci]
device_spec = {"vendor_id": "8086", "product_id": "10ca", "physical_network": "physnet1"}
"""
ONE, TWO, THREE = (f"00-1b-21-ff-ff-aa-01-0{number}" for number in (1, 2, 3))
A, B, C = (PciAddress.parse(f"0000:{bus}:00.0") for bus in ("21", "41", "c1"))
VLAN = 15


def answer_to(instance: Instance, *arguments: str) -> Any:
    ended = lanekeeper(*arguments, "--json", env=instance.environment)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def server_on_a_vf(instance: Instance) -> str:
    sdk = instance.sdk
    net = sdk.network.create_network(
        name="n",
        provider_network_type="vlan",
        provider_physical_network="physnet1",
        provider_segmentation_id=VLAN,
    )
    sdk.network.create_subnet(network_id=net.id, ip_version=4, cidr="192.168.15.0/24")
    port = sdk.network.create_port(network_id=net.id, binding_vnic_type="direct")
    flavor = sdk.compute.create_flavor(name="f", ram=64, vcpus=1, disk=1)
    image = sdk.image.create_image(
        name="i", data=b"x" * 512, disk_format="raw", container_format="bare", wait=True
    )
    made = sdk.compute.create_server(
        name="s", image_id=image.id, flavor_id=flavor.id, networks=[{"port": port.id}]
    )
    return str(sdk.compute.wait_for_server(made, interval=0.2, wait=30).id)


def stopped(instance: Instance, server_id: str) -> None:
    instance.sdk.compute.stop_server(server_id)
    until(
        lambda: instance.sdk.compute.get_server(server_id).status == "SHUTOFF", "the server's end"
    )


def test_a_card_keeps_its_holder_where_it_moves_and_another_gets_none(tmp_path: Path) -> None:
    config, state = tmp_path / "nova.conf", tmp_path / "state"
    config.write_text(CONFIG)
    root = state / "hosts/sim-1/machine"
    with running(state, config_files=[config]):
        pass
    insert_card(root, A, ONE)
    insert_card(root, B, TWO)

    with running(state, config_files=[config]) as instance:
        server_id = server_on_a_vf(instance)
        (held,) = answer_to(instance, "device", "list", "--state", "held")
        stopped(instance, server_id)
    card = A if held["pf_address"] == str(A) else B
    bus = str(card)[: len("0000:00")]
    renumber(root, {bus: str(C)[: len("0000:00")]})

    with running(state, config_files=[config]) as instance:
        now = held["address"].replace(bus, "0000:c1")

        def moved() -> Any:
            shown = answer_to(instance, "device", "show", held["id"])
            return shown if shown["address"] == now else None

        shown = until(moved, "the device at its new address")
        assert (shown["state"], shown["holder"]) == ("held", server_id)
        assert (shown["moved_from"], shown["pf_address"]) == (held["address"], str(C))
        (told,) = (
            line for line in instance.process.logged("device moved") if line["device"] == held["id"]
        )
        assert (told["before"], told["address"]) == (held["address"], now)
        instance.sdk.compute.start_server(server_id)
        until(lambda: instance.sdk.compute.get_server(server_id).status == "ACTIVE", "a new start")
        (port,) = instance.sdk.network.ports(device_id=server_id)
        assert port.binding_profile["pci_slot"] == now
        machine = SimulatedMachine(root)
        vf = machine.device(PciAddress.parse(now))
        assert vf.vf_index is not None
        assert (vf.driver, machine.vf_settings(C, vf.vf_index).vlan) == ("vfio-pci", VLAN)
        providers = instance.openstack("resource", "provider", "list")
        assert {f"sim-1_{str(C).upper()}"} <= {one["name"] for one in providers}
        stopped(instance, server_id)
    insert_card(root, C, THREE)

    with running(state, config_files=[config]) as instance:
        aside = until(
            lambda: answer_to(instance, "device", "list", "--state", "quarantined"), "new devices"
        )
        assert {one["pf_address"] for one in aside} == {str(C)}
        assert f"another card is at this address: serial {THREE}, was " in aside[0]["state_reason"]
        lost = answer_to(instance, "device", "show", held["id"])
        assert (lost["state"], lost["holder"]) == ("missing", server_id)
        instance.sdk.compute.start_server(server_id)
        refused = f"is of the card with serial {THREE}, not "
        until(lambda: refused in instance.process.errors, "a refused start")
        assert SimulatedMachine(root).device(PciAddress.parse(now)).driver is None
        first = aside[0]["id"]
        answer_to(instance, "device", "clean", first)
        until(
            lambda: answer_to(instance, "device", "show", first)["state"] == "available",
            "a clean device",
        )
