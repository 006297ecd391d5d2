"""Capacity says n where n creations succeed and the next one fails."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from control.test_dry_run import flavors, populate
from fleet import ADMIN, MEMBER, PROJECT, Fleet, config, fleet, pf_and_vfs
from lanekeeper.api.lanekeeper.face import FACE
from lanekeeper.cli.capacity import answer_text
from lanekeeper.control.compute.capacity import capacity
from lanekeeper.control.compute.explain import explain
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.question import Question, wants_of
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_group import create_group
from lanekeeper.control.compute.server_nic import NicAsked
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.identity.limit import NewLimit, create_registered_limits
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.compute.server_group import GroupPolicy
from lanekeeper.domain.errors import Conflict, Error, Forbidden, Invalid, OverQuota
from lanekeeper.domain.identity.project import Project
from lanekeeper.domain.scheduling.capacity import Capacity
from lanekeeper.domain.scheduling.claimed import claimed
from lanekeeper.domain.scheduling.filter_choice import filters_of
from lanekeeper.domain.scheduling.selection import select_hosts
from lanekeeper.domain.scheduling.server_filter import located
from lanekeeper.store.identity.project import project_insert
from lanekeeper.store.tables import subnet

pytestmark = pytest.mark.service

_MOST = 30
URL = "/lanekeeper/v1/capacity"


@pytest.mark.parametrize("seed", range(6))
def test_as_many_as_it_says_can_be_created_and_not_one_more(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    with fleet(f"sqlite:///{tmp_path}/x.db", tmp_path, config(), hosts=0) as world:
        populate(world, draw)
        named, image = flavors(world), world.image()
        network = world.network()
        groups = [
            create_group(world.site, ADMIN, policy, policy, None).id for policy in GroupPolicy
        ]
        for _ in range(3):
            asked: dict[str, Any] = {
                "zone": draw.choice((None, None, "nova", "west")),
                "hints": draw.choice(({}, {}, *({"group": one} for one in groups))),
            }
            cards = draw.choice(((), (network,), (network, network)))
            flavor = draw.choice(named)
            question = Question(flavor=flavor, image_id=image, networks=cards, **asked)
            try:
                told = capacity(world.site, ADMIN, question, most=_MOST)
            except Error:
                continue  # what cannot be asked for cannot be counted
            order = NewServer(
                name="s", flavor_id=flavor, image_id=image,
                networks=[NicAsked(network_id=one) for one in cards], **asked,
            )  # fmt: skip
            made = [create_servers(world.site, ADMIN, order)[0] for _ in range(told.count + 1)]
            placed = Counter(one.host_name for one in made[:-1])
            assert None not in placed
            assert told.is_more == (made[-1].host_id is not None)
            if not told.is_more:
                assert placed == {room.host: room.count for room in told.rooms}
            assert sum(one.count for one in told.shut) + len(told.rooms) <= told.hosts


@pytest.mark.parametrize("seed", range(4))
def test_a_claim_in_memory_is_the_claim_in_the_database(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    compared = 0
    with fleet(f"sqlite:///{tmp_path}/x.db", tmp_path, config(), hosts=0) as world:
        populate(world, draw, hosts=2)
        named, image = flavors(world), world.image()
        networks = [world.network("one", vlan=15)]
        networks += [world.network("two", vlan=16, physical_network="physnet2")]
        apart = create_group(world.site, ADMIN, "g", GroupPolicy.SOFT_ANTI_AFFINITY, None).id
        for _ in range(18):
            flavor = draw.choice(named[:-1])
            cards = draw.sample(networks, draw.choice((0, 0, 1)))
            hints = draw.choice(({}, {"group": apart}))
            question = Question(flavor=flavor, networks=tuple(cards), hints=hints)
            with world.site.database.read() as connection:
                request = wants_of(connection, world.site, ADMIN, question).request
            hosts = world.site.hosts()
            filters = filters_of(world.site.config.scheduler.enabled_filters)
            choices = select_hosts(located(request, hosts), hosts, filters).choices
            order = NewServer(
                name="s", flavor_id=flavor, image_id=image, hints=hints,
                networks=[NicAsked(network_id=one) for one in cards],
            )  # fmt: skip
            (made,) = create_servers(world.site, ADMIN, order)
            assert (made.host_id is None) == (not choices)
            if made.host_id is not None:
                there = world.site.hosts().view(made.host_id)
                assert there is not None
                expected = claimed(request, choices[0], made.id)
                assert replace(expected, generation=0) == replace(there, generation=0)
                compared += 1
    assert compared


@pytest.fixture
def world(tmp_path: Path) -> Any:
    with fleet(f"sqlite:///{tmp_path}/x.db", tmp_path, hosts=0) as made:
        made.host("h1", pf_and_vfs("41", 3))
        made.host("h2", pf_and_vfs("41", 2), disk_gib=1)
        made.host("h3", ())
        specs = {"pci_passthrough:alias": "a1:1"}
        new = Flavor(id="f", name="f", vcpus=1, ram_mib=64, disk_gib=1, extra_specs=specs)
        create_flavor(made.site, new)
        yield made


def counted(world: Fleet, **more: Any) -> Capacity:
    return capacity(world.site, ADMIN, Question(flavor="f"), **{"most": 100, **more})


def test_it_says_where_and_what_runs_out_first(world: Fleet) -> None:
    told = counted(world)
    assert [(room.host, room.count) for room in told.rooms] == [("h1", 3), ("h2", 1)]
    assert [room.limit.code for room in told.rooms if room.limit] == ["devices", "disk"]
    assert told.summary().startswith("4 more fit, on 2 of 3 hosts.")
    (shut,) = told.shut
    assert (shut.hosts, shut.verdict.code) == (("h3",), "devices")


def test_a_host_can_be_thought_away(world: Fleet) -> None:
    assert counted(world, without=["h1"]).count == 1
    assert counted(world, without=["h1", "h2"]).summary().startswith("0 more fit, on 0 of 1 hosts.")
    with pytest.raises(Invalid, match="no host is called 'h9'"):
        counted(world, without=["h9"])


def test_counting_stops_where_it_is_told(world: Fleet) -> None:
    told = counted(world, most=2)
    assert (told.count, told.is_more) == (2, True)
    assert told.summary() == "at least 2 more fit, on 1 of 3 hosts."
    told = counted(world, most=3)  # the first host is full then, and another has room
    assert (told.count, told.is_more) == (3, True)
    assert (counted(world, most=4).count, counted(world, most=4).is_more) == (4, False)


def few_addresses(world: Fleet, network_id: str, count: int) -> None:
    """Have the pool of the network's subnet hold so many addresses."""
    pool = [{"start": "10.0.15.10", "end": f"10.0.15.{9 + count}"}]
    with world.site.database.engine.begin() as connection:
        mine = subnet.c.network_id == network_id
        connection.execute(subnet.update().where(mine).values(allocation_pools=pool))


def order_on(networks: list[str], image: str) -> NewServer:
    cards = [NicAsked(network_id=one) for one in networks]
    return NewServer(name="s", flavor_id="n", image_id=image, networks=cards)


@pytest.fixture
def ported(world: Fleet) -> Fleet:
    """A host with seven VFs for ports, and a flavor without devices."""
    world.host("h4", pf_and_vfs("21", 7, physical_network="physnet1"))
    create_flavor(world.site, Flavor(id="n", name="n", vcpus=1, ram_mib=64, disk_gib=1))
    return world


@pytest.mark.parametrize(("cards", "fit"), [(1, 5), (2, 2)])
def test_addresses_run_out_before_hosts_do(ported: Fleet, cards: int, fit: int) -> None:
    network, image = ported.network(), ported.image()
    few_addresses(ported, network, 5)
    question = Question(flavor="n", networks=(network,) * cards)
    told = capacity(ported.site, ADMIN, question, most=100)
    assert (told.count, told.room) == (fit, 7 // cards)
    assert told.summary().startswith(
        f"{fit} more fit; hosts have room for {7 // cards}, on 1 of 4. addresses runs out first: "
        f"subnet web (10.0.15.0/24) has 5 addresses free, each server takes {cards}. "
        "What would help: delete ports, or give the subnet more"
    )
    for _ in range(fit):
        assert explain(ported.site, ADMIN, question).fits
        create_servers(ported.site, ADMIN, order_on([network] * cards, image))
    with pytest.raises(Conflict, match="no free address is left"):
        create_servers(ported.site, ADMIN, order_on([network] * cards, image))
    with pytest.raises(
        Conflict, match="no free address is left"
    ):  # the dry run says what creations do
        explain(ported.site, ADMIN, question)


def test_a_port_is_a_pattern_whose_addresses_each_server_takes(ported: Fleet) -> None:
    network = ported.network()
    few_addresses(ported, network, 1)
    port = ported.port(network)  # has the one that there is
    question = Question(flavor="n", ports=(port.id,))
    assert explain(ported.site, ADMIN, question).fits
    assert capacity(ported.site, ADMIN, question, most=100).count == 0
    few_addresses(ported, network, 4)
    assert capacity(ported.site, ADMIN, question, most=100).count == 3


def test_a_network_without_a_subnet_bounds_nothing(ported: Fleet) -> None:
    network = ported.network()
    with ported.site.database.engine.begin() as connection:
        connection.execute(subnet.delete().where(subnet.c.network_id == network))
    question = Question(flavor="n", networks=(network,))
    told = capacity(ported.site, ADMIN, question, most=100)
    assert (told.count, told.bounds) == (7, ())


@pytest.mark.parametrize(
    ("resource", "limit"),
    [("servers", 2), ("class:CUSTOM_PCI_8086_10CA", 2), ("alias:a1", 3), ("class:VCPU", 1)],
)
def test_the_quota_of_a_named_project_counts(world: Fleet, resource: str, limit: int) -> None:
    create_registered_limits(world.site, [NewLimit(resource_name=resource, amount=limit)])
    project = Project(id=PROJECT, name="mine")
    world.site.database.write(lambda connection: project_insert(connection, project))
    told = counted(world, project=PROJECT)
    assert (told.count, told.room) == (limit, 4)
    assert f"quota runs out first: the project has no quota for one more: {resource}: " in (
        told.summary()
    )
    assert counted(world).count == 4  # nobody's servers are bound by none
    order = NewServer(name="s", flavor_id="f", image_id=world.image())
    for _ in range(limit):
        assert create_servers(world.site, ADMIN, order)[0].host_id
    with pytest.raises(OverQuota):
        create_servers(world.site, ADMIN, order)
    assert counted(world, project="mine").count == 0


def test_an_admin_may_ask_for_the_server_of_another_project(world: Fleet) -> None:
    create_registered_limits(world.site, [NewLimit(resource_name="servers", amount=1)])
    other = Project(id="7" * 32, name="theirs")
    world.site.database.write(lambda connection: project_insert(connection, other))
    order = NewServer(name="s", flavor_id="f", image_id=world.image())
    assert create_servers(world.site, ADMIN, order)[0].host_id
    question = Question(flavor="f")
    with pytest.raises(OverQuota):
        explain(world.site, ADMIN, question)
    for name in ("theirs", other.id):
        assert explain(world.site, ADMIN, question, project=name).fits
    with pytest.raises(Forbidden, match="only an admin"):
        explain(world.site, MEMBER, question, project="theirs")
    asked = world.client(FACE).post("/lanekeeper/v1/explain", json={"flavor": "f", "project": "no"})
    assert (asked.status_code, "project 'no' does not exist" in asked.text) == (400, True)


def test_a_project_that_is_not_there_is_said(world: Fleet) -> None:
    with pytest.raises(Invalid, match="project 'nobody' does not exist"):
        counted(world, project="nobody")


def test_counting_takes_nothing_and_is_for_admins(world: Fleet) -> None:
    http = world.client(FACE)
    first, second = (http.post(URL, json={"flavor": "f"}).json() for _ in range(2))
    assert first == second
    lines = list(answer_text(first))
    assert lines[1].startswith("  h1: 3; then alias a1 needs 1; of 3 that fit 0 are free, 3 are")
    assert lines[3].startswith("  h3: 0; alias a1 needs 1, and no device listed here fits")
    assert http.post(URL, json={"flavor": "f", "most": 0}).status_code == 400
    assert world.client(FACE, who="member").post(URL, json={"flavor": "f"}).status_code == 403
