"""Fifty servers at the same moment for fourteen VFs: fourteen get one, nobody gets another's.

Real HTTP, real threads, both databases; only the guests and the hosts' hardware are simulated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from lanekeeper.control.verify.verify import verify
from lanekeeper.store.database import read_only
from running import Instance, running, until

pytestmark = pytest.mark.service

SERVERS = 50
VFS = 14

ALL_TO_ONE_ALIAS = """
[pci]
device_spec = {"vendor_id": "8086", "product_id": "10ca"}
alias = {"name": "a1", "vendor_id": "8086", "product_id": "10ca", "device_type": "type-VF"}
"""

VERSION = {"OpenStack-API-Version": "compute 2.100"}


def test_all_by_one_alias(database_url: str, tmp_path: Path) -> None:
    conf = tmp_path / "nova.conf"
    conf.write_text(ALL_TO_ONE_ALIAS)
    with running(tmp_path / "state", config_files=[conf], database_url=database_url) as instance:
        servers = race(instance, by_alias(instance, make_image(instance), SERVERS))
        judge(servers, active=VFS)
        assert {reason_names(server, "a1") for server in servers if failed(server)} == {True}
        assert device_usage(instance) == {"CUSTOM_PCI_8086_10CA": VFS}
    assert_claims_are_single(database_url)


def test_half_by_port_and_half_by_alias(database_url: str, tmp_path: Path) -> None:
    with running(tmp_path / "state", database_url=database_url) as instance:
        image = make_image(instance)
        halves = (make(instance, image, SERVERS // 2) for make in (by_alias, by_port))
        # Alternating, so that neither kind has the better start.
        servers = race(instance, [server for pair in zip(*halves, strict=True) for server in pair])
        judge(servers, active=VFS)
        kinds = Counter(s["name"].split("-")[0] for s in servers if s["status"] == "ACTIVE")
        assert kinds == {"alias": VFS // 2, "port": VFS // 2}
        bound = [port for port in instance.sdk.network.ports() if port.binding_host_id]
        slots = [(port.binding_host_id, port.binding_profile["pci_slot"]) for port in bound]
        assert len(set(slots)) == len(slots) == VFS // 2
        usage = device_usage(instance)
        assert usage == {"CUSTOM_PCI_8086_10CA": VFS // 2, "SRIOV_NET_VF": VFS // 2}
    assert_claims_are_single(database_url)


def race(instance: Instance, wanted: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Send every request at the same moment; return the servers once none is building."""
    start = Barrier(len(wanted))

    def create(server: dict[str, Any]) -> httpx.Response:
        with instance.http(**VERSION) as http:
            http.get("/compute/v2.1/")  # the connection is there before the race begins
            start.wait(timeout=60)
            return http.post("/compute/v2.1/servers", json={"server": server}, timeout=120)

    instance.sdk.authorize()  # one token for all
    with ThreadPoolExecutor(len(wanted)) as pool:
        answers = list(pool.map(create, wanted))
    assert Counter(answer.status_code for answer in answers) == {202: len(wanted)}
    ids = {answer.json()["server"]["id"] for answer in answers}
    assert len(ids) == len(wanted)

    def settled() -> list[dict[str, Any]] | None:
        with instance.http(**VERSION) as http:
            servers = http.get("/compute/v2.1/servers/detail").json()["servers"]
        return None if any(server["status"] == "BUILD" for server in servers) else list(servers)

    servers: list[dict[str, Any]] = until(settled, "no server is in BUILD", within_s=120)
    assert {server["id"] for server in servers} == ids  # none is lost
    return servers


def judge(servers: Sequence[dict[str, Any]], *, active: int) -> None:
    counts = Counter(server["status"] for server in servers)
    assert counts == {"ACTIVE": active, "ERROR": len(servers) - active}
    for server in servers:
        if failed(server):
            assert server["fault"]["message"].startswith("No valid host was found.")
            assert len(server["fault"]["message"]) > len("No valid host was found. ")


def failed(server: dict[str, Any]) -> bool:
    return bool(server["status"] == "ERROR")


def reason_names(server: dict[str, Any], word: str) -> bool:
    return word in server["fault"]["message"]


def device_usage(instance: Instance) -> dict[str, int]:
    """Devices in use by resource class, as Placement tells it."""
    usage: Counter[str] = Counter()
    for provider in instance.sdk.placement.resource_providers():
        answer = instance.sdk.placement.get(f"/resource_providers/{provider.id}/usages")
        usage.update(answer.json()["usages"])
    ordinary = {"VCPU", "MEMORY_MB", "DISK_GB", "PCPU"}
    return {name: used for name, used in usage.items() if used and name not in ordinary}


def assert_claims_are_single(database_url: str) -> None:
    """Ask the database itself, after the program has ended."""
    with read_only(database_url) as connection:
        assert verify(connection) == []
    engine = sa.create_engine(database_url)
    try:
        with engine.connect() as connection:
            rows = connection.execute(sa.text("SELECT device_id, consumer_id FROM claim")).all()
    finally:
        engine.dispose()
    assert len(rows) == VFS
    assert len({row.device_id for row in rows}) == VFS
    assert len({row.consumer_id for row in rows}) == VFS


def make_image(instance: Instance) -> str:
    image = instance.sdk.image.create_image(
        name="race", data=b"x" * 512, disk_format="raw", container_format="bare", wait=True
    )
    return str(image.id)


def make_flavor(instance: Instance, name: str, specs: dict[str, str]) -> str:
    flavor = instance.sdk.compute.create_flavor(name=name, ram=64, vcpus=1, disk=1)
    if specs:
        instance.sdk.compute.create_flavor_extra_specs(flavor, specs)
    return str(flavor.id)


def make_ports(instance: Instance, number: int) -> list[str]:
    network = instance.sdk.network.create_network(
        name="net15",
        provider_network_type="vlan",
        provider_physical_network="physnet1",
        provider_segmentation_id=15,
    )
    instance.sdk.network.create_subnet(network_id=network.id, cidr="10.0.15.0/24", ip_version=4)
    return [
        instance.sdk.network.create_port(network_id=network.id, binding_vnic_type="direct").id
        for _ in range(number)
    ]


def by_alias(instance: Instance, image: str, number: int) -> list[dict[str, Any]]:
    """Requests for *number* servers with one device of alias a1 each."""
    flavor = make_flavor(instance, "by-alias", {"pci_passthrough:alias": "a1:1"})
    server = {"imageRef": image, "flavorRef": flavor, "networks": "none"}
    return [{**server, "name": f"alias-{n}"} for n in range(number)]


def by_port(instance: Instance, image: str, number: int) -> list[dict[str, Any]]:
    """Requests for *number* servers with one direct port each."""
    server = {"imageRef": image, "flavorRef": make_flavor(instance, "by-port", {})}
    ports = make_ports(instance, number)
    return [
        {**server, "name": f"port-{n}", "networks": [{"port": port}]}
        for n, port in enumerate(ports)
    ]
