"""Bandwidth is promised to ports by the cards that serve them: taken, changed and given back."""

import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import replace

from fleet import ADMIN, MEMBER, Fleet, fleet, pf_and_vfs
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.server import delete_server
from lanekeeper.control.compute.server_attach import attach_card, detach_card
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_nic import NicAsked
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.host.desired import desired_of
from lanekeeper.control.host.host import report_state
from lanekeeper.control.network.network import NetworkChange, list_networks, update_network
from lanekeeper.control.network.port import show_port, update_port
from lanekeeper.control.network.port_rules import PortChange
from lanekeeper.control.network.qos import (
    create_policies,
    create_rule,
    delete_rule,
    show_policy,
    update_rule,
)
from lanekeeper.control.placement.allocation import put_allocations
from lanekeeper.control.placement.allocation_view import show_consumer
from lanekeeper.control.placement.consumer import ConsumerClaim
from lanekeeper.control.placement.inventory import delete_inventory
from lanekeeper.control.placement.provider_label import put_traits
from lanekeeper.control.verify.verify import verify
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.errors import Conflict, Invalid
from lanekeeper.domain.network.bandwidth import group_id, interface_provider_id
from lanekeeper.domain.network.promise import EGRESS
from lanekeeper.domain.network.qos import Direction, QosPolicyWanted, RuleType
from lanekeeper.protocol import BandwidthFact, DeviceFact, HostState, ServerState
from lanekeeper.store.compute.server import ServerRecord, server_get
from lanekeeper.store.placement.bandwidth_provider import bandwidth_stocks
from lanekeeper.store.tables import resource_provider

pytestmark = pytest.mark.service

CARRIED = (
    BandwidthFact(interface="ens21f0", egress_kbps=10_000, ingress_kbps=8_000),
    BandwidthFact(interface="ens41f0", egress_kbps=4_000),
)


def cards(driver: str = "ice") -> list[DeviceFact]:
    found = [
        *pf_and_vfs("21", physical_network="physnet1"),
        *pf_and_vfs("41", physical_network="physnet1"),
    ]
    return [replace(one, driver=driver) if one.parent is None else one for one in found]


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path, hosts=0) as made:
        made.host("h1", cards(), bandwidths=CARRIED)
        made.seen()
        yield made
        with made.site.database.read() as connection:
            assert verify(connection) == []


def policy(world: Fleet, egress: int = 0, ingress: int = 0) -> str:
    (made,) = create_policies(world.site, MEMBER, [QosPolicyWanted(name="q")])
    for kbps, direction in ((egress, Direction.EGRESS), (ingress, Direction.INGRESS)):
        if kbps:
            values = {"kbps": kbps, "direction": direction}
            create_rule(world.site, MEMBER, made.id, RuleType.MINIMUM_BANDWIDTH, values)
    return made.id


def rule_of(world: Fleet, policy_id: str) -> str:
    return show_policy(world.site, MEMBER, policy_id).rules[0].id


def port(world: Fleet, policy_id: str | None = None, network: str | None = None) -> str:
    made = world.port(network or _network(world)).id
    if policy_id:
        update_port(world.site, ADMIN, made, PortChange(values={"qos_policy_id": policy_id}))
    return made


def _network(world: Fleet) -> str:
    seen = list_networks(world.site, ADMIN, {})
    return seen[0].id if seen else world.network()


def boot(world: Fleet, *ports: str, networks: Sequence[str] = ()) -> ServerRecord:
    flavor = create_flavor(world.site, Flavor(id="", name="m", vcpus=1, ram_mib=64, disk_gib=1))
    cards = [NicAsked(port_id=one) for one in ports] + [NicAsked(network_id=n) for n in networks]
    asked = NewServer(
        name="s", flavor_id=flavor.id, image_id=world.image(), networks=cards or "none"
    )
    (made,) = create_servers(world.site, ADMIN, asked)
    if made.host_id:
        world.report(made.id, "running")
    return made


def used(world: Fleet) -> dict[str, list[int]]:
    """Interface to what is used of it, egress and ingress."""
    with world.site.database.read() as connection:
        stocks = bandwidth_stocks(connection)
    ids = {interface_provider_id("h1", one.interface): one.interface for one in CARRIED}
    return {ids[id_]: [stock.used for _, stock in mine] for id_, mine in stocks.items()}


def test_a_host_s_interfaces_are_providers_as_neutron_names_them(world: Fleet) -> None:
    with world.site.database.read() as connection:
        rows = (
            connection.execute(
                resource_provider.select().where(resource_provider.c.owner == "bandwidth")
            )
            .mappings()
            .all()
        )
    agent, *interfaces = sorted(rows, key=lambda row: row["name"])
    assert (agent["name"], agent["parent_id"]) == ("h1:NIC Switch agent", world.hosts["h1"])
    assert [(row["name"], row["parent_id"]) for row in interfaces] == [
        ("h1:NIC Switch agent:ens21f0", agent["id"]),
        ("h1:NIC Switch agent:ens41f0", agent["id"]),
    ]


def test_what_a_port_is_promised_comes_from_the_pf_of_its_vf(world: Fleet) -> None:
    promised = policy(world, egress=6_000, ingress=2_000)
    one = port(world, promised)
    server = boot(world, one)
    shown = show_port(world.site, ADMIN, one)
    assert shown.profile["pci_slot"].startswith("0000:21:")
    ens21f0 = interface_provider_id("h1", "ens21f0")
    assert shown.profile["allocation"] == {group_id(one, shown.qos_rules): ens21f0}
    assert used(world) == {"ens21f0": [6_000, 2_000], "ens41f0": [0]}
    lines = show_consumer(world.site, server.id).taken
    assert {one.resource_class: one.amount for one in lines if one.provider_id == ens21f0} == {
        "NET_BW_EGR_KILOBIT_PER_SEC": 6_000,
        "NET_BW_IGR_KILOBIT_PER_SEC": 2_000,
    }
    delete_server(world.site, ADMIN, server.id)
    world.report(server.id, "absent")
    assert used(world) == {"ens21f0": [0, 0], "ens41f0": [0]}
    assert "allocation" not in show_port(world.site, ADMIN, one).profile


def test_two_ports_of_a_server_share_a_pf_and_one_leaves(world: Fleet) -> None:
    promised = policy(world, egress=5_000)
    one, two = port(world, promised), port(world, promised)
    server = boot(world, one, two)
    assert used(world)["ens21f0"] == [10_000, 0]
    detach_card(world.site, ADMIN, server.id, two)
    assert used(world)["ens21f0"] == [10_000, 0]
    with world.site.database.read() as connection:
        record = server_get(connection, server.id)
    assert record is not None
    (left,) = desired_of(world.site, world.hosts["h1"]).servers[0].nics
    guest = ServerState(
        id=server.id, power="running", generation=record.generation, devices=[left.device.address]
    )
    report_state(world.site, world.hosts["h1"], HostState(servers=[guest]))
    assert used(world)["ens21f0"] == [5_000, 0]


def test_a_port_that_finds_no_bandwidth_finds_no_host(world: Fleet) -> None:
    failed = boot(world, port(world, policy(world, egress=11_000)))
    assert failed.fault is not None
    assert "bandwidth turned away 1 of 1" in failed.fault["message"]
    assert used(world) == {"ens21f0": [0, 0], "ens41f0": [0]}


def test_a_network_s_policy_promises_to_the_ports_made_on_it(world: Fleet) -> None:
    network = world.network("promised", vlan=20)
    change = NetworkChange(values={"qos_policy_id": policy(world, egress=3_000)})
    update_network(world.site, ADMIN, network, change)
    boot(world, networks=[network])
    assert used(world) == {"ens21f0": [3_000, 0], "ens41f0": [0]}


def test_a_port_comes_to_a_server_that_runs_if_its_host_has_as_much(world: Fleet) -> None:
    server = boot(world)
    big = port(world, policy(world, egress=11_000))
    with pytest.raises(Invalid, match="PF ens21f0 has 10,000 of 10,000 kbit/s egress left"):
        attach_card(world.site, ADMIN, server.id, NicAsked(port_id=big))
    fits = port(world, policy(world, egress=10_000))
    attach_card(world.site, ADMIN, server.id, NicAsked(port_id=fits))
    assert used(world) == {"ens21f0": [10_000, 0], "ens41f0": [0]}


def test_a_rule_that_changes_takes_more_or_gives_back(world: Fleet) -> None:
    promised = policy(world, egress=6_000)
    one = port(world, promised)
    boot(world, one)
    rule = rule_of(world, promised)
    for kbps in (10_000, 1_000):
        update_rule(world.site, ADMIN, RuleType.MINIMUM_BANDWIDTH, rule, {"kbps": kbps})
        assert used(world)["ens21f0"] == [kbps, 0]
    with pytest.raises(Conflict, match="PF ens21f0 has 10,000 of 10,000 kbit/s") as refused:
        update_rule(world.site, ADMIN, RuleType.MINIMUM_BANDWIDTH, rule, {"kbps": 10_001})
    assert refused.value.code == "QosPlacementAllocationUpdateConflict"
    assert used(world)["ens21f0"] == [1_000, 0]
    delete_rule(world.site, ADMIN, RuleType.MINIMUM_BANDWIDTH, rule)
    assert used(world)["ens21f0"] == [0, 0]
    assert "allocation" not in show_port(world.site, ADMIN, one).profile


def test_a_bound_port_s_policy_comes_and_goes_with_what_it_promises(world: Fleet) -> None:
    one = port(world)
    boot(world, one)
    for promised in (policy(world, ingress=8_000), policy(world, egress=500), None):
        update_port(world.site, ADMIN, one, PortChange(values={"qos_policy_id": promised}))
    assert used(world) == {"ens21f0": [0, 0], "ens41f0": [0]}
    too_much = PortChange(values={"qos_policy_id": policy(world, ingress=8_001)})
    with pytest.raises(Conflict, match="8,000 of 8,000 kbit/s ingress left"):
        update_port(world.site, ADMIN, one, too_much)
    assert show_port(world.site, ADMIN, one).qos_policy_id is None


def test_an_interface_that_is_called_otherwise_keeps_what_its_ports_hold(world: Fleet) -> None:
    one = port(world, policy(world, egress=6_000))
    boot(world, one)
    renamed = [
        replace(fact, netdev="wan0") if fact.netdev == "ens21f0" else fact for fact in cards()
    ]
    world.host("h1", renamed, bandwidths=[replace(CARRIED[0], interface="wan0"), CARRIED[1]])
    wan0 = interface_provider_id("h1", "wan0")
    assert list(show_port(world.site, ADMIN, one).profile["allocation"].values()) == [wan0]
    with world.site.database.read() as connection:
        stocks = bandwidth_stocks(connection)
    assert [stock.used for _, stock in stocks[wan0]] == [6_000, 0]
    assert interface_provider_id("h1", "ens21f0") not in stocks


def test_what_is_no_longer_configured_is_held_until_it_is_given_back(world: Fleet) -> None:
    server = boot(world, port(world, policy(world, egress=6_000)))
    world.host("h1", cards())
    with world.site.database.read() as connection:
        ((_, stock),) = bandwidth_stocks(connection)[interface_provider_id("h1", "ens21f0")]
    assert (stock.used, stock.capacity) == (6_000, 0)
    delete_server(world.site, ADMIN, server.id)
    world.report(server.id, "absent")
    world.host("h1", cards())
    with world.site.database.read() as connection:
        assert bandwidth_stocks(connection) == {}


@pytest.mark.parametrize(("driver", "told"), [("ice", 6), ("igb", 0)])
def test_a_guarantee_is_set_on_the_vf_where_the_driver_can(
    world: Fleet, driver: str, told: int
) -> None:
    world.host("h1", cards(driver), bandwidths=CARRIED)
    boot(world, port(world, policy(world, egress=6_000)))
    (server,) = desired_of(world.site, world.hosts["h1"]).servers
    assert server.nics[0].min_tx_mbps == told


def test_of_rivals_no_more_are_promised_than_there_is(world: Fleet) -> None:
    promised = policy(world, egress=4_000)
    ports = [port(world, promised) for _ in range(5)]
    flavor = create_flavor(world.site, Flavor(id="", name="m", vcpus=1, ram_mib=64, disk_gib=1))
    image = world.image()

    def create(one: str) -> bool:
        cards = [NicAsked(port_id=one)]
        asked = NewServer(name="s", flavor_id=flavor.id, image_id=image, networks=cards)
        return create_servers(world.site, ADMIN, asked)[0].host_id is not None

    with ThreadPoolExecutor(5) as pool:
        placed = list(pool.map(create, ports))
    assert sorted(placed) == [False, False, True, True, True]
    assert used(world) == {"ens21f0": [8_000, 0], "ens41f0": [4_000]}


def test_clients_of_placement_do_not_write_what_the_agent_tells(world: Fleet) -> None:
    ens21f0 = interface_provider_id("h1", "ens21f0")
    with pytest.raises(Conflict, match="its host's agent is configured with"):
        delete_inventory(world.site, ens21f0, EGRESS)
    with pytest.raises(Conflict, match="follow the networks that its interface reaches"):
        put_traits(world.site, ens21f0, None, set())
    claim = ConsumerClaim(
        consumer_id=str(uuid.uuid4()),
        amounts={ens21f0: {EGRESS: 1}},
        project_id="p",
        user_id="u",
    )
    with pytest.raises(Conflict, match="follows ports"):
        put_allocations(world.site, [claim])
