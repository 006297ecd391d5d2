"""Capacity says n where n creations succeed and the next one fails."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from control.test_dry_run import flavors, populate
from fleet import ADMIN, Fleet, config, fleet, pf_and_vfs
from lanekeeper.api.lanekeeper.face import FACE
from lanekeeper.cli.capacity import answer_text
from lanekeeper.control.compute.capacity import capacity
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.question import Question, wants_of
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_group import create_group
from lanekeeper.control.compute.server_nic import NicAsked
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.compute.server_group import GroupPolicy
from lanekeeper.domain.errors import Error, Invalid
from lanekeeper.domain.scheduling.capacity import Capacity
from lanekeeper.domain.scheduling.claimed import claimed
from lanekeeper.domain.scheduling.filter_choice import filters_of
from lanekeeper.domain.scheduling.selection import select_hosts
from lanekeeper.domain.scheduling.server_filter import located

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


def test_counting_takes_nothing_and_is_for_admins(world: Fleet) -> None:
    http = world.client(FACE)
    first, second = (http.post(URL, json={"flavor": "f"}).json() for _ in range(2))
    assert first == second
    lines = list(answer_text(first))
    assert lines[1].startswith("  h1: 3; then alias a1 needs 1; of 3 that fit 0 are free, 3 are")
    assert lines[3].startswith("  h3: 0; alias a1 needs 1, and no device listed here fits")
    assert http.post(URL, json={"flavor": "f", "most": 0}).status_code == 400
    assert world.client(FACE, who="member").post(URL, json={"flavor": "f"}).status_code == 403
