"""Projects held to their quotas on a real database: what counts, who is refused, and no race."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from fleet import ADMIN, MEMBER, OTHER_PROJECT, PROJECT, STRANGER, Fleet, config, fleet, pf_and_vfs
from lanekeeper.config.quota import Quota
from lanekeeper.control.compute.explain import explain
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.question import Question
from lanekeeper.control.compute.quota import quota_of
from lanekeeper.control.compute.server import delete_server
from lanekeeper.control.compute.server_attach import attach_card
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_group import create_group
from lanekeeper.control.compute.server_nic import NicAsked
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.identity.limit import (
    NewLimit,
    create_limits,
    create_registered_limits,
    delete_registered_limit,
    list_registered_limits,
    update_limit,
)
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.compute.quota import Strategy
from lanekeeper.domain.compute.server_group import GroupPolicy
from lanekeeper.domain.errors import Conflict, Error, Forbidden, Invalid, NotFound, OverQuota
from lanekeeper.domain.identity.project import Project
from lanekeeper.store.identity.project import project_insert
from postgres import PostgreSQL
from storm import in_threads

pytestmark = pytest.mark.service
_VF = "class:CUSTOM_PCI_8086_10CA"


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path) as made:
        for project_id in (PROJECT, OTHER_PROJECT):
            new = Project(id=project_id, name=project_id)
            made.site.database.write(lambda c, new=new: project_insert(c, new))  # type: ignore[misc]
        yield made


def flavor(world: Fleet, name: str = "m1", *, vcpus: int = 1, **specs: str) -> str:
    texts = {key.replace("__", ":"): text for key, text in specs.items()}
    new = Flavor(id="", name=name, vcpus=vcpus, ram_mib=64, disk_gib=1, extra_specs=texts)
    return create_flavor(world.site, new).id


def with_alias(world: Fleet, count: int = 1, name: str = "gpu") -> str:
    return flavor(world, name, pci_passthrough__alias=f"a1:{count}")


def order(world: Fleet, flavor_id: str, **more: Any) -> NewServer:
    return NewServer(**{"name": "s", "image_id": world.image(), "flavor_id": flavor_id} | more)


def register(world: Fleet, **limits: int) -> None:
    wanted = [NewLimit(resource_name=_name(key), amount=n) for key, n in limits.items()]
    create_registered_limits(world.site, wanted)


def limit(world: Fleet, resource: str, amount: int, project_id: str = PROJECT) -> str:
    new = NewLimit(resource_name=resource, amount=amount, project_id=project_id)
    (made,) = create_limits(world.site, [new])
    return made.id


def _name(key: str) -> str:
    return key.replace("__", ":")


def used(world: Fleet) -> dict[str, int]:
    return dict(quota_of(world.site, ADMIN, PROJECT).used)


def refused(world: Fleet, flavor_id: str, **more: Any) -> str:
    """What a creation is refused with, and that the dry run says the same."""
    with pytest.raises(OverQuota) as creation:
        create_servers(world.site, MEMBER, order(world, flavor_id, **more))
    if "min_count" not in more:
        with pytest.raises(OverQuota) as dry:
            explain(world.site, MEMBER, Question(flavor=flavor_id))
        assert (str(dry.value), dry.value.hint) == (str(creation.value), creation.value.hint)
    return str(creation.value)


# What counts --------------------------------------------------------------------------------------


def test_use_is_what_is_held_by_class_and_by_alias_until_it_is_given_back(world: Fleet) -> None:
    nic = NicAsked(network_id=world.network())
    asked = order(world, with_alias(world, 2), networks=[nic])
    (made,) = create_servers(world.site, MEMBER, asked)
    held = {
        "servers": 1, "class:VCPU": 1, "class:MEMORY_MB": 64, "class:DISK_GB": 1, _VF: 2,
        "alias:a1": 2, "class:SRIOV_NET_VF": 1,
    }  # fmt: skip
    assert used(world) == held
    world.obey()
    attach_card(world.site, MEMBER, made.id, nic)
    assert used(world) == held | {"class:SRIOV_NET_VF": 2}
    delete_server(world.site, MEMBER, made.id)
    assert used(world)["alias:a1"] == 2  # its guest has them yet
    world.obey()
    assert used(world) == {"servers": 0}
    assert quota_of(world.site, STRANGER, OTHER_PROJECT).used == {"servers": 0}


# Refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resource", "most"),
    [("servers", 1), ("class:VCPU", 1), ("class:MEMORY_MB", 127), ("class:DISK_GB", 1), (_VF, 1),
     ("alias:a1", 1)],
)  # fmt: skip
def test_one_more_than_the_limit_is_refused_with_limit_use_and_remedy(
    world: Fleet, resource: str, most: int
) -> None:
    gpu = with_alias(world)
    register(world, **{resource.replace(":", "__"): most})
    (made,) = create_servers(world.site, MEMBER, order(world, gpu))
    one = used(world)[resource]
    said = refused(world, gpu)
    assert said == f"Quota exceeded for {resource}: requested {one}, already used {one} of {most}"
    assert used(world)["servers"] == 1  # nothing is left of it
    create_servers(world.site, STRANGER, order(world, flavor(world)))  # others have their own
    own = limit(world, resource, 2 * one)
    create_servers(world.site, MEMBER, order(world, gpu))
    refused(world, gpu)
    update_limit(world.site, own, {"resource_limit": -1})
    create_servers(world.site, MEMBER, order(world, gpu))
    delete_server(world.site, MEMBER, made.id)


def test_a_class_that_only_the_chosen_device_has_is_judged_where_it_is_taken(world: Fleet) -> None:
    register(world, class__SRIOV_NET_VF=1)
    small, network_id = flavor(world), world.network()
    cards = [NicAsked(network_id=network_id)]
    (made,) = create_servers(world.site, MEMBER, order(world, small, networks=cards))
    with pytest.raises(OverQuota, match="class:SRIOV_NET_VF: requested 1, already used 1 of 1"):
        create_servers(world.site, MEMBER, order(world, small, networks=cards))
    with pytest.raises(OverQuota, match="class:SRIOV_NET_VF: requested 1, already used 1 of 1"):
        explain(world.site, MEMBER, Question(flavor=small, networks=(network_id,)))
    world.obey()
    with pytest.raises(OverQuota, match="class:SRIOV_NET_VF: requested 1, already used 1 of 1"):
        attach_card(world.site, MEMBER, made.id, cards[0])
    assert used(world)["class:SRIOV_NET_VF"] == 1


def test_a_server_that_fits_nowhere_counts_as_one(world: Fleet) -> None:
    register(world, servers=1)
    large = flavor(world, "large", vcpus=999)
    (failed,) = create_servers(world.site, MEMBER, order(world, large))
    assert (failed.vm_state, used(world)) == ("error", {"servers": 1})
    refused(world, large)
    delete_server(world.site, MEMBER, failed.id)
    assert used(world) == {"servers": 0}


def test_of_many_as_many_are_made_as_may_be(world: Fleet) -> None:
    register(world, servers=3)
    small = flavor(world)
    said = refused(world, small, min_count=4, max_count=5)
    assert said == "Quota exceeded for servers: requested 4, already used 0 of 3"
    assert used(world)["servers"] == 0
    assert len(create_servers(world.site, MEMBER, order(world, small, max_count=5))) == 3


def test_lowered_below_use_nothing_is_taken_away_and_nothing_more_is_given(world: Fleet) -> None:
    small = flavor(world)
    create_servers(world.site, MEMBER, order(world, small, max_count=2, min_count=2))
    register(world, servers=1)
    assert used(world)["servers"] == 2
    refused(world, small)


def test_the_configuration_says_what_holds_without_a_registered_limit(world: Fleet) -> None:
    small, gpu = flavor(world), with_alias(world)

    def settings(**values: Any) -> None:
        world.site.config = replace(config(), quota=Quota(**values))

    settings(unified_limits_resource_list=("alias:a1",))
    create_servers(world.site, MEMBER, order(world, small))
    assert "alias:a1: requested 1, already used 0 of 0" in refused(world, gpu)
    settings(unified_limits_resource_strategy=Strategy.IGNORE)
    assert "servers: requested 1, already used 1 of 0" in refused(world, small)
    settings(
        unified_limits_resource_strategy=Strategy.IGNORE,
        unified_limits_resource_list=(
            "servers", "class:VCPU", "class:MEMORY_MB", "class:DISK_GB"
        ),
    )  # fmt: skip
    create_servers(world.site, MEMBER, order(world, small))
    assert _VF in refused(world, gpu)
    register(world, servers=0)
    refused(world, small)
    settings(driver="nova.quota.NoopQuotaDriver")
    create_servers(world.site, MEMBER, order(world, gpu))


# Races --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", ["servers", "alias:a1", _VF])
def test_no_race_exceeds_a_quota(world: Fleet, resource: str) -> None:
    """Each rival has a host to itself, so that nothing but the quota has them meet."""
    most, rivals = 4, 12
    for number in range(2, rivals + 1):
        world.host(f"h{number}", pf_and_vfs("41", 2))
    gpu, image = with_alias(world), world.image()
    register(world, **{resource.replace(":", "__"): most})
    start = Barrier(rivals)

    def rival(number: int) -> str:
        asked = NewServer(name="s", flavor_id=gpu, image_id=image, host=f"h{number}")
        start.wait(timeout=60)
        try:
            (made,) = create_servers(world.site, ADMIN, asked)
        except OverQuota:
            return "refused"
        return made.host_name or "nowhere"

    with ThreadPoolExecutor(rivals) as pool:
        came = list(pool.map(rival, range(1, rivals + 1)))
    assert came.count("refused") == rivals - most
    assert "nowhere" not in came
    assert used(world)[resource] == most
    assert used(world)["servers"] == most


def test_who_waits_for_quota_and_group_waits_in_one_order(
    postgresql: PostgreSQL, tmp_path: Path
) -> None:
    """Some find a place, which locks the group; some find none and join it all the same."""
    rivals, rounds, before = 6, 5, postgresql.deadlocks()
    with fleet(postgresql.url(postgresql.create()), tmp_path, hosts=rivals) as world:
        group = create_group(world.site, ADMIN, "g", GroupPolicy.SOFT_ANTI_AFFINITY, None).id
        sizes, image = (flavor(world), flavor(world, "large", vcpus=999)), world.image()
        register(world, servers=1000)

        def rival(number: int) -> None:
            for round_ in range(rounds):
                asked = NewServer(
                    name="s", flavor_id=sizes[(number + round_) % 2], image_id=image,
                    hints={"group": group}, host=f"h{number}",
                )  # fmt: skip
                create_servers(world.site, ADMIN, asked)

        in_threads([partial(rival, number) for number in range(1, rivals + 1)])
        assert used(world)["servers"] == rivals * rounds
    assert postgresql.deadlocks() == before


# Limits themselves --------------------------------------------------------------------------------


def test_a_class_that_nothing_has_is_told_of_in_the_log(world: Fleet) -> None:
    wanted = [
        NewLimit(resource_name=name, amount=3)
        for name in (_VF, "class:CUSTOM_NOSUCH", "class:VGPU", "servers")
    ]
    with capture_logs() as said:
        create_registered_limits(world.site, wanted)
    (told,) = (one for one in said if one["event"] == "limit.idle")
    assert (told["resource"], told["log_level"]) == ("class:CUSTOM_NOSUCH", "warning")


def test_limits_that_would_hold_nobody_are_refused_and_change_nothing(world: Fleet) -> None:
    site = world.site

    def says(kind: type[Error], text: str, *wanted: NewLimit) -> None:
        make = create_limits if wanted[0].project_id else create_registered_limits
        with pytest.raises(kind, match=text):
            make(site, wanted)

    def of(name: str, **more: Any) -> NewLimit:
        return NewLimit(resource_name=name, amount=1, **more)

    says(Invalid, "is nothing that is counted", of("servers"), of("cores"))
    says(Invalid, "no \\[pci\\] alias has this name", of("alias:a2"))
    says(Invalid, "region_id 'Mars' is not there", of("servers", region_id="Mars"))
    says(Conflict, "there is one of servers or of servers", of("servers"), of("servers"))
    assert list_registered_limits(site) == []
    says(Forbidden, "no corresponding registered limit", of("servers", project_id=PROJECT))
    register(world, servers=1)
    says(NotFound, "Could not find project", of("servers", project_id="nobody"))
    mine = of("servers", project_id=PROJECT)
    says(Conflict, "there is one of servers", mine, mine)
    limit(world, "servers", 2)
    (registered,) = list_registered_limits(site)
    with pytest.raises(Forbidden, match="project limits associated"):
        delete_registered_limit(site, registered.id)
