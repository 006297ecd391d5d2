"""Hours of servers and devices, of those that are there and of those that are gone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from starlette.testclient import TestClient

from fleet import ADMIN, MEMBER, OTHER_PROJECT, PROJECT, STRANGER, Fleet, config, fleet
from lanekeeper.api.compute.face import FACE as COMPUTE
from lanekeeper.api.lanekeeper.face import FACE as OWN
from lanekeeper.cli.usage import usage_text
from lanekeeper.config.tree import Own
from lanekeeper.control.caller import Caller
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.server import delete_server
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.compute.usage import usage
from lanekeeper.control.housekeeping import tidy
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.compute.usage import ProjectUsage
from lanekeeper.domain.errors import Forbidden, Invalid
from lanekeeper.domain.identity.project import Project
from lanekeeper.store.identity.project import project_insert

pytestmark = pytest.mark.service
_HOUR_S = 3600
_VF = "CUSTOM_PCI_8086_10CA"
_URL = "/compute/v2.1/os-simple-tenant-usage"


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    own = Own(usage_kept_days=30, device_history_kept_days=30)
    with fleet(database_url, tmp_path, replace(config(), lanekeeper=own)) as made:
        specs = {"pci_passthrough:alias": "a1:2"}
        for name, extra in (("gpu", specs), ("small", {})):
            new = Flavor(
                id=name, name=name, vcpus=2, ram_mib=64, disk_gib=1,
                extra_specs=extra,
            )  # fmt: skip
            create_flavor(made.site, new)
        named = Project(id=PROJECT, name="blue")
        made.site.database.write(lambda c: project_insert(c, named))
        yield made


def create(world: Fleet, caller: Caller = MEMBER, flavor: str = "gpu") -> str:
    asked = NewServer(name="web", flavor_id=flavor, image_id=world.image())
    (made,) = create_servers(world.site, caller, asked)
    return made.id


def delete(world: Fleet, server_id: str, caller: Caller = MEMBER) -> None:
    delete_server(world.site, caller, server_id)
    world.obey()


def hours(world: Fleet, count: float) -> None:
    world.hands.turn(count * _HOUR_S)
    world.seen()


def lived(world: Fleet) -> tuple[str, str]:
    """A server that waited an hour for its guest, ran for two and is gone; one that runs for three.

    The former's devices were held for three hours; another project's server ran for one.
    """
    gone = create(world)
    hours(world, 1)
    world.obey()
    hours(world, 2)
    delete(world, gone)
    there = create(world)
    world.obey()
    other = create(world, STRANGER, "small")
    world.obey()
    hours(world, 1)
    delete(world, other, STRANGER)
    hours(world, 2)
    return gone, there


def test_servers_count_from_their_guests_start_devices_from_the_claim(world: Fleet) -> None:
    start = world.hands()
    lived(world)
    create(world, flavor="small")  # whose guest never was
    blue, other = usage(world.site, ADMIN, start=start).projects
    assert blue == ProjectUsage(
        project_id=PROJECT, servers=2, server_hours=5, vcpu_hours=10, memory_mib_hours=320,
        disk_gib_hours=5, devices={_VF: 12}, aliases={"a1": 12},
    )  # fmt: skip
    assert (other.project_id, other.server_hours, other.devices) == (OTHER_PROJECT, 1, {})
    shorter = usage(
        world.site,
        ADMIN,
        start=start + timedelta(hours=2),
        end=start + timedelta(hours=4),
        project="blue",
    )
    (blue,) = shorter.projects
    assert (blue.server_hours, blue.devices) == (2, {_VF: 4})
    later = start + timedelta(hours=100)
    assert usage(world.site, ADMIN, start=start, end=later).end == world.hands()


def test_members_see_their_own_and_wrong_questions_are_named(world: Fleet) -> None:
    lived(world)
    site = world.site
    (blue,) = usage(site, MEMBER).projects
    assert blue.project_id == PROJECT
    assert usage(site, MEMBER, project=PROJECT).projects == (blue,)
    with pytest.raises(Forbidden, match="another project"):
        usage(site, MEMBER, project=OTHER_PROJECT)
    with pytest.raises(Invalid, match="project 'red' does not exist"):
        usage(site, ADMIN, project="red")
    with pytest.raises(Invalid, match="is after the end"):
        usage(site, ADMIN, start=world.hands() + timedelta(seconds=1))


def test_it_is_kept_for_a_time(world: Fleet) -> None:
    start = world.hands()
    _, there = lived(world)
    hours(world, 31 * 24)
    tidy(world.site)
    (blue,) = usage(world.site, ADMIN, start=start).projects
    assert blue.servers == 1
    assert blue.devices == {_VF: 2 * (3 + 31 * 24)}
    delete(world, there)
    (blue,) = usage(world.site, ADMIN, start=start).projects
    assert blue.devices == {_VF: 2 * (3 + 31 * 24)}  # known at its end, however long ago it began


# Over HTTP ----------------------------------------------------------------------------------------


def period(world: Fleet, start: float = -9, end: float = 9) -> dict[str, str]:
    moments = {"start": start, "end": end}
    return {
        name: (world.hands() + timedelta(hours=shift)).strftime("%Y-%m-%dT%H:%M:%S.%f")
        for name, shift in moments.items()
    }


def test_nova_tells_servers_of_all_projects_and_of_one(world: Fleet) -> None:
    gone, there = lived(world)
    http = world.client(COMPUTE)
    plain = http.get(_URL, params=period(world)).json()["tenant_usages"]
    assert [one["tenant_id"] for one in plain] == [PROJECT, OTHER_PROJECT]
    assert "server_usages" not in plain[0]
    detailed = http.get(_URL, params=period(world) | {"detailed": "1"}).json()["tenant_usages"]
    shown = http.get(f"{_URL}/{PROJECT}", params=period(world)).json()["tenant_usage"]
    assert shown == detailed[0]
    first, second = shown.pop("server_usages")
    assert shown | plain[0] == shown
    assert (shown["total_hours"], shown["total_vcpus_usage"]) == (5, 10)
    assert (shown["total_memory_mb_usage"], shown["total_local_gb_usage"]) == (320, 5)
    assert shown["stop"] == world.hands().strftime("%Y-%m-%dT%H:%M:%S.%f")
    assert (first["instance_id"], first["state"], first["hours"]) == (gone, "terminated", 2)
    assert (second["instance_id"], second["state"], second["hours"]) == (there, "active", 3)
    assert (second["ended_at"], second["uptime"]) == (None, 3 * _HOUR_S)
    assert {key: first[key] for key in ("name", "flavor", "vcpus", "memory_mb", "local_gb")} == {
        "name": "web", "flavor": "gpu", "vcpus": 2, "memory_mb": 64, "local_gb": 1,
    }  # fmt: skip
    nobody = http.get(f"{_URL}/nobody", params=period(world)).json()["tenant_usage"]
    assert (nobody["tenant_id"], nobody["total_hours"], nobody["server_usages"]) == (
        "nobody",
        0,
        [],
    )
    spaced = {name: text.replace("T", " ") for name, text in period(world).items()}
    assert http.get(_URL, params=spaced).json()["tenant_usages"] == plain
    assert http.get(_URL).json()["tenant_usages"][0]["total_hours"] == 0


def test_nova_tells_pages(world: Fleet) -> None:
    gone, there = lived(world)

    def page(version: str, **more: Any) -> Any:
        query = period(world) | {"detailed": "1", "limit": "1"} | more
        return world.client(COMPUTE, version=version).get(_URL, params=query)

    assert len(page("2.39").json()["tenant_usages"]) == 2
    first = page("2.40").json()
    (one,) = first["tenant_usages"]
    assert [server["instance_id"] for server in one["server_usages"]] == [gone]
    (link,) = first["tenant_usages_links"]
    assert f"marker={gone}" in link["href"]
    (two,) = page("2.40", marker=gone).json()["tenant_usages"]
    assert [server["instance_id"] for server in two["server_usages"]] == [there]
    last = page("2.40", marker=there, limit="5").json()
    assert "tenant_usages_links" not in last
    unknown = page("2.40", marker="nobody")
    assert (unknown.status_code, "marker [nobody] not found" in unknown.text) == (400, True)
    assert page("2.74", other="x").status_code == 200
    assert page("2.75", other="x").status_code == 400


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"start": "yesterday"}, "start 'yesterday' is not a moment"),
        ({"end": "2026-13-01"}, "end '2026-13-01' is not a moment"),
        ({"start": "2027-01-01T00:00:00"}, "cannot occur after the end time"),
    ],
)
def test_nova_refuses_wrong_times(world: Fleet, query: dict[str, str], says: str) -> None:
    for path in (_URL, f"{_URL}/{PROJECT}"):
        answer = world.client(COMPUTE).get(path, params=query)
        assert answer.status_code == 400
        assert says in answer.json()["badRequest"]["message"]


def test_others_usage_is_for_admins(world: Fleet) -> None:
    def status(http: TestClient, path: str) -> int:
        return int(http.get(path).status_code)

    member = world.client(COMPUTE, OWN, who="member")
    assert status(member, _URL) == 403
    assert status(member, f"{_URL}/{OTHER_PROJECT}") == 403
    assert status(member, f"{_URL}/{PROJECT}") == 200
    assert status(member, f"/lanekeeper/v1/usage?project={OTHER_PROJECT}") == 403
    assert status(member, "/lanekeeper/v1/usage") == 200


def test_people_read_hours_by_project_class_and_alias(world: Fleet) -> None:
    lived(world)
    http = world.client(OWN)
    answer = http.get("/lanekeeper/v1/usage", params={"start": "2026-11-21"}).json()
    assert answer["start"] == "2026-11-21T00:00:00+00:00"
    assert usage_text(answer).splitlines() == [
        "from 2026-11-21 00:00:00 to 2026-11-21 15:00:00 (UTC)",
        f"{'PROJECT':32}  {'WHAT':26}  HOURS",
        f"{'blue':32}  {'servers':26}  5.00",
        f"{'blue':32}  {'VCPUs':26}  10.00",
        f"{'blue':32}  {'MiB of memory':26}  320.00",
        f"{'blue':32}  {'GiB of disk':26}  5.00",
        f"{'blue':32}  {'class:CUSTOM_PCI_8086_10CA':26}  12.00",
        f"{'blue':32}  {'alias:a1':26}  12.00",
        f"{OTHER_PROJECT}  {'servers':26}  1.00",
        f"{OTHER_PROJECT}  {'VCPUs':26}  2.00",
        f"{OTHER_PROJECT}  {'MiB of memory':26}  64.00",
        f"{OTHER_PROJECT}  {'GiB of disk':26}  1.00",
    ]
    wrong = http.get("/lanekeeper/v1/usage", params={"end": "soon"})
    assert wrong.status_code == 400
    assert "end 'soon' is neither a day" in wrong.text
