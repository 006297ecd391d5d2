"""Hosts, networks and images for tests, made through the program's own doors.

A fleet's hosts are like the lab's: two PFs with seven VFs each, those of the first on physnet1,
those of the second for alias a1. What an agent would report, the test reports.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from starlette.requests import Request
from starlette.testclient import TestClient

from lanekeeper.api.app import application, bearer
from lanekeeper.api.policy import Enforcer
from lanekeeper.api.row import Face
from lanekeeper.config import Config
from lanekeeper.config.tree import Own, Pci
from lanekeeper.control.caller import Caller
from lanekeeper.control.host.facts import report_facts
from lanekeeper.control.host.host import report_state
from lanekeeper.control.network.security_group import (
    SecurityGroupWanted,
    create_security_groups,
)
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Unauthenticated
from lanekeeper.domain.image.record import ImageRecord, Status, Visibility
from lanekeeper.domain.network.network import EVERYBODY
from lanekeeper.domain.network.port import PortRecord, PortWanted, VnicType
from lanekeeper.domain.pci.alias import Alias
from lanekeeper.protocol import (
    BandwidthFact,
    CleaningState,
    DeviceFact,
    HostFacts,
    HostState,
    NumaCell,
    PfFact,
    ServerState,
)
from lanekeeper.store.compute.server import server_get, servers_of_host
from lanekeeper.store.database import Database
from lanekeeper.store.device.device import claims_of, devices_to_clean
from lanekeeper.store.host.host import host_insert, host_told_by_name, hosts_seen
from lanekeeper.store.image.image import image_insert
from lanekeeper.store.network.port import port_create, ports_of_server
from lanekeeper.store.network.rbac import rbac_insert
from lanekeeper.store.tables import network, segment, subnet
from planting import plant

PROJECT, OTHER_PROJECT = "1" * 32, "2" * 32
ALIASES = (
    Alias.parse(
        {"name": "a1", "vendor_id": "8086", "product_id": "10ca", "device_type": "type-VF"}
    ),
    Alias.parse(
        {"name": "whole", "vendor_id": "8086", "product_id": "10c9", "device_type": "type-PF"}
    ),
)
ADMIN = Caller(
    user_id="a" * 32,
    user_name="admin",
    project_id=PROJECT,
    roles=frozenset({"admin", "member", "reader"}),
    request_id="req-test",
)
MEMBER = Caller(
    user_id="b" * 32,
    user_name="mia",
    project_id=PROJECT,
    roles=frozenset({"member", "reader"}),
    request_id="req-test",
)
STRANGER = Caller(
    user_id="c" * 32,
    user_name="sam",
    project_id=OTHER_PROJECT,
    roles=frozenset({"member", "reader"}),
    request_id="req-test",
)
READER = Caller(
    user_id="d" * 32,
    user_name="rea",
    project_id=PROJECT,
    roles=frozenset({"reader"}),
    request_id="req-test",
)
_CALLERS = {"admin": ADMIN, "member": MEMBER, "stranger": STRANGER, "reader": READER}


def config(*, refuse_unschedulable: bool = False) -> Config:
    return Config(pci=Pci(alias=ALIASES), lanekeeper=Own(refuse_unschedulable=refuse_unschedulable))


def pf_and_vfs(
    bus: str, vfs: int = 7, *, physical_network: str = "", numa_node: int | None = None
) -> list[DeviceFact]:
    """A PF at ``0000:<bus>:00.0`` and its VFs, of which only the VFs are listed."""
    tags = {"physical_network": physical_network} if physical_network else {}
    pf = f"0000:{bus}:00.0"
    return [
        DeviceFact(
            address=pf,
            vendor_id="8086",
            product_id="10c9",
            dev_type="type-PF",
            listed=False,
            netdev=f"ens{bus}f0",
            mac=f"52:54:00:00:{bus}:00",
        ),
        *(
            DeviceFact(
                address=f"0000:{bus}:10.{number}",
                vendor_id="8086",
                product_id="10ca",
                dev_type="type-VF",
                parent=pf,
                vf_index=number,
                tags=tags,
                numa_node=numa_node,
            )
            for number in range(vfs)
        ),
    ]


def lab_devices() -> list[DeviceFact]:
    return [*pf_and_vfs("21", physical_network="physnet1"), *pf_and_vfs("41")]


@dataclass(slots=True)
class Hands:
    """A clock whose hands the test turns."""

    at: datetime = field(default_factory=lambda: datetime(2026, 11, 21, 9, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.at

    def turn(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass(slots=True)
class Fleet:
    """A site with hosts, and what their agents would say."""

    site: Site
    hands: Hands
    hosts: dict[str, str] = field(default_factory=dict)
    clients: ExitStack = field(default_factory=ExitStack)

    def host(
        self,
        name: str,
        devices: Sequence[DeviceFact] | None = None,
        *,
        vcpus: int = 64,
        memory_mib: int = 262144,
        disk_gib: int = 2000,
        mappings: Sequence[str] = ("physnet1",),
        cells: Sequence[NumaCell] = (),
        architecture: str = "",
        bandwidths: Sequence[BandwidthFact] = (),
        pfs: Sequence[PfFact] = (),
        unlisted: Mapping[str, str] = {},
        bridges: Mapping[str, str] | None = None,
        guards: bool = False,
        pairs: bool = False,
    ) -> str:
        """Enrol a host, if it is not there yet, and have it report itself; returns its id."""
        host_id = str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
        now = self.hands()
        with self.site.database.read() as connection:
            is_there = host_told_by_name(connection, name) is not None
        if not is_there:
            self.site.database.write(lambda c: host_insert(c, host_id, name, f"hash {name}", now))
        facts = HostFacts(
            host_name=name,
            vcpus=vcpus,
            memory_mib=memory_mib,
            disk_gib=disk_gib,
            devices=list(lab_devices() if devices is None else devices),
            mappings={one: ["ens21f0"] for one in mappings},
            cells=list(cells),
            architecture=architecture,
            bandwidths=list(bandwidths),
            pfs=list(pfs),
            unlisted=dict(unlisted),
            bridges=dict(bridges or {}),
            guards=guards,
            pairs=pairs,
        )
        report_facts(self.site, host_id, facts)
        self.hosts[name] = host_id
        return host_id

    def seen(self) -> None:
        """Have every agent heard now."""
        batch = [(host_id, self.hands()) for host_id in self.hosts.values()]
        self.site.database.write(lambda connection: hosts_seen(connection, batch))

    def report(
        self,
        server_id: str,
        power: Literal["running", "stopped", "paused", "crashed", "absent", "failed"],
        *,
        problem: str = "",
        generation: int | None = None,
    ) -> None:
        """Say what has become of a guest; by default as an answer to what is wanted now."""
        with self.site.database.read() as connection:
            record = server_get(connection, server_id)
            assert record is not None
            assert record.host_id is not None
            held = [str(row["address"]) for row in claims_of(connection, server_id)]
            ports = ports_of_server(connection, server_id)
        guest = ServerState(
            id=server_id,
            power=power,
            generation=record.generation if generation is None else generation,
            problem=problem,
            devices=held,
            taps=[one.id for one in ports if one.is_switched and one.id in record.port_ids],
        )
        report_state(self.site, record.host_id, HostState(servers=[guest]))

    def obey(self) -> None:
        """Have every agent do what is wanted of it, cleaning last."""
        for host_id in self.hosts.values():
            with self.site.database.read() as connection:
                records = servers_of_host(connection, host_id)
            for record in records:
                self.report(record.id, record.wanted)  # type: ignore[arg-type]  # same words
            self.clean(host_id)

    def clean(self, host_id: str) -> None:
        with self.site.database.read() as connection:
            rows = devices_to_clean(connection, host_id)
        done = [
            CleaningState(device_id=row["id"], round=row["cleaning_round"], clean=True)
            for row in rows
        ]
        report_state(self.site, host_id, HostState(cleaned=done))

    def image(
        self,
        name: str = "tiny",
        *,
        min_disk_gib: int = 0,
        min_ram_mib: int = 0,
        size_bytes: int = 1024,
        status: Status = Status.ACTIVE,
        **properties: str,
    ) -> str:
        """An image that everybody sees; returns its id."""
        image_id = str(uuid.uuid4())
        now = self.hands()
        record = ImageRecord(
            id=image_id,
            name=name,
            status=status,
            owner=PROJECT,
            visibility=Visibility.PUBLIC,
            created_at=now,
            updated_at=now,
            disk_format="raw",
            container_format="bare",
            size_bytes=size_bytes,
            virtual_size_bytes=size_bytes,
            md5="0" * 32,
            sha512="0" * 128,
            min_disk_gib=min_disk_gib,
            min_ram_mib=min_ram_mib,
            properties=properties,
        )
        self.site.database.write(lambda connection: image_insert(connection, record))
        return image_id

    def network(
        self, name: str = "web", *, vlan: int = 15, physical_network: str = "physnet1"
    ) -> str:
        """A shared VLAN network with a subnet; returns its id."""
        network_id, now = str(uuid.uuid4()), self.hands()
        times = {"created_at": now, "updated_at": now}
        common = {"network_id": network_id, "project_id": PROJECT}

        with self.site.database.engine.begin() as connection:
            connection.execute(
                network.insert().values(id=network_id, name=name, project_id=PROJECT, **times)
            )
            rbac_insert(connection, network_id, PROJECT, EVERYBODY)
            connection.execute(
                segment.insert().values(
                    id=str(uuid.uuid4()),
                    network_id=network_id,
                    network_type="vlan",
                    physical_network=physical_network,
                    segmentation_id=vlan,
                )
            )
            connection.execute(
                subnet.insert().values(
                    id=str(uuid.uuid4()),
                    name=name,
                    ip_version=4,
                    cidr=f"10.0.{vlan}.0/24",
                    gateway_ip=f"10.0.{vlan}.1",
                    allocation_pools=[{"start": f"10.0.{vlan}.10", "end": f"10.0.{vlan}.200"}],
                    **common,
                    **times,
                )
            )
        return network_id

    def security_group(self, name: str) -> str:
        """A group of the project's own."""
        wanted = SecurityGroupWanted(name=name)
        return create_security_groups(self.site, MEMBER, [wanted])[0].id

    def port(
        self, network_id: str, name: str = "", vnic_type: VnicType = VnicType.DIRECT
    ) -> PortRecord:
        wanted = PortWanted(network_id=network_id, name=name, vnic_type=vnic_type)
        now = self.hands()
        return self.site.database.write(
            lambda connection: port_create(connection, wanted, project_id=PROJECT, now=now)
        )

    def client(self, *faces: Face, who: str = "admin", version: str = "2.100") -> TestClient:
        """HTTP to these faces; the token is the caller's name: admin, member, stranger, reader."""

        def authenticate(request: Request, request_id: str) -> Caller:
            known = _CALLERS.get(bearer(request))
            if known is None:
                raise Unauthenticated("the token is not valid")
            return replace(known, request_id=request_id)

        app = application(self.site, faces, {"": authenticate}, Enforcer(faces))
        headers = {"X-Auth-Token": who, "OpenStack-API-Version": f"compute {version}"}
        made = TestClient(app, raise_server_exceptions=False, headers=headers)
        return self.clients.enter_context(made)  # one loop for all of its requests


@contextmanager
def fleet(
    database_url: str, state_dir: Path, settings: Config | None = None, hosts: int = 1
) -> Iterator[Fleet]:
    """A site on an empty database, with hosts h1 to hN."""
    plant(database_url)
    with Database(database_url) as database:
        hands = Hands()
        site = Site(
            database=database, config=settings or config(), clock=hands, state_dir=state_dir
        )
        made = Fleet(site, hands)
        for number in range(1, hosts + 1):
            made.host(f"h{number}")
        with made.clients:
            yield made
