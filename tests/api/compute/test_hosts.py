"""Hosts that servers bind: to their zone, and to their place in the database."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from fleet import Fleet, fleet
from lanekeeper.api.compute.face import FACE
from lanekeeper.control.host.enrolment import authenticate_host, create_token, enrol
from lanekeeper.control.host.facts import report_facts
from lanekeeper.control.host.host import check_history
from lanekeeper.domain.errors import Conflict, NotFound, Unauthenticated
from lanekeeper.protocol import HostFacts
from lanekeeper.store.tables import card, desired_mark, device, host, resource_provider

pytestmark = pytest.mark.service
URL = "/compute/v2.1"


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path, hosts=2) as made:
        yield made


@pytest.fixture
def http(world: Fleet) -> TestClient:
    return world.client(FACE)


def server(world: Fleet, http: TestClient, host_name: str, **specs: str) -> str:
    flavor = {"name": f"m-{host_name}", "ram": 64, "vcpus": 1, "disk": 1}
    flavor_id = http.post(f"{URL}/flavors", json={"flavor": flavor}).json()["flavor"]["id"]
    http.post(f"{URL}/flavors/{flavor_id}/os-extra_specs", json={"extra_specs": specs})
    asked = {"name": "s", "flavorRef": flavor_id, "imageRef": world.image(), "networks": "none"}
    answer = http.post(f"{URL}/servers", json={"server": asked | {"host": host_name}})
    server_id = str(answer.json()["server"]["id"])
    world.report(server_id, "running")
    return server_id


def aggregate(http: TestClient, name: str, zone: str | None = None) -> str:
    body = {"aggregate": {"name": name, "availability_zone": zone}}
    made = http.post(f"{URL}/os-aggregates", json=body).json()["aggregate"]
    return f"{URL}/os-aggregates/{made['id']}"


def refused(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.text
    (fault,) = answer.json().values()
    return str(fault["message"])


# Zones --------------------------------------------------------------------------------------------


def test_a_host_with_servers_keeps_its_zone(world: Fleet, http: TestClient) -> None:
    west, plain = aggregate(http, "w", "west"), aggregate(http, "p")
    for rack, name in ((west, "h1"), (plain, "h2")):
        assert http.post(f"{rack}/action", json={"add_host": {"host": name}}).status_code == 200
    first, second = server(world, http, "h1"), server(world, http, "h2")
    to_east = {"aggregate": {"availability_zone": "east"}}
    east = aggregate(http, "e", "east")
    moves: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("PUT", west, to_east),
        ("PUT", plain, to_east),
        ("POST", f"{plain}/action", {"set_metadata": {"metadata": {"availability_zone": "x"}}}),
        ("POST", f"{west}/action", {"remove_host": {"host": "h1"}}),
        ("POST", f"{east}/action", {"add_host": {"host": "h2"}}),
    )
    for method, path, body in moves:
        said = refused(http.request(method, path, json=body), 409)
        assert "One or more hosts contain instances in this zone" in said
        assert "has 1 and would move from zone" in said
    # What changes no zone is nobody's business.
    assert http.put(west, json={"aggregate": {"name": "w2"}}).status_code == 200
    assert http.post(f"{plain}/action", json={"remove_host": {"host": "h2"}}).status_code == 200
    for server_id in (first, second):
        http.delete(f"{URL}/servers/{server_id}")
        world.report(server_id, "absent")
    assert http.put(west, json=to_east).status_code == 200


# Figures ------------------------------------------------------------------------------------------


def test_a_host_that_has_told_nothing_is_no_hypervisor(world: Fleet, http: TestClient) -> None:
    host_id = "0d7ad4d2-95a6-4a0a-9a5c-3c6c0f5f4a7e"
    enrol(world.site, create_token(world.site), host_id, "h3")
    shown = http.get(f"{URL}/os-hypervisors").json()["hypervisors"]
    assert [one["hypervisor_hostname"] for one in shown] == ["h1", "h2"]
    assert http.get(f"{URL}/os-hypervisors/{host_id}").status_code == 404
    assert "h3" in {one["host"] for one in http.get(f"{URL}/os-services").json()["services"]}
    off = http.put(f"{URL}/os-services/{host_id}", json={"status": "disabled"})
    assert off.json()["service"]["status"] == "disabled"


def test_the_workload_of_a_host_is_what_is_under_way(world: Fleet, http: TestClient) -> None:
    old = world.client(FACE, version="2.87")
    path = f"{URL}/os-hypervisors/{world.hosts['h1']}"
    mine = server(world, http, "h1")
    assert old.get(path).json()["hypervisor"]["current_workload"] == 0
    http.post(f"{URL}/servers/{mine}/action", json={"os-stop": None})
    assert old.get(path).json()["hypervisor"]["current_workload"] == 1


# Removal ------------------------------------------------------------------------------------------


def test_a_host_without_servers_can_be_removed(world: Fleet, http: TestClient) -> None:
    rack, host_id = aggregate(http, "r", "west"), world.hosts["h1"]
    http.post(f"{rack}/action", json={"add_host": {"host": "h1"}})
    answer = http.delete(f"{URL}/os-services/{host_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert http.get(rack).json()["aggregate"]["hosts"] == []
    for path, name in (("os-services", "services"), ("os-hypervisors", "hypervisors")):
        left = http.get(f"{URL}/{path}").json()[name]
        assert [one["id"] for one in left] == [world.hosts["h2"]]
    with world.site.database.read() as connection:
        for table, column in (
            (host, host.c.id),
            (device, device.c.host_id),
            (resource_provider, resource_provider.c.root_id),
            (desired_mark, desired_mark.c.host_id),
        ):
            mine = sa.select(sa.func.count()).select_from(table).where(column == host_id)
            assert connection.scalar(mine) == 0, table.name
        assert connection.scalar(sa.select(sa.func.count()).select_from(card)) == 2  # h2's
    assert "could not be found" in refused(http.delete(f"{URL}/os-services/{host_id}"), 404)
    assert refused(http.delete(f"{URL}/os-services/h2"), 404)


def test_a_host_is_removed_by_its_number_of_old(world: Fleet) -> None:
    old = world.client(FACE, version="2.1")
    number = old.get(f"{URL}/os-services?host=h1").json()["services"][0]["id"]
    assert isinstance(number, int)
    assert old.delete(f"{URL}/os-services/{number}").status_code == 204
    assert [one["host"] for one in old.get(f"{URL}/os-services").json()["services"]] == ["h2"]


def test_a_host_that_still_has_something_stays(world: Fleet, http: TestClient) -> None:
    service = f"{URL}/os-services/{world.hosts['h1']}"
    mine = server(world, http, "h1", **{"pci_passthrough:alias": "a1:1"})
    assert "that is hosting instances: host h1 has 1" in refused(http.delete(service), 409)
    http.delete(f"{URL}/servers/{mine}")
    assert "has 1" in refused(http.delete(service), 409)  # its host may have the guest still
    world.report(mine, "absent")
    assert "is cleaning 1 devices" in refused(http.delete(service), 409)
    world.clean(world.hosts["h1"])
    assert http.delete(service).status_code == 204


def test_a_host_that_is_dead_will_not_clean_and_can_go(world: Fleet, http: TestClient) -> None:
    mine = server(world, http, "h1", **{"pci_passthrough:alias": "a1:1"})
    http.delete(f"{URL}/servers/{mine}")
    world.report(mine, "absent")
    world.hands.turn(3600)
    assert http.delete(f"{URL}/os-services/{world.hosts['h1']}").status_code == 204


def test_a_removed_hosts_agent_is_refused_until_it_enrols_again(
    world: Fleet, http: TestClient
) -> None:
    site, host_id = world.site, "0d7ad4d2-95a6-4a0a-9a5c-3c6c0f5f4a7e"
    credential = enrol(site, create_token(site), host_id, "h3")
    with site.database.read() as connection:
        row = connection.execute(sa.select(host).where(host.c.id == host_id)).one()
    obeyed = f"{row.generation}.{row.mark}"
    assert http.delete(f"{URL}/os-services/{host_id}").status_code == 204
    with pytest.raises(Unauthenticated, match="no host has this credential"):
        authenticate_host(site, credential, "req-1")
    with pytest.raises(NotFound):
        report_facts(site, host_id, HostFacts(host_name="h3", vcpus=1, memory_mib=1, disk_gib=1))
    again = enrol(site, create_token(site), host_id, "h3")
    assert authenticate_host(site, again, "req-2").user_name == "h3"
    with pytest.raises(Conflict, match="a host that was removed"):
        check_history(site, host_id, obeyed)  # somebody looks first, then thaws it


def test_members_remove_no_host(world: Fleet) -> None:
    member = world.client(FACE, who="member")
    assert member.delete(f"{URL}/os-services/{world.hosts['h1']}").status_code == 403
