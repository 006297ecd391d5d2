"""A host that is younger than the database: what can be read back is, what cannot is set aside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from fleet import ADMIN, PROJECT, Fleet, fleet, lab_devices, pf_and_vfs
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.quota import quota_of
from lanekeeper.control.compute.server import delete_server
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_nic import NicAsked
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.host.adoption import Adoption, adopt_host
from lanekeeper.control.host.desired import desired_of
from lanekeeper.control.host.facts import report_facts
from lanekeeper.control.host.host import check_history, report_state
from lanekeeper.control.identity.limit import NewLimit, create_registered_limits
from lanekeeper.control.network.port import show_port, update_port
from lanekeeper.control.network.port_rules import PortChange
from lanekeeper.control.network.qos import create_policies, create_rule
from lanekeeper.control.verify.verify import verify
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.network.qos import QosPolicyWanted, RuleType
from lanekeeper.protocol import BandwidthFact, HostFacts, HostState, ServerState, ServerWanted
from lanekeeper.store import tables as t
from lanekeeper.store.compute.server import ServerRecord, server_get
from lanekeeper.store.host.host import host_get
from lanekeeper.store.network.port import port_show


@dataclass(frozen=True)
class World:
    """One host whose agent remembers what it was told; the rows are what the test makes of them."""

    fleet: Fleet
    image: str
    network: str

    @property
    def host(self) -> str:
        return self.fleet.hosts["h1"]

    def create(self, port_id: str | None = None, alias: str = "a1:1") -> ServerWanted:
        """A running server, as its agent was told of it."""
        specs = {"pci_passthrough:alias": alias} if alias else {}
        flavor = create_flavor(
            self.fleet.site,
            Flavor(id="", name=f"f-{alias}-{port_id}", vcpus=2, ram_mib=64, disk_gib=1,
                   extra_specs=specs),
        )  # fmt: skip
        nic = NicAsked(port_id=port_id) if port_id else NicAsked(network_id=self.network)
        asked = NewServer(
            name="kept by its host",
            image_id=self.image,
            flavor_id=flavor.id,
            networks=[nic] if port_id != "none" else "none",
            metadata={"tier": "web"},
            tags=["a"],
        )
        (made,) = create_servers(self.fleet.site, ADMIN, asked)
        self.fleet.report(made.id, "running")
        return next(
            one for one in desired_of(self.fleet.site, self.host).servers if one.id == made.id
        )

    def forget(self, server_id: str) -> None:
        """Have the rows be of a time before the server."""
        delete_server(self.fleet.site, ADMIN, server_id)
        self.fleet.report(server_id, "absent")
        self.fleet.clean(self.host)

    def freeze(self, *guests: ServerState, bandwidths: Sequence[BandwidthFact] = ()) -> None:
        """Have the agent say that it has obeyed what nobody ordered, and what it has."""
        with pytest.raises(Conflict, match="frozen"):
            check_history(self.fleet.site, self.host, "900.feedfeed")
        facts = HostFacts(
            host_name="h1", vcpus=64, memory_mib=262144, disk_gib=2000, devices=lab_devices(),
            mappings={"physnet1": ["ens21f0"]}, bandwidths=list(bandwidths),
        )  # fmt: skip
        report_facts(self.fleet.site, self.host, facts)
        report_state(self.fleet.site, self.host, HostState(servers=list(guests)))

    def adopt(self, *, dry_run: bool = False) -> Adoption:
        return adopt_host(self.fleet.site, ADMIN, self.host, dry_run=dry_run)

    def server(self, server_id: str) -> ServerRecord | None:
        with self.fleet.site.database.read() as connection:
            return server_get(connection, server_id)

    def states(self) -> dict[str, str]:
        with self.fleet.site.database.read() as connection:
            return {row.address: row.state for row in connection.execute(sa.select(t.device))}

    def write(self, statement: Any) -> None:
        self.fleet.site.database.write(lambda connection: connection.execute(statement))

    def is_sound(self) -> bool:
        with self.fleet.site.database.read() as connection:
            return verify(connection) == []


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    with fleet(database_url, tmp_path) as made:
        yield World(made, made.image(), made.network())


def guest(told: ServerWanted, *, memo: str | None = None) -> ServerState:
    """What a frozen host says of a guest that runs as it was told."""
    devices = [nic.device.address for nic in told.nics] + [one.address for one in told.devices]
    return ServerState(
        id=told.id,
        power="running",
        generation=told.generation,
        devices=devices,
        memo=told.memo if memo is None else memo,
    )


def test_a_server_comes_back_as_it_was(world: World) -> None:
    told = world.create()
    before = world.server(told.id)
    assert before is not None
    world.forget(told.id)
    world.freeze(guest(told))
    assert world.adopt(dry_run=True).made == (told.id,)
    assert world.server(told.id) is None
    assert world.adopt().made == (told.id,)
    after = world.server(told.id)
    assert after is not None
    for name in ("name", "project_id", "user_id", "flavor", "metadata", "tags", "port_ids",
                 "device_requests", "image_id", "created_at", "vm_state", "wanted"):  # fmt: skip
        assert getattr(after, name) == getattr(before, name), name
    (again,) = desired_of(world.fleet.site, world.host).servers
    assert (again.nics, again.devices) == (told.nics, told.devices)
    assert again.generation == told.generation  # nothing is to be done
    assert desired_of(world.fleet.site, world.host).generation > 900
    assert world.is_sound()


def test_it_comes_back_whatever_the_quota_and_counts_as_before(world: World) -> None:
    told, site = world.create(), world.fleet.site
    before = quota_of(site, ADMIN, PROJECT).used
    world.forget(told.id)
    create_registered_limits(site, [NewLimit(resource_name="servers", amount=0)])
    world.freeze(guest(told))
    assert world.adopt().made == (told.id,)
    assert quota_of(site, ADMIN, PROJECT).used == before
    assert before["alias:a1"] == 1


def test_a_port_that_is_still_there_is_taken_again(world: World) -> None:
    port = world.fleet.port(world.network)
    told = world.create(port.id)
    world.forget(told.id)
    world.freeze(guest(told))
    assert world.adopt().made == (told.id,)
    with world.fleet.site.database.read() as connection:
        again = port_show(connection, port.id)
    assert again is not None
    assert (again.device_id, again.mac, again.host_name) == (told.id, port.mac, "h1")
    assert world.is_sound()


@pytest.mark.parametrize("carried", [10_000, 5_000, None])
def test_a_port_holds_its_bandwidth_again_as_far_as_it_is_counted(
    world: World, carried: int | None
) -> None:
    """Also more than there is now: the guest has it."""
    fact = BandwidthFact(interface="ens21f0", egress_kbps=10_000)
    world.fleet.host("h1", bandwidths=[fact])
    (policy,) = create_policies(world.fleet.site, ADMIN, [QosPolicyWanted(name="q")])
    create_rule(world.fleet.site, ADMIN, policy.id, RuleType.MINIMUM_BANDWIDTH, {"kbps": 8_000})
    port = world.fleet.port(world.network)
    change = PortChange(values={"qos_policy_id": policy.id})
    update_port(world.fleet.site, ADMIN, port.id, change)
    told = world.create(port.id)
    world.forget(told.id)
    now = [] if carried is None else [replace(fact, egress_kbps=carried)]
    world.freeze(guest(told), bandwidths=now)
    world.adopt()
    shown = show_port(world.fleet.site, ADMIN, port.id)
    assert shown.held.egress_kbps == (8_000 if carried else 0)
    assert ("allocation" in shown.profile) is (carried is not None)
    with world.fleet.site.database.read() as connection:
        assert [one for one in verify(connection) if not one.notice] == []


def _change_host(host_id: str, values: dict[str, Any], connection: sa.Connection) -> None:
    connection.execute(t.host.update().where(t.host.c.id == host_id).values(values))


SPOILT: dict[str, Callable[[datetime], dict[str, Any]]] = {
    "another credential": lambda now: {"refused_at": now},
    "revoked": lambda now: {"credential_hash": ""},
}


def test_a_host_that_says_little_is_not_adopted(world: World) -> None:
    with pytest.raises(Conflict, match="is not frozen"):
        world.adopt()
    world.freeze()
    world.fleet.hands.turn(10_000)
    told: dict[str, str] = {}
    for why, spoil in SPOILT.items():
        world.fleet.site.database.write(
            partial(_change_host, world.host, spoil(world.fleet.site.clock()))
        )
        with pytest.raises(Conflict) as refused:
            world.adopt()
        told[why] = f"{refused.value} {refused.value.hint}"
    assert "is refused (401, last at " in told["another credential"]
    assert "its credential was revoked" in told["revoked"]
    assert all("agent token --host-name h1" in text for text in told.values())
    world.fleet.site.database.write(
        partial(_change_host, world.host, {"credential_hash": "x", "refused_at": None})
    )
    with pytest.raises(Conflict, match="its agent was last heard"):
        world.adopt()


def test_a_server_without_its_guest_is_an_error_and_its_devices_are_cleaned(world: World) -> None:
    told = world.create()
    doomed = world.create("none")
    delete_server(world.fleet.site, ADMIN, doomed.id)
    world.freeze()
    assert set(world.adopt().lost) == {told.id, doomed.id}
    left = world.server(told.id)
    assert left is not None
    assert left.fault is not None
    assert (left.vm_state, left.host_id) == ("error", None)
    assert "does not have this server's guest" in left.fault["message"]
    assert world.server(doomed.id) is None  # its end had been ordered
    assert sorted(world.states().values()).count("cleaning") == 3
    assert world.is_sound()
    delete_server(world.fleet.site, ADMIN, told.id)
    assert world.server(told.id) is None


def test_power_is_as_the_host_has_it(world: World) -> None:
    told = world.create()
    world.freeze(ServerState(id=told.id, power="stopped", generation=told.generation + 3))
    assert world.adopt().kept == (told.id,)
    after = world.server(told.id)
    assert after is not None
    assert (after.vm_state, after.wanted) == ("stopped", "stopped")
    assert after.generation == told.generation + 3


def _no_memo(world: World, told: ServerWanted) -> str:
    return ""


def _rubbish(world: World, told: ServerWanted) -> str:
    return "{not json"


def _half(world: World, told: ServerWanted) -> str:
    memo = msgspec.json.decode(told.memo)
    del memo["claims"]
    return msgspec.json.encode(memo).decode()


def _of_another(world: World, told: ServerWanted) -> str:
    return told.memo.replace(told.id, "00000000-0000-0000-0000-000000000000")


def _mac_given(world: World, told: ServerWanted) -> str:
    port = world.fleet.port(world.network)
    world.write(t.port.update().where(t.port.c.id == port.id).values(mac_address=told.nics[0].mac))
    return told.memo


def _network_gone(world: World, told: ServerWanted) -> str:
    world.write(t.address.delete())
    world.write(t.subnet.delete())
    world.write(t.network.delete().where(t.network.c.id == world.network))
    return told.memo


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_no_memo, "keeps nothing of it"),
        (_rubbish, "cannot be read"),
        (_half, "cannot be read"),
        (_of_another, "is of server 00000000"),
        (_mac_given, "is given already"),
        (_network_gone, "FOREIGN KEY|foreign key|just deleted"),
    ],
)
def test_what_cannot_be_read_back_is_listed_and_its_devices_set_aside(
    world: World, spoil: Any, reason: str
) -> None:
    told = world.create()
    world.forget(told.id)
    state = guest(told, memo=spoil(world, told))
    world.freeze(state)
    (unknown,) = world.adopt().unknown
    assert unknown.id == told.id
    assert any(word in unknown.reason for word in reason.split("|")), unknown.reason
    assert set(unknown.devices) == set(state.devices)
    states = world.states()
    assert {states[address] for address in state.devices} == {"quarantined"}
    assert world.server(told.id) is None
    assert world.is_sound()
    with world.fleet.site.database.read() as connection:
        record = host_get(connection, world.host)
    assert not record.enabled  # or its CPUs and memory were given away twice
    assert told.id in record.disabled_reason


def test_what_the_host_no_longer_has_room_for_stays_unknown(world: World) -> None:
    told = world.create()
    world.forget(told.id)
    world.freeze(guest(told))
    small = HostFacts(
        host_name="h1", vcpus=64, memory_mib=32, disk_gib=2000, devices=lab_devices(),
        mappings={"physnet1": ["ens21f0"]},
    )  # fmt: skip
    report_facts(world.fleet.site, world.host, small)
    (unknown,) = world.adopt().unknown
    assert "MEMORY_MB" in unknown.reason
    assert world.is_sound()


def test_devices_that_differ_are_as_the_host_has_them(world: World) -> None:
    """The rows gave the server another VF than its guest has: the guest is right."""
    told = world.create("none")
    memo = msgspec.json.decode(told.memo)
    other = next(
        one.address
        for one in pf_and_vfs("41")
        if one.parent and one.address != told.devices[0].address
    )
    memo["claims"][0]["address"] = other
    state = msgspec.structs.replace(
        guest(told), devices=[other], memo=msgspec.json.encode(memo).decode()
    )
    world.freeze(state)
    assert world.adopt().made == (told.id,)
    states = world.states()
    assert states[other] == "held"
    assert states[told.devices[0].address] == "cleaning"
    assert world.is_sound()
