"""Capacity under a host policy that nobody has applied says what is so once somebody has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from fleet import ADMIN, Fleet, fleet, pf_and_vfs
from lanekeeper.api.lanekeeper.face import FACE
from lanekeeper.cli.capacity import answer_text, policy_document
from lanekeeper.control.compute.capacity import capacity
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.question import Question
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.compute.what_if import Supposition
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.scheduling.capacity import Capacity
from lanekeeper.protocol import DeviceFact, NumaCell, PagesFact, PfFact

pytestmark = pytest.mark.service


def pf_fact(bus: str, vfs_max: int = 7) -> PfFact:
    return PfFact(
        address=f"0000:{bus}:00.0", vendor_id="8086", product_id="10c9", vfs_max=vfs_max,
        class_code=0x020000, netdev=f"ens{bus}f0",
    )  # fmt: skip


BUSES = ("21", "41")
PFS = [pf_fact(bus) for bus in BUSES]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Fleet]:
    with fleet(f"sqlite:///{tmp_path}/x.db", tmp_path, hosts=0) as made:
        made.host("h1", pf_and_vfs("41", 3), pfs=PFS)
        made.host("h2", pf_and_vfs("41", 2), pfs=PFS, disk_gib=4)
        specs = {"pci_passthrough:alias": "a1:1"}
        create_flavor(
            made.site, Flavor(id="f", name="f", vcpus=1, ram_mib=64, disk_gib=1, extra_specs=specs)
        )
        create_flavor(made.site, Flavor(id="n", name="n", vcpus=1, ram_mib=64, disk_gib=1))
        yield made


def policy(*pfs: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"version": 1, "pfs": list(pfs), **more}


def supposed(
    world: Fleet, document: object, *hosts: str, question: Question | None = None
) -> Capacity:
    return capacity(
        world.site,
        ADMIN,
        question or Question(flavor="f"),
        supposition=Supposition(document, hosts),
        most=100,
    )


def rooms(told: Capacity) -> dict[str, int]:
    return {room.host: room.count for room in told.rooms}


def fill(world: Fleet, count: int) -> list[str | None]:
    order = NewServer(name="s", flavor_id="f", image_id=world.image())
    return [create_servers(world.site, ADMIN, order)[0].host_name for _ in range(count)]


def test_more_vfs_take_more_servers_until_something_else_runs_out(world: Fleet) -> None:
    told = supposed(world, policy({"pf": "0000:41:00.0", "vfs": 7}))
    assert rooms(told) == {"h1": 7, "h2": 4}  # whose disk is full then
    assert told.supposed == (
        "h1: 0000:41:00.0 has 7 VFs instead of 3",
        "h2: 0000:41:00.0 has 7 VFs instead of 2",
    )
    assert rooms(capacity(world.site, ADMIN, Question(flavor="f"), most=100)) == {"h1": 3, "h2": 2}


@pytest.mark.parametrize(
    ("entry", "after"),
    [
        ({"pf": "0000:41:00.0", "vfs": 6}, {"41": 6}),
        ({"pf": "0000:41:00.0", "vfs": 1}, {"41": 1}),
        ({"pf": "0000:41:00.0", "vfs": 0}, {"41": 0}),
        ({"pf": {"netdev": "ens21f0"}, "vfs": 5, "alias": "a1"}, {"41": 3, "21": 5}),
        ({"pf": {"class": "0200"}, "vfs": 2, "alias": "a1"}, {"41": 2, "21": 2}),
    ],
)
def test_it_is_as_if_the_agent_told_so(
    world: Fleet, entry: dict[str, Any], after: dict[str, int]
) -> None:
    told = supposed(world, policy(entry), "h1")
    devices: Sequence[DeviceFact] = [
        one for bus, vfs in after.items() if vfs for one in pf_and_vfs(bus, vfs)
    ]
    world.host("h1", devices, pfs=PFS)
    real = capacity(world.site, ADMIN, Question(flavor="f"), most=100)
    assert (told.count, rooms(told)) == (real.count, rooms(real))
    assert real.count == 2 + sum(after.values())


def test_vfs_for_ports_are_reached_by_their_network(world: Fleet) -> None:
    network = world.network(physical_network="physnet9")
    question = Question(flavor="n", networks=(network,))
    assert capacity(world.site, ADMIN, question, most=100).count == 0
    entry = {"pf": "0000:21:00.0", "vfs": 3, "physical_network": "physnet9"}
    assert rooms(supposed(world, policy(entry), "h1", question=question)) == {"h1": 3}


def test_ranges_are_for_whom_they_say(world: Fleet) -> None:
    network = world.network()
    ranges = [{"vfs": "0-1", "physical_network": "physnet1"}]
    document = policy({"pf": "0000:41:00.0", "vfs": 7, "alias": "a1", "ranges": ranges})
    assert rooms(supposed(world, document, "h1"))["h1"] == 5
    ports = Question(flavor="n", networks=(network,))
    told = supposed(world, document, "h1", question=ports)
    assert rooms(told) == {"h1": 2}
    assert told.supposed[1] == "h1: VFs of 0000:41:00.0 are for physical_network physnet1"


def test_what_is_held_stays_held_as_the_number_changes_only_through_0(world: Fleet) -> None:
    assert fill(world, 1) == ["h1"]
    told = supposed(world, policy({"pf": "0000:41:00.0", "vfs": 7}))
    assert rooms(told) == {"h1": 2, "h2": 4}
    assert told.supposed == (
        "h1: stays as it is: pfs[0]: 0000:41:10.0 held by guests, and the number of VFs of "
        "0000:41:00.0 changes only through 0",
        "h2: 0000:41:00.0 has 7 VFs instead of 2",
    )
    network = {"pf": "0000:41:00.0", "vfs": 3, "physical_network": "physnet1"}
    assert supposed(world, policy(network), "h1").supposed == (
        "h1: VFs of 0000:41:00.0 are for physical_network physnet1",
    )


def test_vfs_that_are_not_listed_are_counted_where_the_agent_tells_of_them(world: Fleet) -> None:
    world.host("h1", pf_and_vfs("41", 3), pfs=[replace(pf_fact("41"), vfs=5)])
    told = supposed(world, policy({"pf": "0000:41:00.0", "vfs": 7}), "h1")
    assert told.supposed == ("h1: 0000:41:00.0 has 7 VFs instead of 5",)


def test_new_vfs_of_a_unit_are_given_away_with_it(world: Fleet) -> None:
    pf, *vfs = pf_and_vfs("41", 3)
    world.host("h1", [pf, *(replace(one, unit="0000:41:10.0") for one in vfs)], pfs=PFS)
    assert rooms(supposed(world, policy({"pf": "0000:41:00.0", "vfs": 7}), "h1"))["h1"] == 1


def test_huge_pages_are_thought_of(world: Fleet) -> None:
    cell = NumaCell(
        id=0, cpus=list(range(64)), memory_mib=4096, pages=[PagesFact(size_kib=2048, total=0)]
    )
    world.host("h1", pf_and_vfs("41", 3), pfs=PFS, cells=[cell])
    specs = {"hw:mem_page_size": "2048", "hw:numa_nodes": "1"}
    flavor = Flavor(id="p", name="p", vcpus=1, ram_mib=512, disk_gib=1, extra_specs=specs)
    create_flavor(world.site, flavor)
    question = Question(flavor="p")
    pools = [{"node": 0, "size": "2M", "pages": 1024}]
    told = supposed(world, policy(huge_pages=pools), "h1", question=question)
    assert rooms(told) == {"h1": 4}
    assert told.supposed == ("h1: NUMA node 0 keeps 1024 pages of 2048 KiB instead of 0",)
    for pool, why in (
        ({"node": 0, "size": "2M", "pages": 4096}, "NUMA node 0 has 4096 MiB beside the 0"),
        ({"node": 3, "size": "2M", "pages": 4}, "there is no NUMA node 3"),
    ):
        with pytest.raises(Invalid, match=why):
            supposed(world, policy(huge_pages=[pool]), "h1", question=question)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (policy({"pf": "0000:41:00.0", "vfs": 8}), "8 VFs asked, 0000:41:00.0 can have 7"),
        (policy({"pf": "0000:99:00.0", "vfs": 2}), "no PF has address 0000:99:00.0"),
        (policy({"pf": {"altname": "enp65s0f0np0"}, "vfs": 2}), "selects by altname"),
        (policy({"pf": "0000:41:00.0", "sriov_numvfs": 2}), "vfs"),
        ({}, "version"),
    ],
)
def test_a_policy_that_no_host_takes_is_refused(world: Fleet, document: object, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        supposed(world, document)


def test_a_host_that_refuses_the_policy_stays_as_it_is(world: Fleet) -> None:
    world.host("h3", pf_and_vfs("41", 1), pfs=[pf_fact("41", vfs_max=4)])
    told = supposed(world, policy({"pf": "0000:41:00.0", "vfs": 7}))
    assert rooms(told) == {"h1": 7, "h2": 4, "h3": 1}
    assert told.supposed[-1] == ("h3: stays as it is: pfs[0]: 7 VFs asked, 0000:41:00.0 can have 4")


def test_vfs_that_nobody_has_seen_are_not_guessed(world: Fleet) -> None:
    for name in ("h1", "h2"):
        world.host(name, [], pfs=PFS)
    with pytest.raises(Invalid, match="no host has a VF of 8086:10c9"):
        supposed(world, policy({"pf": "0000:41:00.0", "vfs": 7, "alias": "a1"}))


def test_vfs_without_a_purpose_serve_nobody_and_that_is_said(world: Fleet) -> None:
    told = supposed(world, policy({"pf": "0000:21:00.0", "vfs": 4}), "h1")
    assert rooms(told) == {"h1": 3, "h2": 2}
    assert any("4 VFs of 0000:21:00.0 serve nobody" in one for one in told.supposed)


def test_it_is_asked_over_http_with_a_file(world: Fleet, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text('version: 1\npfs:\n  - {pf: "0000:41:00.0", vfs: 7}\n')
    http = world.client(FACE)
    asked = {"flavor": "f", "policy": policy_document(file), "policy_hosts": ["h1"]}
    answer = http.post("/lanekeeper/v1/capacity", json=asked).json()
    assert answer["count"] == 9
    assert list(answer_text(answer))[1] == "  supposed: h1: 0000:41:00.0 has 7 VFs instead of 3"
    for wrong, why in (
        ({**asked, "policy_hosts": ["h9"]}, "no host is called 'h9'"),
        ({"flavor": "f", "policy_hosts": ["h1"]}, "there is no policy beside it"),
    ):
        refused = http.post("/lanekeeper/v1/capacity", json=wrong)
        assert (refused.status_code, why in refused.text) == (400, True)


def test_a_wrong_file_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text('version: 1\npfs:\n  - {pf: "0000:41:00.0", vfs: seven}\n')
    with pytest.raises(Invalid, match=r"policy\.yaml:3"):
        policy_document(file)
