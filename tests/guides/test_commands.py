"""Command lines of the guides, and what they promise of a server, against a site with a host."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import pytest

from fleet import ADMIN, Fleet, fleet
from guides.example import GUIDES, read_guide
from guides.openstack import COMPUTE, NETWORK, Console, Refused
from lanekeeper.agent.facts import fact_of
from lanekeeper.agent.observe import view
from lanekeeper.agent.policy import Policy
from lanekeeper.api.compute.face import FACE as COMPUTE_FACE
from lanekeeper.api.network.face import FACE as NETWORK_FACE
from lanekeeper.api.placement.face import FACE as PLACEMENT_FACE
from lanekeeper.cli import agent, up
from lanekeeper.config import Config, load
from lanekeeper.control.compute.server import delete_server
from lanekeeper.control.host.device import list_devices
from lanekeeper.host.scan import Scan
from lanekeeper.protocol import DeviceFact

pytestmark = pytest.mark.service

BOOKS = {name: read_guide(name) for name in GUIDES}
TRUSTED = """\
[pci]
device_spec = {"address": "0000:06:10.0", "physical_network": "physnet1"}
device_spec = {"address": "0000:06:10.2", "physical_network": "physnet1", "trusted": "true"}
"""


def text(guide: str, example: str) -> str:
    return BOOKS[guide].named(example).text


@contextmanager
def site(
    directory: Path, guide: str, content: str, *, file: str = "nova.conf", host: str = "h1"
) -> Iterator[tuple[Fleet, Console]]:
    """A controller and one host that has the guide's devices, both with these lines."""
    path = directory / file
    path.write_text(content)
    config = load([path]).config
    with fleet(f"sqlite:///{directory}/x.db", directory, config, hosts=0) as made:
        made.host(host, facts(guide, config))
        made.seen()
        console = Console(made.client(COMPUTE_FACE, NETWORK_FACE, PLACEMENT_FACE), {})
        body = {"name": "m1.large", "ram": 64, "vcpus": 1, "disk": 1}
        console.call("POST", f"{COMPUTE}/flavors", {"flavor": body})
        yield made, console


def facts(guide: str, config: Config) -> list[DeviceFact]:
    """What the agent of a host with the guide's devices tells of them."""
    functions = tuple(one.function for one in BOOKS[guide].device)
    seen = view(Scan(functions), Policy.of(config), frozenset())
    assert seen.problems == ()
    return [
        *(fact_of(one.device, one, {}) for one in seen.listed.values()),
        *(fact_of(device, None, {}) for device in seen.parents.values()),
    ]


def asking(console: Console, specs: Mapping[str, str]) -> None:
    """Have m1.large ask for exactly this beside its size."""
    (flavor,) = console.call("GET", f"{COMPUTE}/flavors")["flavors"]
    path = f"{COMPUTE}/flavors/{flavor['id']}/os-extra_specs"
    for key in console.call("GET", path)["extra_specs"]:
        console.call("DELETE", f"{path}/{key}")
    console.call("POST", path, {"extra_specs": dict(specs)})


def held(world: Fleet) -> list[str]:
    return [one.address for one in list_devices(world.site) if one.state == "held"]


def test_a_flavor_asks_for_two_devices(tmp_path: Path) -> None:
    content = text("nova", "device-spec-ids") + text("nova", "alias")
    with site(tmp_path, "nova", content) as (world, console):
        assert console.run(text("nova", "flavor-alias")) == {"pci_passthrough:alias": "a1:2"}
        assert console.server("s", "m1.large", world.image())["status"] == "BUILD"
        assert held(world) == ["0000:41:00.0", "0000:41:00.1"]


def test_a_flavor_takes_each_numa_policy_of_the_guide(tmp_path: Path) -> None:
    printed = text("nova", "flavor-numa-policy")
    with site(tmp_path, "nova", "") as (_, console):
        console.variables["FLAVOR"] = "m1.large"
        for policy in ("preferred", "required", "socket", "legacy"):
            said = console.run(printed.replace("=preferred", f"={policy}"))
            assert said == {"hw:pci_numa_affinity_policy": policy}
        with pytest.raises(Refused, match="'必需' is none of legacy, preferred, required, socket"):
            console.run(printed.replace("=preferred", "=必需"))


@pytest.mark.parametrize("model", ["virtio", "smmuv3", "intel", "auto"])
def test_a_flavor_that_asks_for_an_iommu_is_refused_by_name(tmp_path: Path, model: str) -> None:
    assert model in text("nova", "viommu")
    with site(tmp_path, "nova", "") as (world, console):
        asking(console, {"hw:viommu_model": model})
        with pytest.raises(Refused, match=f"hw:viommu_model={model}, which is not off") as caught:
            console.server("s", "m1.large", world.image())
        assert caught.value.status == HTTPStatus.NOT_IMPLEMENTED


def test_vfs_come_of_one_pf_or_several_or_each_of_another(tmp_path: Path) -> None:
    key = text("nova", "group-policy")
    vfs = '{"vendor_id": "8086", "product_id": "10ca"'
    content = (
        f'[pci]\ndevice_spec = {vfs}}}\nalias = {vfs}, "device_type": "type-VF", "name": "a1"}}\n'
    )
    with site(tmp_path, "nova", content) as (world, console):
        asking(console, {"pci_passthrough:alias": "a1:3", key: "isolate"})
        refused = console.server("s", "m1.large", world.image())
        assert "cards (group_policy=isolate), and 2 have such" in refused["fault"]["message"]
        asking(console, {"pci_passthrough:alias": "a1:2", key: "isolate"})
        assert console.server("s", "m1.large", world.image())["status"] == "BUILD"
        assert len({address[:7] for address in held(world)}) == 2
        asking(console, {"pci_passthrough:alias": "a1:1", key: "none"})
        assert console.server("s", "m1.large", world.image())["status"] == "BUILD"
        with pytest.raises(Refused, match="group_policy 'both' is none of none, isolate"):
            asking(console, {key: "both"})


def test_a_one_time_use_device_is_found_and_returned(tmp_path: Path) -> None:
    alias = '[pci]\nalias = {"vendor_id": "1b36", "product_id": "0100", "name": "once"}\n'
    content = text("nova", "one-time-use") + alias
    printed_id = "b9e67d7d-43db-49c7-8ce8-803cad08e656"
    with site(tmp_path, "nova", content, host="jammy") as (world, console):
        asking(console, {"pci_passthrough:alias": "once:1"})
        server = console.server("s", "m1.large", world.image())
        world.obey()
        delete_server(world.site, ADMIN, server["id"])
        world.obey()
        (provider,) = console.run(text("nova", "one-time-list"))
        assert provider["name"] == "jammy_0000:00:01.0"
        assert provider["parent_provider_uuid"] == provider["root_provider_uuid"]

        look = text("nova", "one-time-inventory").replace(printed_id, provider["uuid"])
        (one,) = console.run(look).items()
        assert one[0] == "CUSTOM_PCI_1B36_0100"
        printed = {"allocation_ratio": 1.0, "min_unit": 1, "max_unit": 1, "step_size": 1}
        assert one[1] == printed | {"reserved": 1, "total": 1, "used": 0}
        late = console.server("late", "m1.large", world.image())
        assert late["status"] == "ERROR"

        done = console.run(text("nova", "one-time-return").replace(printed_id, provider["uuid"]))
        assert done == {"CUSTOM_PCI_1B36_0100": printed | {"reserved": 0, "total": 1}}
        assert console.server("next", "m1.large", world.image())["status"] == "BUILD"
        assert held(world) == ["0000:00:01.0"]


def test_a_port_that_asks_for_trust_gets_a_trusted_device(tmp_path: Path) -> None:
    _, _, option = text("nova", "port-trusted").partition(" ")
    key, _, value = option.partition("=")
    with site(tmp_path, "nova", TRUSTED) as (world, console):
        body = {
            "network_id": world.network(),
            "binding:vnic_type": "direct",
            "binding:profile": {key: value},
        }
        port = console.call("POST", f"{NETWORK}/ports", {"port": body})["port"]
        console.server("s", "m1.large", world.image(), [{"port": port["id"]}])
        assert held(world) == ["0000:06:10.2"]


def test_a_flavor_asks_for_one_to_ten_of_vios_virtual_devices(tmp_path: Path) -> None:
    one = BOOKS["vio"].named("alias")
    printed = text("vio", "flavor-alias")
    with site(tmp_path, "vio", one.with_lines + one.filled, file="custom.yml") as (world, console):
        for count in range(1, 11):
            asking(console, {"pci_passthrough:alias": printed.replace("device-count", str(count))})
        with pytest.raises(Refused, match="is not NAME:COUNT"):
            asking(console, {"pci_passthrough:alias": printed})
        asking(console, {"pci_passthrough:alias": printed.replace("device-count", "1")})
        console.server("s", "m1.large", world.image())
        assert held(world) == ["0000:81:10.0"]
        assert console.server("late", "m1.large", world.image())["status"] == "ERROR"


def test_an_image_may_name_a_vif_model(tmp_path: Path) -> None:
    one = BOOKS["vio"].named("alias")
    with site(tmp_path, "vio", one.with_lines + one.filled, file="custom.yml") as (world, console):
        asking(console, {"pci_passthrough:alias": "physical-device-name:1"})
        assert text("vio", "image-vif-model") == "hw_vif_model"
        image = world.image(hw_vif_model="e1000")
        assert console.server("s", "m1.large", image)["status"] == "BUILD"
        assert held(world) == ["0000:05:00.0"]


def test_a_server_gets_a_vf_by_a_port_of_type_direct(tmp_path: Path) -> None:
    content = text("rhel", "whitelist-devname")
    with site(tmp_path, "rhel", content) as (world, console):
        network = world.network()
        port = console.run(text("juno", "port-direct").replace("${net-id}", network))
        console.variables.update(
            flavor_name="m1.large", image_id=world.image(), port_id=port["id"], vm_name="vm"
        )
        assert console.run(text("juno", "boot"))["name"] == "vm"
        (address,) = held(world)
        assert address in ("0000:05:10.1", "0000:05:10.3")


def test_a_server_boots_with_the_chapters_port(tmp_path: Path) -> None:
    with site(tmp_path, "rhel", text("rhel", "whitelist-devname")) as (world, console):
        world.network()  # called web, as the chapter's
        port = console.run(text("rhel", "port-create").partition("# ")[2])
        printed = {"binding:vif_type": "unbound", "name": "sr-iov", "device_id": ""}
        assert printed.items() <= port.items()
        assert (port["status"], port["binding:vnic_type"]) == ("DOWN", "direct")
        command = text("rhel", "boot").partition("# ")[2]
        for word, ours in (
            ("m1.tiny", "m1.large"),
            ("59a66200-45d2-4b21-982b-d06bc26ff2d0", world.image()),
            ("a2122b4d-c9a9-4a40-9b67-ca514ea10a1b", port["id"]),
        ):
            assert word in command
            command = command.replace(word, ours)
        assert console.run(command)["name"] == "webserver01"
        assert len(held(world)) == 1


@pytest.mark.parametrize(
    ("unit", "command"), [("neutron-server-unit", "up"), ("agent-unit", "agent run")]
)
def test_the_files_of_a_units_command_line_are_taken_in_its_order(unit: str, command: str) -> None:
    _, *words = shlex.split(text("rhel", unit))
    at = words.index("--log-file")
    del words[at : at + 2]  # ours goes to the journal
    parser = argparse.ArgumentParser()
    nouns = parser.add_subparsers()
    up.register(nouns)
    agent.register(nouns)
    parsed = parser.parse_args([*command.split(), *words])
    assert [f"--config-file {one}" for one in parsed.config_file] == [
        f"{option} {file}" for option, file in zip(words[::2], words[1::2], strict=True)
    ]
