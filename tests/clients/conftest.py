"""What the commands under test need to be there already: an image, a network, flavors.

Made once by openstacksdk; the matter of each test goes through the ``openstack`` client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from running import Instance


@dataclass(slots=True)
class Surroundings:
    """Names of things that exist in the shared instance.

    Attributes:
        plain, alias: flavors, without a device and with one of alias a1.
        network: on physnet1, with a subnet.
    """

    instance: Instance
    image: str = "surrounding-image"
    network: str = "surrounding-net"
    plain: str = "surrounding-plain"
    alias: str = "surrounding-alias"
    _numbers: Iterator[int] = field(default_factory=count)

    def name(self, what: str) -> str:
        """A name that nothing else has."""
        return f"{what}-{next(self._numbers)}"

    def port(self, vnic_type: str = "direct") -> str:
        """Make a port on the network; return its name."""
        name = self.name("port")
        network = self.instance.sdk.network.find_network(self.network, ignore_missing=False)
        self.instance.sdk.network.create_port(
            name=name, network_id=network.id, binding_vnic_type=vnic_type
        )
        return name

    @property
    def image_id(self) -> str:
        found = self.instance.sdk.image.find_image(self.image, ignore_missing=False)
        return str(found.id)

    def flavor_id(self, name: str) -> str:
        found = self.instance.sdk.compute.find_flavor(name, ignore_missing=False)
        return str(found.id)

    def server_arguments(self, flavor: str, *nics: str) -> list[str]:
        """The words after ``server create``, without the server's name."""
        return ["--image", self.image, "--flavor", flavor, *(nics or ("--nic", "none"))]


@pytest.fixture(scope="session")
def surroundings(shared: Instance) -> Surroundings:
    there = Surroundings(shared)
    prepare(there)
    return there


def prepare(there: Surroundings) -> None:
    sdk = there.instance.sdk
    sdk.image.create_image(
        name=there.image,
        data=b"not a real disk, and a simulated guest does not mind" * 100,
        disk_format="raw",
        container_format="bare",
        wait=True,
    )
    network = sdk.network.create_network(
        name=there.network,
        provider_network_type="vlan",
        provider_physical_network="physnet1",
        provider_segmentation_id=900,
    )
    sdk.network.create_subnet(
        name=there.network, network_id=network.id, cidr="10.90.0.0/24", ip_version=4
    )
    sdk.compute.create_flavor(name=there.plain, ram=64, vcpus=1, disk=1)
    flavor = sdk.compute.create_flavor(name=there.alias, ram=64, vcpus=1, disk=1)
    sdk.compute.create_flavor_extra_specs(flavor, {"pci_passthrough:alias": "a1:1"})


@pytest.fixture
def gone_afterwards(shared: Instance) -> Iterator[Callable[[str], str]]:
    """Remembers servers by name and deletes what is left of them when the test is over."""
    names: list[str] = []

    def remember(name: str) -> str:
        names.append(name)
        return name

    yield remember
    for name in names:
        server = shared.sdk.compute.find_server(name)
        if server is not None:
            shared.sdk.compute.delete_server(server)
            shared.sdk.compute.wait_for_delete(server, interval=0.2)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A small file that stands for a raw disk."""
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(range(256)) * 4096)
    return path
