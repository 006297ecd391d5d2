"""Extra specs and image properties as a guest's topology, and what is refused."""

from __future__ import annotations

import pytest

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.topology.cpu_set import format_cpu_set, parse_cpu_set
from lanekeeper.domain.topology.guest import (
    CpuPolicy,
    EmulatorPolicy,
    GuestCell,
    GuestTopology,
    ThreadPolicy,
)
from lanekeeper.domain.topology.guest_spec import check_spec, guest_topology, is_topology_spec
from lanekeeper.domain.topology.page_size import PageSize, PageWish, parse_page_size

NONE: frozenset[int] = frozenset()


def asked(
    specs: dict[str, str], properties: dict[str, str] | None = None, *, vcpus: int = 4
) -> GuestTopology | None:
    return guest_topology(vcpus, 2048, {f"hw:{k}": v for k, v in specs.items()}, properties or {})


@pytest.mark.parametrize("specs", [{}, {"cpu_policy": "shared"}])
def test_a_guest_that_asks_for_nothing_floats(specs: dict[str, str]) -> None:
    assert asked(specs) is None


def test_nodes_share_evenly() -> None:
    assert asked({"numa_nodes": "2"}) == GuestTopology(
        cells=(GuestCell(frozenset({0, 1}), NONE, 1024), GuestCell(frozenset({2, 3}), NONE, 1024))
    )


def test_nodes_as_they_are_listed() -> None:
    found = asked(
        {"numa_nodes": "2", "numa_cpus.0": "0-2", "numa_cpus.1": "3", "numa_mem.0": "1536",
         "numa_mem.1": "512"}
    )  # fmt: skip
    assert found is not None
    assert [(sorted(cell.shared), cell.memory_mib) for cell in found.cells] == [
        ([0, 1, 2], 1536),
        ([3], 512),
    ]


def test_pinned_cpus_make_one_node() -> None:
    found = asked(
        {"cpu_policy": "dedicated", "cpu_thread_policy": "require",
         "emulator_threads_policy": "isolate"}
    )  # fmt: skip
    assert found == GuestTopology(
        cells=(GuestCell(NONE, frozenset(range(4)), 2048),),
        cpu_policy=CpuPolicy.DEDICATED,
        thread_policy=ThreadPolicy.REQUIRE,
        emulator=EmulatorPolicy.ISOLATE,
    )
    assert (found.vcpus, found.pcpus) == (0, 5)


@pytest.mark.parametrize("mask", ["2-3", "^0,^1"])
def test_a_mask_says_which_cpus_are_pinned(mask: str) -> None:
    found = asked({"cpu_policy": "mixed", "cpu_dedicated_mask": mask})
    assert found is not None
    assert found.cells == (GuestCell(frozenset({0, 1}), frozenset({2, 3}), 2048),)
    assert (found.vcpus, found.pcpus) == (2, 2)


def test_an_image_may_choose_what_the_flavor_leaves_open() -> None:
    found = asked({"mem_page_size": "any"}, {"hw_mem_page_size": "2048", "hw_numa_nodes": "2"})
    assert found is not None
    assert (found.pages, len(found.cells)) == (2048, 2)
    pinned = asked({}, {"hw_cpu_policy": "dedicated", "hw_cpu_thread_policy": "isolate"})
    assert pinned is not None
    assert pinned.thread_policy is ThreadPolicy.ISOLATE


@pytest.mark.parametrize(
    ("specs", "properties", "message"),
    [
        ({"numa_nodes": "0"}, {}, "hw:numa_nodes '0' is not a whole number from 1"),
        ({"numa_nodes": "1000"}, {}, "more than 128"),
        ({"numa_nodes": "3"}, {}, "4 CPUs and 2048 MiB cannot be divided evenly among 3"),
        ({"numa_nodes": "2"}, {"hw_numa_nodes": "2"}, "'hw_numa_nodes' is not permitted"),
        ({"numa_nodes": "1", "numa_cpus.0": "0-3"}, {}, "1 and 0 are"),
        ({"numa_nodes": "1", "numa_cpus.0": "0-4", "numa_mem.0": "2048"}, {},
         "hw:numa_cpus.0: CPU 4 is not among"),
        ({"numa_nodes": "2", "numa_cpus.0": "0-2", "numa_cpus.1": "2-3", "numa_mem.0": "1024",
          "numa_mem.1": "1024"}, {}, "hw:numa_cpus.1: CPU 2 is another node's already"),
        ({"numa_nodes": "1", "numa_cpus.0": "0-2", "numa_mem.0": "2048"}, {}, "leave out CPU 3"),
        ({"numa_nodes": "1", "numa_cpus.0": "0-3", "numa_mem.0": "2047"}, {},
         "make 2047 MiB, and the flavor has 2048"),
        ({"numa_cpus.1": "0", "numa_nodes": "2"}, {}, "hw:numa_cpus.1 is set and hw:numa_cpus.0"),
        ({"numa_mem.0": "2048"}, {}, "says nothing without hw:numa_nodes"),
        ({"cpu_policy": "Dedicated"}, {}, "hw:cpu_policy 'Dedicated' is none of dedicated, shared"),
        ({"cpu_policy": "shared"}, {"hw_cpu_policy": "dedicated"}, "'hw_cpu_policy' dedicated is"),
        ({"cpu_policy": "mixed"}, {}, "needs hw:cpu_dedicated_mask"),
        ({"cpu_policy": "mixed", "cpu_dedicated_mask": "0-3"}, {}, "not all of them"),
        ({"cpu_policy": "dedicated", "cpu_dedicated_mask": "0"}, {}, "hw:cpu_policy=mixed only"),
        ({"cpu_thread_policy": "prefer"}, {}, "hw:cpu_thread_policy prefer goes with pinned"),
        ({"emulator_threads_policy": "isolate"}, {}, "isolate goes with pinned"),
        ({"cpu_policy": "dedicated", "cpu_thread_policy": "require"},
         {"hw_cpu_thread_policy": "isolate"}, "'hw_cpu_thread_policy' isolate is not permitted"),
        ({"mem_page_size": "2048"}, {"hw_mem_page_size": "4"}, "Page size 4 forbidden against"),
        ({}, {"hw_mem_page_size": "4"}, "forbidden against '<empty>'"),
        ({"mem_page_size": "0"}, {}, "less than 1 KiB"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_named(
    specs: dict[str, str], properties: dict[str, str], message: str
) -> None:
    with pytest.raises(Invalid) as error:
        asked(specs, properties)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "size"),
    [("small", PageWish.SMALL), ("2048", 2048), ("2MB", 2048), ("2MiB", 2048), ("1GB", 1048576),
     ("1G", 1048576), ("2Mbit", 256)],
)  # fmt: skip
def test_page_sizes(text: str, size: PageSize) -> None:
    assert parse_page_size(text, "hw:mem_page_size") == size


@pytest.mark.parametrize("text", ["", "Large", "2 MB", "-1", "1.5GB", "12b", "2048x", "٣"])
def test_other_page_sizes_are_refused(text: str) -> None:
    with pytest.raises(Invalid, match="hw:mem_page_size"):
        parse_page_size(text, "hw:mem_page_size")


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("0-3,^2", {0, 1, 3}), ("4", {4}), (" 1 , 3-3 ", {1, 3}), ("^1,0-1", {0}), ("", set())],
)
def test_cpu_sets(text: str, cpus: set[int]) -> None:
    assert parse_cpu_set(text) == cpus
    assert parse_cpu_set(format_cpu_set(cpus)) == cpus


@pytest.mark.parametrize("text", ["3-1", "a", "0-", "^0-2", "1 2", "0-999999", "-1"])
def test_other_cpu_sets_are_refused(text: str) -> None:
    with pytest.raises(Invalid, match="cpu_dedicated_set"):
        parse_cpu_set(text, "cpu_dedicated_set")


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("hw:numa_nodes", "2", "two"),
        ("hw:numa_cpus.0", "0-3", "0-"),
        ("hw:numa_mem.11", "512", "0"),
        ("hw:cpu_policy", "mixed", "pinned"),
        ("hw:cpu_thread_policy", "prefer", "avoid"),
        ("hw:emulator_threads_policy", "share", "shared"),
        ("hw:cpu_dedicated_mask", "^0", "0-a"),
        ("hw:mem_page_size", "large", "huge"),
    ],
)
def test_each_spec_is_checked_by_itself(key: str, good: str, bad: str) -> None:
    assert is_topology_spec(key)
    check_spec(key, good)
    with pytest.raises(Invalid) as error:
        check_spec(key, bad)
    assert key in str(error.value)


@pytest.mark.parametrize("key", ["hw:numa_cpus", "hw:numa_cpus.x", "hw:numa_node", "hw_numa_nodes"])
def test_other_specs_are_not_of_these(key: str) -> None:
    assert not is_topology_spec(key)
