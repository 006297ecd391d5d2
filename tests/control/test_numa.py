"""NUMA cells, pinned CPUs and huge pages: chosen with devices, claimed as rows, given back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from msgspec.structs import replace as replace_field

from fleet import ADMIN, MEMBER, Fleet, fleet, pf_and_vfs
from lanekeeper.api.compute.face import FACE
from lanekeeper.control.compute.explain import explain
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.question import Question
from lanekeeper.control.compute.server import delete_server
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.host.adoption import adopt_host
from lanekeeper.control.host.desired import desired_of
from lanekeeper.control.host.facts import report_facts
from lanekeeper.control.host.host import check_history, report_state
from lanekeeper.control.verify.verify import verify
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.errors import Conflict, Invalid
from lanekeeper.domain.topology.fit import Seat, Take
from lanekeeper.protocol import (
    HostFacts,
    HostState,
    NumaCell,
    PagesFact,
    ServerState,
    ServerWanted,
)
from lanekeeper.store.compute.server import ServerRecord
from lanekeeper.store.tables import cell_claim, cell_stock, host, inventory, pinned_cpu
from lanekeeper.store.topology.claim import cells_claim

pytestmark = pytest.mark.service

CELLS = tuple(
    NumaCell(
        id=node,
        socket=node,
        cpus=list(range(8 * node, 8 * node + 8)),
        memory_mib=4096,
        siblings=[[core, core + 4] for core in range(8 * node, 8 * node + 4)],
        dedicated=[8 * node + cpu for cpu in (2, 3, 6, 7)],
        shared=[8 * node + cpu for cpu in (0, 1, 4, 5)],
        pages=[PagesFact(size_kib=2048, total=1024)],
    )
    for node in range(2)
)
PINNED = {"hw:cpu_policy": "dedicated"}


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    """A host of two nodes with 4 CPUs for pinning each; the card of alias a1 is near the second."""
    with fleet(database_url, tmp_path) as made:
        made.host("numa", pf_and_vfs("41", numa_node=1), cells=CELLS)
        yield made


def create(
    world: Fleet, specs: Mapping[str, str], *, vcpus: int = 2, ram_mib: int = 512, **more: Any
) -> ServerRecord:
    name = f"f{len(specs)}-{vcpus}-{ram_mib}-{hash(tuple(specs.items()))}"
    flavor = Flavor(
        id=name.replace("--", "-m"), name=name, vcpus=vcpus, ram_mib=ram_mib, disk_gib=1,
        extra_specs=specs,
    )  # fmt: skip
    with suppress(Conflict):  # made for an earlier server
        create_flavor(world.site, flavor)
    asked = NewServer(name="s", image_id=world.image(), flavor_id=flavor.id, host="numa", **more)
    (made,) = create_servers(world.site, ADMIN, asked)
    return made


def told(made: ServerRecord) -> str:
    assert made.fault is not None, made.vm_state
    return str(made.fault["message"])


def wanted_of(world: Fleet, made: ServerRecord) -> ServerWanted:
    desired = desired_of(world.site, world.hosts["numa"])
    return next(one for one in desired.servers if one.id == made.id)


def used(world: Fleet) -> dict[tuple[int, str], int]:
    with world.site.database.read() as connection:
        query = sa.select(cell_stock.c.cell, cell_stock.c.what, cell_stock.c.used)
        return {(cell, what): n for cell, what, n in connection.execute(query) if n}


def pinned(world: Fleet) -> dict[int, str]:
    with world.site.database.read() as connection:
        query = sa.select(pinned_cpu.c.cpu, pinned_cpu.c.consumer_id)
        return {row.cpu: row.consumer_id for row in connection.execute(query)}


def rows(world: Fleet, table: sa.Table) -> int:
    with world.site.database.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def test_cpus_memory_and_devices_are_on_one_node_and_go_with_the_server(world: Fleet) -> None:
    specs = {**PINNED, "pci_passthrough:alias": "a1:1", "hw:pci_numa_affinity_policy": "required"}
    made = create(world, specs)
    assert made.host_name == "numa", made.fault
    (cell,) = wanted_of(world, made).cells
    assert (cell.node, cell.memory_mib, cell.pins) == (1, 512, [(0, 10), (1, 14)])
    assert used(world) == {(1, "memory_mib"): 512}
    assert pinned(world) == {10: made.id, 14: made.id}

    delete_server(world.site, MEMBER, made.id)
    world.report(made.id, "absent")
    assert (used(world), pinned(world), rows(world, cell_claim)) == ({}, {}, 0)


def test_two_nodes_lie_on_two(world: Fleet) -> None:
    made = create(world, {"hw:numa_nodes": "2", "hw:mem_page_size": "2048"}, vcpus=4, ram_mib=1024)
    first, second = wanted_of(world, made).cells
    assert {first.node, second.node} == {0, 1}
    assert (first.cpus, second.cpus, first.page_kib) == ([0, 1], [2, 3], 2048)
    assert first.floating == CELLS[first.node].shared
    assert used(world) == {
        (0, "vcpus"): 2, (1, "vcpus"): 2, (0, "pages_2048"): 256, (1, "pages_2048"): 256,
    }  # fmt: skip


def test_the_hypervisors_threads_share_or_have_their_own(world: Fleet) -> None:
    own = create(world, {**PINNED, "hw:emulator_threads_policy": "isolate"})
    assert len(pinned(world)) == 3
    (reserved,) = wanted_of(world, own).emulator
    assert reserved in pinned(world)
    share = create(world, {**PINNED, "hw:emulator_threads_policy": "share"})
    assert wanted_of(world, share).emulator == [0, 1, 4, 5, 8, 9, 12, 13]


def test_what_does_not_fit_says_the_numbers_and_what_would_help(world: Fleet) -> None:
    near = {**PINNED, "pci_passthrough:alias": "a1:1", "hw:pci_numa_affinity_policy": "required"}
    assert create(world, PINNED | {"hw:numa_nodes": "1"}, vcpus=5).vm_state == "error"
    others = [create(world, near) for _ in range(2)]
    assert [one.vm_state for one in others] == ["building"] * 2
    made = create(world, near)
    assert "numa turned away 1 of" in told(made)
    assert "no room for the guest near free devices for alias a1: cell 1 has 0 of 4 CPUs" in told(
        made
    )
    # Doing what the remedy says makes it work, either way.
    assert "delete servers on cell 1 of this host, or use the policy preferred" in told(made)
    assert create(world, near | {"hw:pci_numa_affinity_policy": "preferred"}).host_name == "numa"
    delete_server(world.site, ADMIN, others[0].id)
    world.report(others[0].id, "absent")
    world.seen()
    assert create(world, near).host_name == "numa"


def test_pinned_cpus_are_used_ones(world: Fleet) -> None:
    create(world, {**PINNED, "hw:emulator_threads_policy": "isolate"})
    with world.client(FACE, version="2.87") as http:
        found = http.get("/compute/v2.1/os-hypervisors/detail").json()["hypervisors"]
    assert {one["hypervisor_hostname"]: one["vcpus_used"] for one in found} == {"h1": 0, "numa": 3}


def test_more_than_all_cpus_for_pinning_are_an_amount(world: Fleet) -> None:
    assert "pcpu turned away" in told(create(world, PINNED, vcpus=9, ram_mib=1024))
    assert "8 of 8 CPUs for pinning free, 9 needed" in told(create(world, PINNED, vcpus=9))
    with world.site.database.read() as connection:
        stock = connection.execute(
            sa.select(inventory.c.resource_class, inventory.c.capacity).where(
                inventory.c.provider_id == world.hosts["numa"]
            )
        )
        capacity = {row.resource_class: row.capacity for row in stock}
    assert (capacity["VCPU"], capacity["PCPU"]) == (32, 8)


def test_a_host_without_such_cpus_says_which_option_names_them(world: Fleet) -> None:
    made = create(world, PINNED, ram_mib=256)
    assert made.host_name == "numa"
    flavor_id = made.flavor["id"]
    answer = explain(world.site, ADMIN, Question(flavor=flavor_id, host="h1"))
    verdicts = {one["filter"]: one for host in answer.hosts for one in host.verdicts}
    assert verdicts["pcpu"]["remedy"] == "name some in [compute] cpu_dedicated_set of h1"
    assert verdicts["numa"]["reason"].startswith("tells of no NUMA cells")


def test_the_host_that_was_asked_for_is_told_of_first(world: Fleet) -> None:
    too_large = create(world, PINNED, vcpus=9, ram_mib=256).flavor["id"]
    for name in ("h1", "numa"):
        answer = explain(world.site, ADMIN, Question(flavor=too_large, host=name))
        assert not answer.fits
        assert answer.hosts[0].hosts == (name,)
        assert all(one["filter"] != "forced_host" for one in answer.hosts[0].verdicts)
        cause, _, others = answer.summary.partition("forced_host turned away")
        assert f": {name} " in cause
        assert others


@pytest.mark.parametrize(
    ("specs", "words"),
    [
        ({"hw:numa_nodes": "3"}, "cannot be divided evenly among 3"),
        ({"hw:cpu_thread_policy": "require"}, "goes with pinned CPUs only"),
        ({"lanekeeper:pcie_root": "same"}, "none of any, preferred, required"),
    ],
)
def test_what_no_host_could_give_is_refused_at_once(
    world: Fleet, specs: dict[str, str], words: str
) -> None:
    with pytest.raises(Invalid, match=words):
        create(world, specs)


def test_at_the_same_time_no_cpu_is_given_twice(world: Fleet) -> None:
    create(world, PINNED)  # makes the flavor
    gate = Barrier(8)

    def one(_: int) -> ServerRecord:
        gate.wait()
        return create(world, PINNED)

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(one, range(8)))
    placed = [record for record in made if record.vm_state == "building"]
    assert len(placed) == 3
    assert len(pinned(world)) == 8
    assert Counter(pinned(world).values()).most_common()[-1][1] == 2
    assert used(world) == {(0, "memory_mib"): 1024, (1, "memory_mib"): 1024}
    with world.site.database.read() as connection:
        assert verify(connection) == []


def test_a_guest_that_only_its_host_knows_gets_its_cells_back(world: Fleet) -> None:
    specs = {"hw:cpu_policy": "mixed", "hw:cpu_dedicated_mask": "1", "hw:mem_page_size": "2048"}
    made = create(world, specs)
    told, site, host_id = wanted_of(world, made), world.site, world.hosts["numa"]
    before = pinned(world), used(world)
    delete_server(site, ADMIN, made.id)
    world.report(made.id, "absent")
    assert (pinned(world), used(world)) == ({}, {})
    with pytest.raises(Conflict, match="frozen"):
        check_history(site, host_id, "900.feedfeed")
    report_facts(site, host_id, facts(world))
    guest = ServerState(id=made.id, power="running", generation=9, memo=told.memo)
    report_state(site, host_id, HostState(servers=[guest]))
    assert adopt_host(site, ADMIN, host_id).made == (made.id,)
    assert (pinned(world), used(world)) == before
    assert wanted_of(world, made).cells == told.cells
    with site.database.read() as connection:
        assert verify(connection) == []


def facts(world: Fleet) -> HostFacts:
    with world.site.database.read() as connection:
        query = sa.select(host.c.facts).where(host.c.id == world.hosts["numa"])
        return msgspec.convert(connection.scalar(query), HostFacts)


def test_what_shrinks_stays_with_its_guest_and_is_not_given_again(world: Fleet) -> None:
    made = create(world, PINNED, vcpus=4)
    (cell,) = wanted_of(world, made).cells
    node = cell.node
    gone = [replace_field(one, dedicated=[], pages=[]) if one.id == node else one for one in CELLS]
    report_facts(world.site, world.hosts["numa"], replace_field(facts(world), cells=gone))
    assert wanted_of(world, made).cells == [cell]
    assert "0 of 4 CPUs for pinning free" in told(create(world, PINNED))
    delete_server(world.site, MEMBER, made.id)
    world.report(made.id, "absent")
    others = [create(world, PINNED) for _ in range(3)]
    assert [one.vm_state for one in others] == ["building", "building", "error"]
    assert {cpu // 8 for cpu in pinned(world)} == {1 - node}
    report_facts(world.site, world.hosts["numa"], replace_field(facts(world), cells=list(CELLS)))
    assert create(world, PINNED).vm_state == "building"


SEAT = Seat(
    guest_cell=0,
    host_cell=0,
    shared=(),
    pins={0: 2},
    reserved=(),
    memory_mib=512,
    page_kib=None,
    takes=(Take("memory_mib", 512, shared=False),),
)


@pytest.mark.parametrize(
    "stale",
    [
        replace(SEAT, pins={0: 0}),
        replace(SEAT, host_cell=7),
        replace(SEAT, takes=(Take("memory_mib", 2049, shared=False),)),
        replace(SEAT, takes=(Take("pages_4096", 1, shared=False),)),
    ],
)
def test_a_choice_that_is_out_of_date_is_a_lost_race(world: Fleet, stale: Seat) -> None:
    def claim(seat: Seat) -> None:
        host_id = world.hosts["numa"]
        world.site.database.write(lambda c: cells_claim(c, "somebody", host_id, [seat]))

    with pytest.raises(Conflict):
        claim(stale)
    assert (used(world), pinned(world), rows(world, cell_claim)) == ({}, {}, 0)
    claim(SEAT)
    assert pinned(world) == {2: "somebody"}
