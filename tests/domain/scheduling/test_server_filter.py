"""Filters by the servers that a host has, and by the image that a server boots from."""

import pytest

from domain.scheduling.hosts import host, server
from lanekeeper.domain.scheduling.filter_choice import filters_of
from lanekeeper.domain.scheduling.filter_settings import FilterSettings
from lanekeeper.domain.scheduling.host import HostAggregate
from lanekeeper.domain.scheduling.selection import first_verdict


@pytest.mark.parametrize(
    ("name", "said", "servers", "passes"),
    [
        ("NumInstancesFilter", "9", 1, True),
        ("NumInstancesFilter", "9", 2, False),
        ("AggregateNumInstancesFilter", "", 2, False),
        ("AggregateNumInstancesFilter", "many", 2, False),
        ("AggregateNumInstancesFilter", "3", 2, True),
        ("AggregateNumInstancesFilter", "3", 3, False),
    ],
)
def test_a_host_has_so_many_servers_at_most(
    name: str, said: str, servers: int, passes: bool
) -> None:
    metadata = {"max_instances_per_host": said} if said else {}
    view = host(
        "h1",
        servers=frozenset(str(number) for number in range(servers)),
        aggregates=(HostAggregate.of("a", metadata),),
    )
    verdict = first_verdict(server(), view, filters_of([name], FilterSettings(servers_max=2)))
    assert (verdict is None) is passes
    assert verdict is None or f"has {servers} servers" in verdict.reason


@pytest.mark.parametrize(
    ("name", "said", "builds", "passes"),
    [
        ("IoOpsFilter", "9", 1, True),
        ("IoOpsFilter", "9", 2, False),
        ("AggregateIoOpsFilter", "", 2, False),
        ("AggregateIoOpsFilter", "many", 2, False),
        ("AggregateIoOpsFilter", "3", 2, True),
        ("AggregateIoOpsFilter", "1", 1, False),
    ],
)
def test_a_host_builds_so_many_servers_at_a_time(
    name: str, said: str, builds: int, passes: bool
) -> None:
    metadata = {"max_io_ops_per_host": said} if said else {}
    view = host("h1", aggregates=(HostAggregate.of("a", metadata),))
    settings = FilterSettings(builds_max=2, builds={"h1": builds, "h2": 9})
    verdict = first_verdict(server(), view, filters_of([name], settings))
    assert (verdict is None) is passes
    assert verdict is None or f"is building {builds} servers" in verdict.reason


@pytest.mark.parametrize(
    ("restrict", "where", "image", "passes"),
    [
        (True, "kept", "mine", True),
        (True, "kept", "other", False),
        (True, "open", "mine", False),
        (True, "open", "other", True),
        (False, "kept", "other", True),
        (False, "open", "mine", False),
    ],
)
def test_images_are_kept_on_their_hosts(
    restrict: bool, where: str, image: str, passes: bool
) -> None:
    settings = FilterSettings(
        isolated_hosts=frozenset({"kept"}),
        isolated_images=frozenset({"mine"}),
        isolated_restrict=restrict,
    )
    filters = filters_of(["IsolatedHostsFilter"], settings)
    verdict = first_verdict(server(image_id=image), host(where), filters)
    assert (verdict is None) is passes
