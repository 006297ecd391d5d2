"""Servers that are kept together or apart, also when many come at once."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from msgspec.structs import replace as replace_field

from fleet import ADMIN, MEMBER, STRANGER, Fleet, config, fleet
from lanekeeper.config.scheduler import Scheduler
from lanekeeper.control.compute.explain import explain
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.question import Question
from lanekeeper.control.compute.server import delete_server
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_group import create_group, delete_group, show_group
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.compute.server_group import GroupPolicy
from lanekeeper.domain.errors import Invalid, NotFound, NotOffered
from lanekeeper.store.compute.server import ServerRecord

pytestmark = pytest.mark.service

_HINTS = ("SameHostFilter", "DifferentHostFilter")


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    filters = (*Scheduler().enabled_filters, *_HINTS)
    # What is free of CPUs, memory and disk counts three times as much as a wish, as in Nova.
    scheduler = Scheduler(
        enabled_filters=filters,
        soft_affinity_weight_multiplier=4.0,
        soft_anti_affinity_weight_multiplier=4.0,
    )
    settings = replace_field(config(), scheduler=scheduler)
    with fleet(database_url, tmp_path, settings, hosts=0) as made:
        for name in ("h1", "h2", "h3"):
            made.host(name, ())
        yield made


@pytest.fixture
def order(world: Fleet) -> dict[str, Any]:
    return order_in(world)


def order_in(world: Fleet) -> dict[str, Any]:
    made = create_flavor(
        world.site, Flavor(id="", name="m1", vcpus=1, ram_mib=64, disk_gib=1, extra_specs={})
    )
    return {"name": "s", "image_id": world.image(), "flavor_id": made.id}


def create(world: Fleet, order: dict[str, Any], **hints: Any) -> ServerRecord:
    (made,) = create_servers(world.site, MEMBER, NewServer(**order, hints=hints))
    return made


def group(world: Fleet, policy: GroupPolicy, max_per_host: int | None = None) -> str:
    return create_group(world.site, MEMBER, "g", policy, max_per_host).id


def race(world: Fleet, order: dict[str, Any], group_id: str, count: int) -> list[str]:
    """Create servers of a group at the same moment; return their hosts, empty for none."""
    start = Barrier(count)

    def one(_: int) -> str:
        start.wait(timeout=60)
        return create(world, order, group=group_id).host_name or ""

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_anti_affinity_is_not_lost_when_many_come_at_once(
    world: Fleet, order: dict[str, Any]
) -> None:
    apart = group(world, GroupPolicy.ANTI_AFFINITY)
    assert Counter(race(world, order, apart, 8)) == {"h1": 1, "h2": 1, "h3": 1, "": 5}
    assert len(show_group(world.site, MEMBER, apart).members) == 8


def test_affinity_is_not_lost_when_many_come_at_once(world: Fleet, order: dict[str, Any]) -> None:
    places = race(world, order, group(world, GroupPolicy.AFFINITY), 8)
    assert set(places) < {"h1", "h2", "h3"}
    assert len(set(places)) == 1


def test_a_rule_lets_a_host_have_several(world: Fleet, order: dict[str, Any]) -> None:
    apart = group(world, GroupPolicy.ANTI_AFFINITY, 2)
    places = race(world, order, apart, 7)
    assert Counter(places) == {"h1": 2, "h2": 2, "h3": 2, "": 1}


def test_soft_policies_are_wishes(world: Fleet, order: dict[str, Any]) -> None:
    near, apart = (
        group(world, GroupPolicy.SOFT_AFFINITY),
        group(world, GroupPolicy.SOFT_ANTI_AFFINITY),
    )
    assert len({create(world, order, group=near).host_name for _ in range(3)}) == 1
    places = [create(world, order, group=apart).host_name for _ in range(4)]
    assert sorted(Counter(places).values()) == [1, 1, 2]


def test_a_full_group_says_why_and_room_comes_back(world: Fleet, order: dict[str, Any]) -> None:
    apart = group(world, GroupPolicy.ANTI_AFFINITY)
    first, *_ = [create(world, order, group=apart) for _ in range(3)]
    refused = create(world, order, group=apart)
    assert refused.vm_state == "error"
    assert refused.fault is not None
    assert "server_group_anti_affinity turned away 3 of 3" in refused.fault["message"]
    assert "h1" not in refused.fault["told"]
    delete_server(world.site, MEMBER, first.id)
    assert create(world, order, group=apart).host_name is None  # its guest is there yet
    world.report(first.id, "absent")
    assert create(world, order, group=apart).host_name == first.host_name


def test_explain_says_what_a_creation_does(world: Fleet, order: dict[str, Any]) -> None:
    near = group(world, GroupPolicy.AFFINITY)
    made = create(world, order, group=near)
    answer = explain(world.site, ADMIN, Question(flavor="m1", hints={"group": near}))
    assert [one.hosts for one in answer.hosts if one.rank == 1] == [(made.host_name,)]
    others = [one.verdicts[0]["filter"] for one in answer.hosts if one.rank is None]
    assert others == ["server_group_affinity"] * 2


def test_near_and_not_near_other_servers(world: Fleet, order: dict[str, Any]) -> None:
    first = create(world, order)
    near = create(world, order, same_host=[first.id])
    assert near.host_name == first.host_name
    far = create(world, order, different_host=first.id)
    assert far.host_name not in (None, first.host_name)
    both = create(world, order, different_host=[first.id, far.id])
    assert both.host_name not in (None, first.host_name, far.host_name)
    nowhere = create(world, order, different_host=[first.id, far.id, both.id])
    assert nowhere.fault is not None
    assert "different_host turned away 3 of 3" in nowhere.fault["message"]


@pytest.mark.parametrize(
    ("hints", "kind", "words"),
    [
        ({"group": "web"}, Invalid, "'web' is not a UUID"),
        ({"group": str(uuid4())}, Invalid, "could not be found"),
        ({"same_host": str(uuid4())}, Invalid, "none of the servers"),
        ({"same_host": [7]}, Invalid, "hint same_host: '7' is not a UUID"),
        ({"build_near_host_ip": "192.0.2.1"}, NotOffered, "hosts have no addresses here"),
        ({"query": "[]"}, NotOffered, "JsonFilter"),
    ],
)
def test_hints_that_are_wrong_are_refused(
    world: Fleet, order: dict[str, Any], hints: dict[str, Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        create(world, order, **hints)


def test_others_groups_and_servers_are_not_seen(world: Fleet, order: dict[str, Any]) -> None:
    theirs = create_group(world.site, STRANGER, "g", GroupPolicy.AFFINITY, None)
    with pytest.raises(Invalid, match="could not be found"):
        create(world, order, group=theirs.id)
    with pytest.raises(NotFound):
        delete_group(world.site, MEMBER, theirs.id)
    mine = create(world, order)
    with pytest.raises(Invalid, match="none of the servers"):
        create_servers(world.site, STRANGER, NewServer(**order, hints={"same_host": mine.id}))


def test_a_policy_whose_filter_is_off_is_refused(database_url: str, tmp_path: Path) -> None:
    settings = replace_field(config(), scheduler=Scheduler(enabled_filters=("ComputeFilter",)))
    with fleet(database_url, tmp_path, settings, hosts=0) as world:
        apart, order = group(world, GroupPolicy.ANTI_AFFINITY), order_in(world)
        for hints, name in (
            ({"group": apart}, "ServerGroupAntiAffinityFilter"),
            ({"same_host": str(uuid4())}, "SameHostFilter"),
        ):
            with pytest.raises(NotOffered, match=name):
                create(world, order, **hints)


def test_a_group_may_go_before_its_servers(world: Fleet, order: dict[str, Any]) -> None:
    apart = group(world, GroupPolicy.ANTI_AFFINITY)
    made = create(world, order, group=apart)
    delete_group(world.site, MEMBER, apart)
    with pytest.raises(NotFound):
        show_group(world.site, MEMBER, apart)
    with pytest.raises(Invalid, match="could not be found"):
        create(world, order, group=apart)
    delete_server(world.site, MEMBER, made.id)
    world.report(made.id, "absent")


def test_rules_are_for_anti_affinity_alone(world: Fleet) -> None:
    with pytest.raises(Invalid, match="Only anti-affinity policy supports rules"):
        group(world, GroupPolicy.AFFINITY, 2)
