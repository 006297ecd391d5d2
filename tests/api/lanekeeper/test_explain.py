"""Lanekeeper's own face: why a server is where it is, and which device is where."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from fleet import Fleet, fleet
from lanekeeper.api.compute.face import FACE as COMPUTE
from lanekeeper.api.lanekeeper.face import FACE
from lanekeeper.cli.device import list_text
from lanekeeper.cli.explain import answer_text
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.host.host import report_state
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.protocol import CleaningState, HostState
from lanekeeper.store.device.device import devices_to_clean

pytestmark = pytest.mark.service

URL = "/lanekeeper/v1"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Fleet]:
    with fleet(f"sqlite:///{tmp_path}/x.db", tmp_path, hosts=2) as made:
        yield made


@pytest.fixture
def http(world: Fleet) -> TestClient:
    return world.client(FACE, COMPUTE)


def flavor(http: TestClient, name: str, alias: str = "") -> str:
    body = {"flavor": {"name": name, "ram": 64, "vcpus": 1, "disk": 1}}
    flavor_id = str(http.post("/compute/v2.1/flavors", json=body).json()["flavor"]["id"])
    if alias:
        specs = {"extra_specs": {"pci_passthrough:alias": alias}}
        path = f"/compute/v2.1/flavors/{flavor_id}/os-extra_specs"
        assert http.post(path, json=specs).is_success
    return flavor_id


def server(world: Fleet, http: TestClient, flavor_id: str, **more: Any) -> str:
    asked = {"name": "s", "flavorRef": flavor_id, "imageRef": world.image(), "networks": "none"}
    answer = http.post("/compute/v2.1/servers", json={"server": asked | more})
    return str(answer.json()["server"]["id"])


def test_a_server_that_might_be_is_placed_in_words(world: Fleet, http: TestClient) -> None:
    flavor(http, "one", "a1:1")
    web = world.port(world.network(), "web")
    answer = http.post(f"{URL}/explain", json={"flavor": "one", "ports": ["web"]}).json()
    assert answer["fits"]
    assert "2 of 2 hosts fit; h1 would be taken" in answer["summary"]
    assert [host["rank"] for host in answer["hosts"]] == [1, 2]
    assert answer["hosts"][0]["devices"] == ["0000:41:10.0", "0000:21:10.0"]
    assert answer["asked"]["needs"] == [
        {"name": "alias a1", "count": 1},
        {"name": "port web", "count": 1},
    ]
    by_id = http.post(f"{URL}/explain", json={"flavor": "one", "ports": [web.id]}).json()
    assert by_id["hosts"] == answer["hosts"]


def test_ports_that_might_be_made_are_asked_for_by_their_network(
    world: Fleet, http: TestClient
) -> None:
    flavor(http, "m1")
    world.network("net")
    asked = {"flavor": "m1", "networks": ["net", "net"]}
    answer = http.post(f"{URL}/explain", json=asked).json()
    assert len(answer["hosts"][0]["devices"]) == 2
    for more, status, words in (
        ({"trusted": True}, 200, "is not marked trusted true"),
        ({"vnic_type": "direct-physical"}, 200, "no device listed here fits"),
        ({"vnic_type": "normal"}, 200, "has no virtual switch on physnet1 for a normal port"),
        ({"networks": ["nowhere"]}, 400, "network 'nowhere' does not exist"),
    ):
        answer = http.post(f"{URL}/explain", json=asked | more)
        assert answer.status_code == status
        assert words in answer.text


def test_each_host_says_all_that_stands_against_it(world: Fleet, http: TestClient) -> None:
    flavor(http, "many", "a1:8")
    off = {"status": "disabled", "disabled_reason": "dust"}
    http.put(f"/compute/v2.1/os-services/{world.hosts['h1']}", json=off)
    answer = http.post(f"{URL}/explain", json={"flavor": "many"}).json()
    assert not answer["fits"]
    assert answer["summary"].startswith("No valid host was found.")
    by_host = {host["host"]: host["verdicts"] for host in answer["hosts"]}
    assert [one["filter"] for one in by_host["h1"]] == ["host_enabled", "devices"]
    assert [one["filter"] for one in by_host["h2"]] == ["devices"]
    assert all(one["remedy"] for one in by_host["h1"])
    text = "\n".join(answer_text(answer))
    assert "h1: is disabled: dust (host_enabled)" in text
    assert "what would help:" in text


def test_explaining_takes_nothing(world: Fleet, http: TestClient) -> None:
    flavor(http, "one", "a1:7")
    for _ in range(2):
        assert http.post(f"{URL}/explain", json={"flavor": "one"}).json()["fits"]
    states = {one["state"] for one in http.get(f"{URL}/devices").json()["devices"]}
    assert states == {"available"}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"flavor": "none"}, "flavor 'none' does not exist"),
        ({"flavor": "m1", "ports": ["none"]}, "port 'none' does not exist"),
        ({"flavor": "m1", "image": "none"}, "Can not find requested image"),
        ({"flavor": "m1", "host": "h9"}, "Compute host h9 could not be found"),
        ({"flavor": "m1", "availability_zone": "w"}, "zone is not available"),
        ({"flavor": "unknown-alias"}, "PCI alias a9 is not defined"),
        ({"flavour": "m1"}, "unknown field"),
    ],
)
def test_a_question_that_names_nothing_is_refused(
    world: Fleet, http: TestClient, asked: dict[str, Any], words: str
) -> None:
    flavor(http, "m1")
    specs = {"pci_passthrough:alias": "a9:1"}  # of which the configuration knew once
    old = Flavor(id="", name="unknown-alias", vcpus=1, ram_mib=64, disk_gib=1, extra_specs=specs)
    create_flavor(world.site, old)
    answer = http.post(f"{URL}/explain", json=asked)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]


def test_a_server_keeps_why_it_was_placed(world: Fleet, http: TestClient) -> None:
    four = flavor(http, "four", "a1:4")
    placed = server(world, http, four)
    told = http.get(f"{URL}/servers/{placed}/explain").json()
    assert (told["fits"], told["hosts"][0]["host"]) == (True, "h1")
    assert len(told["hosts"][0]["devices"]) == 4
    server(world, http, four)
    late = server(world, http, four)
    told = http.get(f"{URL}/servers/{late}/explain").json()
    assert not told["fits"]
    assert told["summary"].startswith("No valid host was found.")
    (both,) = told["hosts"]
    assert (both["hosts"], both["count"], both["host"]) == (["h1", "h2"], 2, None)
    assert told["decided_at"] == "2026-11-21T09:00:00+00:00"
    refusals = http.get(f"{URL}/refusals").json()["refusals"]
    assert [one["server_id"] for one in refusals] == [late]
    assert http.get(f"{URL}/refusals?limit=0").status_code == 400


def test_members_are_told_no_host_and_no_device(world: Fleet, http: TestClient) -> None:
    """Whatever stands against a server: not one word of a member's answer names a host."""
    four, member = flavor(http, "four", "a1:4"), world.client(FACE, COMPUTE, who="member")
    rack = http.post("/compute/v2.1/os-aggregates", json={"aggregate": {"name": "rack-h2"}})
    aggregate = f"/compute/v2.1/os-aggregates/{rack.json()['aggregate']['id']}/action"
    http.post(aggregate, json={"add_host": {"host": "h2"}})
    answers = [
        fits := member.post(f"{URL}/explain", json={"flavor": "four"}),
        placed := member.get(f"{URL}/servers/{server(world, member, four)}/explain"),
    ]
    assert (fits.json()["fits"], fits.json()["summary"]) == (True, "2 of 2 hosts fit.")
    (fitting,) = fits.json()["hosts"]
    assert (fitting["host"], fitting["hosts"], fitting["count"]) == (None, [], 2)
    assert (fitting["rank"], fitting["devices"], fitting["verdicts"]) == (1, [], [])
    assert placed.json()["summary"] == "A host was taken."
    server(world, member, four)
    late = server(world, member, four)
    off = {"status": "disabled", "disabled_reason": "dust in h1 at 0000:21:00.0"}
    http.put(f"/compute/v2.1/os-services/{world.hosts['h1']}", json=off)
    answers += [
        now := member.post(f"{URL}/explain", json={"flavor": "four"}),
        then := member.get(f"{URL}/servers/{late}/explain"),
        shown := member.get(f"/compute/v2.1/servers/{late}"),
        listed := member.get("/compute/v2.1/servers/detail"),
        did := member.get(f"/compute/v2.1/servers/{late}/os-instance-actions"),
        member.get(f"{did.url.path}/{did.json()['instanceActions'][0]['request_id']}"),
    ]
    assert answers[-1].json()["instanceAction"]["events"][0]["result"] == "Error"
    assert listed.status_code == 200
    verdicts = [
        (one["count"], [v["filter"] for v in one["verdicts"]]) for one in now.json()["hosts"]
    ]
    assert verdicts == [(1, ["host_enabled", "devices"]), (1, ["devices"])]
    assert all(one["remedy"] for host in now.json()["hosts"] for one in host["verdicts"])
    assert "needs 4; of 7 that fit 3 are free" in then.json()["summary"]
    assert "(2 hosts)" in then.json()["summary"]
    assert shown.json()["server"]["fault"]["message"] == then.json()["summary"]
    for answer in answers:
        for secret in ("h1", "h2", "0000:", "dust", "rack"):
            assert secret not in answer.text.replace("http://", ""), answer.text
    assert "2 of the hosts: alias a1 needs 4" in "\n".join(answer_text(then.json()))
    # An admin is told all of it.
    told = http.get(f"/compute/v2.1/servers/{late}").json()["server"]["fault"]["message"]
    assert "alias a1 needs 4" in told
    assert "(h1, h2)" in told


def test_members_are_told_of_no_device_by_a_hosts_own_words(world: Fleet, http: TestClient) -> None:
    member = world.client(FACE, COMPUTE, who="member")
    mine = server(world, member, flavor(http, "one", "a1:1"))
    world.report(mine, "failed", problem="cannot write /sys/bus/pci/devices/0000:41:10.0")
    path = f"/compute/v2.1/servers/{mine}"
    assert "0000:41" in http.get(path).json()["server"]["fault"]["message"]
    said = member.get(path).json()["server"]["fault"]["message"]
    assert "an operator sees why" in said
    assert "0000:41" not in member.get(path).text


def test_another_projects_server_is_not_explained(world: Fleet, http: TestClient) -> None:
    mine = server(world, http, flavor(http, "m1"))
    stranger = world.client(FACE, who="stranger")
    assert stranger.get(f"{URL}/servers/{mine}/explain").status_code == 404
    assert http.get(f"{URL}/servers/none/explain").status_code == 404


def test_devices_name_their_holder(world: Fleet, http: TestClient) -> None:
    mine = server(world, http, flavor(http, "one", "a1:1"))
    held = http.get(f"{URL}/devices?state=held").json()["devices"]
    assert [(one["holder"], one["holder_name"]) for one in held] == [(mine, "s")]
    shown = http.get(f"{URL}/devices/{held[0]['id']}").json()["device"]
    assert shown == held[0]
    assert "s" in list_text(held).splitlines()[1].split()
    assert len(http.get(f"{URL}/devices?host=h2").json()["devices"]) == 16
    assert http.get(f"{URL}/devices/none").status_code == 404
    assert world.client(FACE, who="member").get(f"{URL}/devices").status_code == 403


def test_a_quarantined_device_is_cleaned_again_on_an_operators_word(
    world: Fleet, http: TestClient
) -> None:
    mine = server(world, http, flavor(http, "one", "a1:1"))
    world.obey()
    http.delete(f"/compute/v2.1/servers/{mine}")
    world.report(mine, "absent")
    fail(world, "the reset timed out")
    (bad,) = http.get(f"{URL}/devices?state=quarantined").json()["devices"]
    assert bad["state_reason"] == "the reset timed out"
    again = http.post(f"{URL}/devices/{bad['id']}/clean")
    assert (again.status_code, again.json()["device"]["state"]) == (200, "cleaning")
    assert http.post(f"{URL}/devices/{bad['id']}/clean").status_code == 409
    world.clean(world.hosts["h1"])
    assert http.get(f"{URL}/devices/{bad['id']}").json()["device"]["state"] == "available"
    assert http.post(f"{URL}/devices/none/clean").status_code == 404


def fail(world: Fleet, problem: str) -> None:
    """Have the first host's cleaning fail."""
    host_id = world.hosts["h1"]
    with world.site.database.read() as connection:
        (row,) = devices_to_clean(connection, host_id)
    failed = CleaningState(
        device_id=row["id"], round=row["cleaning_round"], clean=False, problem=problem
    )
    report_state(world.site, host_id, HostState(cleaned=[failed]))


def test_devices_of_a_host_or_state_that_is_not_there_are_refused(http: TestClient) -> None:
    answer = http.get(f"{URL}/devices?host=h9")
    assert answer.status_code == 404
    assert "no host is called 'h9' (there are h1, h2)" in answer.text
    answer = http.get(f"{URL}/devices?state=broken")
    assert answer.status_code == 400
    assert "available, held, cleaning, quarantined" in answer.text
    assert http.get(f"{URL}/devices?host=h1&state=available").json()["devices"]
