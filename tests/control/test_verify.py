"""Every invariant is broken by hand and found; what requests make of a database is clean."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from fleet import ADMIN, Fleet, fleet
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.server import delete_server, stop_server
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_nic import NicAsked
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.verify import network
from lanekeeper.control.verify.finding import Finding
from lanekeeper.control.verify.verify import INVARIANTS, verify
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.errors import Error
from lanekeeper.store import tables as t
from lanekeeper.store.database import read_only
from lanekeeper.store.records import Records, records_load


@dataclass(frozen=True)
class World:
    """Two hosts, a server with a port and an alias' device, a second one that was deleted."""

    fleet: Fleet
    url: str
    image: str
    flavor: str
    network: str

    def create(self, name: str, *, flavor: str = "", nics: int = 1) -> str:
        asked = NewServer(
            name=name,
            image_id=self.image,
            flavor_id=flavor or self.flavor,
            networks=[NicAsked(network_id=self.network) for _ in range(nics)] or "none",
        )
        (made,) = create_servers(self.fleet.site, ADMIN, asked)
        return made.id

    def findings(self) -> list[Finding]:
        with read_only(self.url) as connection:
            return verify(connection)

    def records(self) -> Records:
        with read_only(self.url) as connection:
            return records_load(connection)


@contextmanager
def worlds(url: str, directory: Path) -> Iterator[World]:
    with fleet(url, directory, hosts=2) as made:
        flavor = create_flavor(made.site, _flavor("one", "a1:1")).id
        yield World(made, url, made.image(), flavor, made.network())


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    with worlds(database_url, tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def busy(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for all tests; what they break is rolled back."""
    with worlds(module_database_url, tmp_path_factory.mktemp("busy")) as world:
        world.create("first")
        gone = world.create("second")
        world.fleet.obey()
        delete_server(world.fleet.site, ADMIN, gone)
        world.fleet.report(gone, "absent")  # its devices are in cleaning
        assert world.findings() == []
        yield world


def _flavor(name: str, alias: str = "") -> Flavor:
    specs = {"pci_passthrough:alias": alias} if alias else {}
    return Flavor(id="", name=name, vcpus=1, ram_mib=64, disk_gib=1, extra_specs=specs)


def test_what_requests_make_is_clean(world: World) -> None:
    """A hundred requests and reports at random; a failure names its seed."""
    seed = random.SystemRandom().randrange(2**32)
    dice = random.Random(seed)
    whole = create_flavor(world.fleet.site, _flavor("whole", "a1:3")).id
    servers: list[str] = []

    def create() -> None:
        servers.append(world.create("s", flavor=dice.choice(["", whole]), nics=dice.randrange(3)))

    def end() -> None:
        if servers:
            delete_server(world.fleet.site, ADMIN, servers.pop(dice.randrange(len(servers))))

    def stop() -> None:
        if servers:
            stop_server(world.fleet.site, ADMIN, dice.choice(servers))

    def port() -> None:
        world.fleet.port(world.network)

    for _ in range(100):
        try:
            dice.choice([create, create, end, stop, port, world.fleet.obey])()
        except Error:
            continue  # stopped twice, no host has room: refused, and nothing is left of it
        assert world.findings() == [], f"seed {seed}"


# Broken by hand -----------------------------------------------------------------------------------

Break = Callable[[sa.Connection, Records], Any]


def _held(records: Records) -> str:
    return str(records.claim[0]["device_id"])


def _pf_of(records: Records, device_id: str) -> str:
    return str(records.by_id("device")[device_id]["pf_id"])


def _another_pf(records: Records, device_id: str) -> str:
    own = records.by_id("device")[device_id]
    return str(
        next(
            row["id"]
            for row in records.device
            if row["dev_type"] == "type-PF" and row["host_id"] != own["host_id"]
        )
    )


def _set(table: sa.Table, key: str, /, **values: Any) -> sa.Update:
    return table.update().where(table.primary_key.columns[0] == key).values(**values)


def _root(records: Records) -> str:
    return str(records.host[0]["id"])


BROKEN: dict[str, tuple[str, Break]] = {
    "a claim of a free device": (
        "claim.device",
        lambda c, b: c.execute(_set(t.device, _held(b), state="available")),
    ),
    "a claim of no device": (
        "claim.device",
        lambda c, b: c.execute(_set(t.claim, _held(b), device_id="nowhere")),
    ),
    "a held device without a claim": (
        "device.claim",
        lambda c, b: c.execute(t.claim.delete().where(t.claim.c.device_id == _held(b))),
    ),
    "a card that counts too many": (
        "card.count",
        lambda c, b: c.execute(_set(t.card, _pf_of(b, _held(b)), parts_held=9)),
    ),
    "a card that nobody has told": (
        "card.count",
        lambda c, b: c.execute(
            _set(t.card, _pf_of(b, _held(b)), parts_held=0, whole_holder="somebody")
        ),
    ),
    "a PF without a card": (
        "card.count",
        lambda c, b: c.execute(t.card.delete().where(t.card.c.pf_device_id == _pf_of(b, _held(b)))),
    ),
    "a card of a VF": (
        "card.count",
        lambda c, b: c.execute(t.card.insert().values(pf_device_id=_held(b))),
    ),
    "a PF held beside its VF": (
        "device.whole_or_parts",
        lambda c, b: c.execute(_set(t.device, _pf_of(b, _held(b)), state="held")),
    ),
    "a VF without a PF": (
        "device.pf",
        lambda c, b: c.execute(_set(t.device, _held(b), pf_id=None)),
    ),
    "a VF of another host's PF": (
        "device.pf",
        lambda c, b: c.execute(_set(t.device, _held(b), pf_id=_another_pf(b, _held(b)))),
    ),
    "a VF of no PF": (
        "device.pf",
        lambda c, b: c.execute(_set(t.device, _held(b), pf_id="nowhere")),
    ),
    "a device of no provider": (
        "device.provider",
        lambda c, b: c.execute(_set(t.device, _held(b), provider_id=None)),
    ),
    "a device of another host's provider": (
        "device.provider",
        lambda c, b: c.execute(
            _set(
                t.device,
                _held(b),
                provider_id=next(
                    row["id"]
                    for row in b.resource_provider
                    if row["host_id"] != b.by_id("device")[_held(b)]["host_id"]
                ),
            )
        ),
    ),
    "use that nobody took": (
        "inventory.used",
        lambda c, b: c.execute(_set(t.inventory, b.allocation[0]["provider_id"], used=7)),
    ),
    "bandwidth that no port holds": (
        "port.bandwidth",
        lambda c, b: c.execute(
            t.resource_provider.update()
            .where(t.resource_provider.c.id == b.allocation[0]["provider_id"])
            .values(owner="bandwidth")
        ),
    ),
    "a capacity of another age": (
        "inventory.capacity",
        lambda c, b: c.execute(_set(t.inventory, _root(b), capacity=3)),
    ),
    "an allocation of no provider": (
        "allocation.refers",
        lambda c, b: c.execute(_set(t.allocation, b.consumer[0]["id"], provider_id="nowhere")),
    ),
    "an allocation of no class": (
        "allocation.refers",
        lambda c, b: c.execute(
            t.inventory.delete().where(t.inventory.c.provider_id == b.allocation[0]["provider_id"])
        ),
    ),
    "an allocation of nobody": (
        "allocation.refers",
        lambda c, b: c.execute(t.consumer.delete()),
    ),
    "a consumer of nothing": (
        "consumer.empty",
        lambda c, b: c.execute(
            t.consumer.insert().values(
                id="idle", project_id="p", user_id="u", updated_at=b.consumer[0]["updated_at"]
            )
        ),
    ),
    "providers in a circle": (
        "provider.tree",
        lambda c, b: c.execute(
            _set(
                t.resource_provider,
                _root(b),
                parent_id=next(r["id"] for r in b.resource_provider if r["parent_id"] == _root(b)),
            )
        ),
    ),
    "a provider with another root": (
        "provider.tree",
        lambda c, b: c.execute(_set(t.resource_provider, _root(b), root_id=b.host[1]["id"])),
    ),
    "a provider of no parent": (
        "provider.tree",
        lambda c, b: c.execute(_set(t.resource_provider, _root(b), parent_id="nowhere")),
    ),
    "a provider of no host": (
        "provider.host",
        lambda c, b: c.execute(_set(t.resource_provider, _root(b), host_id="nowhere")),
    ),
    "a claim of no server": (
        "claim.holder",
        lambda c, b: c.execute(t.server.delete()),
    ),
    "a server on another host than its devices": (
        "claim.holder",
        lambda c, b: c.execute(
            t.server.update().values(
                host_id=next(row["id"] for row in b.host if row["id"] != b.server[0]["host_id"])
            )
        ),
    ),
    "a placed server that consumes nothing": (
        "server.holds",
        lambda c, b: c.execute(t.allocation.delete()),
    ),
    "a server without a host that holds": (
        "server.holds",
        lambda c, b: c.execute(t.server.update().values(host_id=None)),
    ),
    "a server without what it asked for": (
        "server.devices",
        lambda c, b: c.execute(t.server.update().values(device_requests=[])),
    ),
    "a port bound elsewhere": (
        "port.binding",
        lambda c, b: c.execute(t.port.update().values(binding_host="elsewhere")),
    ),
    "a port of another device": (
        "port.binding",
        lambda c, b: c.execute(t.port.update().values(binding_profile={"pci_slot": "0000:ff:0.0"})),
    ),
    "a port that nobody claimed for": (
        "port.binding",
        lambda c, b: c.execute(
            t.claim.update()
            .where(t.claim.c.request_id == b.port[0]["id"])
            .values(request_id="another")
        ),
    ),
    "a server whose port is gone": (
        "port.binding",
        lambda c, b: c.execute(t.port.delete()),
    ),
    "an address outside its subnet": (
        "address",
        lambda c, b: c.execute(t.address.update().values(ip="192.0.2.1")),
    ),
    "an address of no port": (
        "address",
        lambda c, b: c.execute(t.address.update().values(port_id="nowhere")),
    ),
    "a segment of no network": (
        "segment.vlan",
        lambda c, b: c.execute(t.segment.update().values(network_id="nowhere")),
    ),
    "a cell's use that nobody claims": (
        "cell.used",
        lambda c, b: c.execute(
            t.cell_stock.insert().values(
                host_id=b.server[0]["host_id"], cell=0, what="vcpus", total=4, capacity=4, used=1
            )
        ),
    ),
    "a cell of no server": (
        "cell.holder",
        lambda c, b: c.execute(
            t.cell_claim.insert().values(
                consumer_id="nobody",
                guest_cell=0,
                host_id=b.server[0]["host_id"],
                host_cell=0,
                what="memory_mib",
                amount=0,
                vcpus=[],
            )
        ),
    ),
    "a pinned CPU of no cell": (
        "cpu.cell",
        lambda c, b: c.execute(
            t.pinned_cpu.insert().values(
                host_id=b.server[0]["host_id"], cpu=3, consumer_id=b.server[0]["id"], vcpu=0
            )
        ),
    ),
    "a generation that was not given out": (
        "host.generation",
        lambda c, b: c.execute(_set(t.host, b.server[0]["host_id"], generation=99)),
    ),
    "an agent ahead of its controller": (
        "host.generation",
        lambda c, b: c.execute(_set(t.host, b.server[0]["host_id"], obeyed="99.abc")),
    ),
    "a mark of no host": (
        "mark.host",
        lambda c, b: c.execute(
            t.desired_mark.insert().values(host_id="nowhere", generation=1, mark="m")
        ),
    ),
}


def _by_hand(world: World, change: Break) -> list[Finding]:
    """Change rows as no request can, without the database's own checks; say what is found."""
    records = world.records()
    engine = sa.create_engine(world.url)  # SQLite enforces references only where told to
    try:
        with engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
            else:
                connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            change(connection, records)
            return verify(connection)  # and the changes go with the connection
    finally:
        engine.dispose()


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_found(busy: World, what: str) -> None:
    invariant, change = BROKEN[what]
    found = _by_hand(busy, change)
    assert invariant in {finding.invariant for finding in found}
    for finding in found:
        assert finding.table in t.metadata.tables
        assert finding.row
        assert finding.problem
        assert finding.remedy


def test_use_beyond_capacity_is_a_notice(busy: World) -> None:
    """Placement lets an inventory be lowered below its use, so it is no fault."""
    lowered = t.inventory.update().values(total=0, reserved=0, capacity=0)
    found = _by_hand(busy, lambda c, _: c.execute(lowered.where(t.inventory.c.used > 0)))
    assert {(one.invariant, one.notice) for one in found} == {("inventory.over", True)}


def test_what_the_keys_forbid_is_looked_for_all_the_same(busy: World) -> None:
    """A damaged index no longer forbids; no statement can bring that about, so rows are doubled."""
    records = busy.records()
    doubled = replace(
        records,
        port=[*records.port, records.port[0]],
        address=[*records.address, records.address[0]],
        segment=[*records.segment, records.segment[0]],
    )
    for check in (
        network.macs_are_given_once,
        network.addresses_are_given_once_and_fit,
        network.vlans_are_given_once,
    ):
        assert list(check(records)) == []
        (finding,) = check(doubled)
        assert "twice" in finding.problem or "two" in finding.problem
    twice = replace(records, claim=[*records.claim, records.claim[0]])
    assert [one.invariant for one in INVARIANTS[1](twice)] == ["device.claim"]
