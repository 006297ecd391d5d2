"""Flavors, keys, aggregates, hosts and quotas over HTTP."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from fleet import OTHER_PROJECT, PROJECT, Fleet, fleet
from lanekeeper.api.compute.face import FACE
from lanekeeper.control.identity.limit import NewLimit, create_limits, create_registered_limits
from lanekeeper.domain.identity.project import Project
from lanekeeper.store.identity.project import project_insert

pytestmark = pytest.mark.service

URL = "/compute/v2.1"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGc5cLzWz2k3xV0c1CBY6oAwXzV1z0p6pZ2m8nN5T1aa me"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Fleet]:
    with fleet(f"sqlite:///{tmp_path}/x.db", tmp_path, hosts=2) as made:
        yield made


@pytest.fixture
def http(world: Fleet) -> TestClient:
    return world.client(FACE)


def message(answer: Any) -> str:
    (fault,) = answer.json().values()
    assert fault["code"] == answer.status_code
    return str(fault["message"])


def make_flavor(http: TestClient, name: str = "m1", **more: Any) -> str:
    body = {"flavor": {"name": name, "ram": 64, "vcpus": 1, "disk": 1, **more}}
    answer = http.post(f"{URL}/flavors", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["flavor"]["id"])


# Versions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/compute", "/compute/", "/compute/v2.1", "/compute/v2.1/"])
def test_the_version_documents_need_no_token(world: Fleet, path: str) -> None:
    client = world.client(FACE, who="nobody")
    document = client.get(path).json()
    one = document["version"] if "version" in document else document["versions"][0]
    assert (one["id"], one["version"], one["min_version"]) == ("v2.1", "2.100", "2.1")
    assert client.get(f"{URL}/servers").status_code == 401


def test_both_version_headers_are_understood_and_answered(world: Fleet) -> None:
    client = world.client(FACE)
    del client.headers["OpenStack-API-Version"]
    answer = client.get(f"{URL}/servers", headers={"X-OpenStack-Nova-API-Version": "2.96"})
    assert answer.headers["OpenStack-API-Version"] == "compute 2.96"
    assert answer.headers["X-OpenStack-Nova-API-Version"] == "2.96"
    assert client.get(f"{URL}/servers").headers["OpenStack-API-Version"] == "compute 2.1"
    late = client.get(f"{URL}/servers", headers={"OpenStack-API-Version": "compute 2.101"})
    assert (late.status_code, *late.json()) == (406, "computeFault")


# Flavors ------------------------------------------------------------------------------------------


def test_a_flavor_is_shown_as_its_version_has_it(world: Fleet, http: TestClient) -> None:
    flavor_id = make_flavor(http, description="d")
    early = world.client(FACE, version="2.1").get(f"{URL}/flavors/{flavor_id}").json()["flavor"]
    assert early["swap"] == ""
    assert not {"description", "extra_specs"} & early.keys()
    late = http.get(f"{URL}/flavors/{flavor_id}").json()["flavor"]
    assert (late["swap"], late["description"], late["extra_specs"]) == (0, "d", {})


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"name": ""}, "name"),
        ({"ram": 0}, "ram 0 is not in 1"),
        ({"vcpus": "two"}, "not a whole number"),
        ({"disk": -1}, "disk -1"),
        ({"id": "a/b"}, "flavorid"),
        ({"rxtx_factor": 0}, "rxtx_factor"),
        ({"os-flavor-access:is_public": "so"}, "neither true nor false"),
        ({"colour": "red"}, "unknown field `colour`"),
    ],
)
def test_a_flavor_that_cannot_be_is_refused(
    http: TestClient, more: dict[str, Any], words: str
) -> None:
    body = {"flavor": {"name": "m", "ram": 64, "vcpus": 1, "disk": 1} | more}
    answer = http.post(f"{URL}/flavors", json=body)
    assert answer.status_code == 400
    assert words in message(answer)
    assert http.get(f"{URL}/flavors?is_public=None").json() == {"flavors": []}


def test_names_and_ids_of_flavors_are_unique(http: TestClient) -> None:
    make_flavor(http, "m1", id="1")
    for name, flavor_id in (("m1", "2"), ("m2", "1")):
        body = {"flavor": {"name": name, "id": flavor_id, "ram": 1, "vcpus": 1, "disk": 0}}
        assert http.post(f"{URL}/flavors", json=body).status_code == 409


def test_numbers_may_be_text_and_the_id_a_number(http: TestClient) -> None:
    assert make_flavor(http, "m1", id=7, ram="128") == "7"
    assert http.get(f"{URL}/flavors/7").json()["flavor"]["ram"] == 128


def test_extra_specs_are_merged_shown_and_removed(http: TestClient) -> None:
    specs = f"{URL}/flavors/{make_flavor(http)}/os-extra_specs"
    http.post(specs, json={"extra_specs": {"a:b": "1"}})
    http.post(specs, json={"extra_specs": {"pci_passthrough:alias": "a1:2", "n:n": 5}})
    assert http.get(specs).json()["extra_specs"] == {
        "a:b": "1",
        "pci_passthrough:alias": "a1:2",
        "n:n": "5",
    }
    assert http.get(f"{specs}/pci_passthrough:alias").json() == {"pci_passthrough:alias": "a1:2"}
    assert http.delete(f"{specs}/a:b").status_code == 200
    assert http.delete(f"{specs}/a:b").status_code == 404
    assert http.put(f"{specs}/x:y", json={"z:z": "1"}).status_code == 400


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("hw:pci_numa_affinity_policy", "near", "none of legacy"),
        ("quota:vif_outbound_average", "abc", "no whole number"),
        ("hw:watchdog_action", "halt", "none of none, pause"),
        ("hw:cpu_polcy", "dedicated", "did you mean hw:cpu_policy?"),
        ("resources:VCPU", "two", "is not a whole number"),
        ("hide_hypervisor_id", "maybe", "neither true nor false"),
    ],
)
def test_extra_specs_are_checked_from_286_on(
    world: Fleet, http: TestClient, key: str, value: str, said: str
) -> None:
    path = f"{URL}/flavors/{make_flavor(http)}/os-extra_specs"
    new = world.client(FACE, version="2.86")
    for answer in (
        new.post(path, json={"extra_specs": {"a:b": "1", key: value}}),
        new.put(f"{path}/{key}", json={key: value}),
    ):
        assert answer.status_code == 400
        assert key in answer.json()["badRequest"]["message"]
        assert said in answer.json()["badRequest"]["message"]
    assert http.get(path).json()["extra_specs"] == {}
    old = world.client(FACE, version="2.85")
    assert old.post(path, json={"extra_specs": {key: value}}).status_code == 200


@pytest.mark.parametrize(
    ("text", "status"),
    [("a1:0", 200), ("a1:65536", 200), ("a1:-1", 400), ("a1:1_0", 400), ("a1:1000000000", 400)],
)
def test_hole_17_counts_are_answered_alike_at_every_microversion(
    world: Fleet, http: TestClient, text: str, status: int
) -> None:
    path = f"{URL}/flavors/{make_flavor(http)}/os-extra_specs"
    for version in ("2.1", "2.85", "2.86"):
        body = {"extra_specs": {"pci_passthrough:alias": text}}
        answer = world.client(FACE, version=version).post(path, json=body)
        assert answer.status_code == status
        if status != 200:
            message = answer.json()["badRequest"]["message"]
            assert "is not NAME:COUNT with a COUNT of 0 to 65536" in message
            assert 'an example: "a1:2"' in message


def test_hole_17_an_unknown_alias_is_refused_at_the_flavor(world: Fleet, http: TestClient) -> None:
    path = f"{URL}/flavors/{make_flavor(http)}/os-extra_specs"
    body = {"extra_specs": {"pci_passthrough:alias": "a1:1,a9:1"}}
    for version in ("2.1", "2.85", "2.86"):
        answer = world.client(FACE, version=version).post(path, json=body)
        assert answer.status_code == 400
        message = answer.json()["badRequest"]["message"]
        assert "PCI alias a9 is not defined" in message
        assert "a1" in message
    assert http.get(path).json()["extra_specs"] == {}


@pytest.mark.parametrize("version", ["2.1", "2.85", "2.86"])
def test_a_misspelt_spec_of_ours_is_refused_at_the_flavor(
    world: Fleet, http: TestClient, version: str
) -> None:
    path = f"{URL}/flavors/{make_flavor(http)}/os-extra_specs"
    old = world.client(FACE, version=version)
    for key, value, said in (
        ("lanekeeper:pci_root", "required", "did you mean lanekeeper:pcie_root?"),
        ("Lanekeeper:pcie_root", "required", "did you mean lanekeeper:pcie_root?"),
        ("lanekeeper:devices_only", "true", "metadata of a host aggregate"),
        ("lanekeeper:pcie_root", "same", "none of any, preferred, required"),
    ):
        for answer in (
            old.post(path, json={"extra_specs": {key: value, "a:b": "1"}}),
            old.put(f"{path}/{key}", json={key: value}),
        ):
            assert answer.status_code == 400
            assert said in answer.json()["badRequest"]["message"]
    assert http.get(path).json()["extra_specs"] == {}
    assert old.put(
        f"{path}/lanekeeper:pcie_root", json={"lanekeeper:pcie_root": "required"}
    ).is_success


def test_misspelt_metadata_of_ours_is_refused_at_the_aggregate(http: TestClient) -> None:
    made = http.post(f"{URL}/os-aggregates", json={"aggregate": {"name": "apart"}}).json()
    path = f"{URL}/os-aggregates/{made['aggregate']['id']}/action"
    answer = http.post(
        path, json={"set_metadata": {"metadata": {"lanekeeper:device_only": "true"}}}
    )
    assert answer.status_code == 400
    assert "did you mean lanekeeper:devices_only?" in answer.json()["badRequest"]["message"]
    gone = {"set_metadata": {"metadata": {"lanekeeper:device_only": None}}}
    assert http.post(path, json=gone).status_code == 200


@pytest.mark.parametrize("version", ["2.1", "2.85", "2.86"])
@pytest.mark.parametrize(
    "text",
    ["a1", "a1:", "a1:x", "a1:-1", "a1:1_0", "a1:1000000000", "a1:1,", "a1:1:2", "", "a1: 2"],
)
def test_what_is_no_count_of_an_alias_is_refused_at_the_flavor(
    world: Fleet, http: TestClient, text: str, version: str
) -> None:
    path = f"{URL}/flavors/{make_flavor(http)}/os-extra_specs"
    old = world.client(FACE, version=version)
    answer = old.post(path, json={"extra_specs": {"pci_passthrough:alias": text, "a:b": "1"}})
    assert answer.status_code == 400
    assert "is not NAME:COUNT" in answer.json()["badRequest"]["message"]
    one = old.put(f"{path}/pci_passthrough:alias", json={"pci_passthrough:alias": text})
    assert one.status_code == 400
    assert http.get(path).json()["extra_specs"] == {}


def test_a_private_flavor_is_seen_by_those_who_may(world: Fleet, http: TestClient) -> None:
    flavor_id = make_flavor(http, "secret", **{"os-flavor-access:is_public": False})
    stranger = world.client(FACE, who="stranger")
    assert stranger.get(f"{URL}/flavors/{flavor_id}").status_code == 404
    grant = {"addTenantAccess": {"tenant": OTHER_PROJECT}}
    access = http.post(f"{URL}/flavors/{flavor_id}/action", json=grant)
    assert access.json()["flavor_access"] == [{"flavor_id": flavor_id, "tenant_id": OTHER_PROJECT}]
    assert stranger.get(f"{URL}/flavors/{flavor_id}").status_code == 200
    assert len(stranger.get(f"{URL}/flavors").json()["flavors"]) == 1
    assert http.post(f"{URL}/flavors/{flavor_id}/action", json=grant).status_code == 409
    listed = http.get(f"{URL}/flavors/{flavor_id}/os-flavor-access")
    assert len(listed.json()["flavor_access"]) == 1
    assert http.get(f"{URL}/flavors?is_public=False").json()["flavors"][0]["id"] == flavor_id
    assert http.get(f"{URL}/flavors").json() == {"flavors": []}
    revoke = {"removeTenantAccess": {"tenant": OTHER_PROJECT}}
    assert http.post(f"{URL}/flavors/{flavor_id}/action", json=revoke).status_code == 200
    assert http.post(f"{URL}/flavors/{flavor_id}/action", json=revoke).status_code == 404


def test_flavors_come_in_pages(http: TestClient) -> None:
    for number in range(3):
        make_flavor(http, f"m{number}", id=str(number))
    page = http.get(f"{URL}/flavors/detail?limit=2&is_public=None").json()
    assert [one["id"] for one in page["flavors"]] == ["0", "1"]
    rest = http.get(page["flavors_links"][0]["href"]).json()
    assert [one["id"] for one in rest["flavors"]] == ["2"]
    assert "flavors_links" not in rest
    assert http.get(f"{URL}/flavors?marker=9").status_code == 400
    assert http.get(f"{URL}/flavors?minRam=65").json() == {"flavors": []}


@pytest.mark.parametrize("who", ["member", "reader"])
def test_only_admins_make_flavors(world: Fleet, who: str) -> None:
    body = {"flavor": {"name": "m", "ram": 64, "vcpus": 1, "disk": 1}}
    assert world.client(FACE, who=who).post(f"{URL}/flavors", json=body).status_code == 403


# Keys ---------------------------------------------------------------------------------------------


def test_a_key_is_imported_shown_and_forgotten(http: TestClient) -> None:
    made = http.post(f"{URL}/os-keypairs", json={"keypair": {"name": "k", "public_key": KEY}})
    assert made.status_code == 201
    shown = http.get(f"{URL}/os-keypairs/k").json()["keypair"]
    assert (shown["public_key"], shown["type"], shown["deleted"]) == (KEY, "ssh", False)
    assert len(shown["fingerprint"].split(":")) == 16
    again = http.post(f"{URL}/os-keypairs", json={"keypair": {"name": "k", "public_key": KEY}})
    assert again.status_code == 409
    assert http.delete(f"{URL}/os-keypairs/k").status_code == 204
    assert http.delete(f"{URL}/os-keypairs/k").status_code == 404


def test_a_key_is_made_and_its_private_half_told_once(world: Fleet) -> None:
    old = world.client(FACE, version="2.10")
    made = old.post(f"{URL}/os-keypairs", json={"keypair": {"name": "g"}}).json()["keypair"]
    assert made["private_key"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert "private_key" not in old.get(f"{URL}/os-keypairs/g").json()["keypair"]
    new = world.client(FACE).post(f"{URL}/os-keypairs", json={"keypair": {"name": "h"}})
    assert new.status_code == 400


@pytest.mark.parametrize(
    "asked",
    [
        {"name": "a/b", "public_key": KEY},
        {"name": "", "public_key": KEY},
        {"name": "k" * 256, "public_key": KEY},
        {"name": "k", "public_key": "ssh-ed25519 nonsense"},
        {"name": "k", "public_key": "ssh-rsa " + "A" * 100_000},
        {"name": "k", "public_key": "-----BEGIN PUBLIC KEY-----"},
    ],
)
def test_a_key_that_cannot_be_is_refused(http: TestClient, asked: dict[str, str]) -> None:
    assert http.post(f"{URL}/os-keypairs", json={"keypair": asked}).status_code == 400


def test_keys_are_their_users_own(world: Fleet, http: TestClient) -> None:
    http.post(f"{URL}/os-keypairs", json={"keypair": {"name": "k", "public_key": KEY}})
    member = world.client(FACE, who="member")
    assert member.get(f"{URL}/os-keypairs").json() == {"keypairs": []}
    assert member.get(f"{URL}/os-keypairs?user_id={'a' * 32}").status_code == 403
    seen = http.get(f"{URL}/os-keypairs?user_id={'a' * 32}").json()["keypairs"]
    assert len(seen) == 1


# Aggregates and zones -----------------------------------------------------------------------------


def make_aggregate(http: TestClient, name: str, zone: str | None = None) -> str:
    body = {"aggregate": {"name": name, "availability_zone": zone}}
    made = http.post(f"{URL}/os-aggregates", json=body).json()["aggregate"]
    return f"{URL}/os-aggregates/{made['id']}"


def act(http: TestClient, aggregate: str, **action: object) -> int:
    status: int = http.post(f"{aggregate}/action", json=action).status_code
    return status


def test_an_aggregate_gathers_hosts_under_a_zone(http: TestClient) -> None:
    rack = make_aggregate(http, "rack-1", "west")
    assert act(http, rack, add_host={"host": "h1"}) == 200
    assert act(http, rack, add_host={"host": "h1"}) == 409
    assert act(http, rack, add_host={"host": "h9"}) == 404
    notes = {"metadata": {"pci": "true", "gone": None}}
    assert act(http, rack, set_metadata=notes) == 200
    shown = http.get(rack).json()["aggregate"]
    assert (shown["hosts"], shown["availability_zone"]) == (["h1"], "west")
    assert shown["metadata"] == {"availability_zone": "west", "pci": "true"}
    zones = http.get(f"{URL}/os-availability-zone").json()["availabilityZoneInfo"]
    assert [zone["zoneName"] for zone in zones] == ["nova", "west"]
    assert http.delete(rack).status_code == 409
    assert act(http, rack, remove_host={"host": "h1"}) == 200
    assert http.delete(rack).status_code == 200
    assert http.get(rack).status_code == 404


def test_a_host_is_in_one_zone(http: TestClient) -> None:
    west, east = make_aggregate(http, "w", "west"), make_aggregate(http, "e", "east")
    plain = make_aggregate(http, "p")
    assert act(http, west, add_host={"host": "h1"}) == 200
    assert act(http, east, add_host={"host": "h1"}) == 409
    assert act(http, plain, add_host={"host": "h1"}) == 200
    change = {"metadata": {"availability_zone": "east"}}
    assert act(http, plain, set_metadata=change) == 409


def test_a_server_goes_to_its_zone(world: Fleet, http: TestClient) -> None:
    rack = make_aggregate(http, "rack-1", "west")
    act(http, rack, add_host={"host": "h2"})
    asked = {"name": "s", "flavorRef": make_flavor(http), "imageRef": world.image()}
    body = {"server": asked | {"networks": "none", "availability_zone": "west"}}
    server_id = http.post(f"{URL}/servers", json=body).json()["server"]["id"]
    shown = http.get(f"{URL}/servers/{server_id}").json()["server"]
    assert shown["OS-EXT-SRV-ATTR:host"] == "h2"
    assert shown["OS-EXT-AZ:availability_zone"] == "west"
    assert shown["pinned_availability_zone"] == "west"


def test_names_of_aggregates_are_unique(http: TestClient) -> None:
    make_aggregate(http, "a")
    assert http.post(f"{URL}/os-aggregates", json={"aggregate": {"name": "a"}}).status_code == 409
    assert http.get(f"{URL}/os-aggregates/a").status_code == 404


# Hosts --------------------------------------------------------------------------------------------


def test_hypervisors_are_known_by_uuid_from_253_on(world: Fleet, http: TestClient) -> None:
    late = http.get(f"{URL}/os-hypervisors").json()["hypervisors"]
    assert [one["id"] for one in late] == [world.hosts["h1"], world.hosts["h2"]]
    old = world.client(FACE, version="2.52")
    early = old.get(f"{URL}/os-hypervisors").json()["hypervisors"]
    assert isinstance(early[0]["id"], int)
    shown = old.get(f"{URL}/os-hypervisors/{early[0]['id']}").json()["hypervisor"]
    assert (shown["vcpus"], shown["memory_mb"], shown["running_vms"]) == (64, 262144, 0)
    assert http.get(f"{URL}/os-hypervisors/h1").status_code == 404
    found = http.get(f"{URL}/os-hypervisors?hypervisor_hostname_pattern=H2").json()
    assert [one["hypervisor_hostname"] for one in found["hypervisors"]] == ["h2"]
    assert http.get(f"{URL}/os-hypervisors?hypervisor_hostname_pattern=z").status_code == 404


def test_a_host_that_is_silent_is_down(world: Fleet, http: TestClient) -> None:
    world.hands.turn(76)
    assert {one["state"] for one in http.get(f"{URL}/os-services").json()["services"]} == {"down"}
    world.seen()
    assert {one["state"] for one in http.get(f"{URL}/os-services").json()["services"]} == {"up"}


def test_a_disabled_host_takes_no_new_server(world: Fleet, http: TestClient) -> None:
    service = f"{URL}/os-services/{world.hosts['h1']}"
    off = {"status": "disabled", "disabled_reason": "new card"}
    assert http.put(service, json=off).json()["service"]["disabled_reason"] == "new card"
    asked = {"name": "s", "flavorRef": make_flavor(http), "imageRef": world.image()}
    body = {"server": asked | {"networks": "none", "host": "h1"}}
    server_id = http.post(f"{URL}/servers", json=body).json()["server"]["id"]
    fault = http.get(f"{URL}/servers/{server_id}").json()["server"]["fault"]
    assert "h1 is disabled: new card" in fault["message"]
    shown = http.put(service, json={"status": "enabled"}).json()["service"]
    assert (shown["status"], shown["disabled_reason"]) == ("enabled", None)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"status": "enabled", "disabled_reason": "x"}, 400),
        ({"status": "asleep"}, 400),
        ({"forced_down": True}, 501),
        ({"forced_down": True, "status": "disabled"}, 501),
    ],
)
def test_a_service_change_that_cannot_be_is_refused(
    world: Fleet, http: TestClient, body: dict[str, object], status: int
) -> None:
    assert http.put(f"{URL}/os-services/{world.hosts['h1']}", json=body).status_code == status


def test_hosts_are_for_admins(world: Fleet) -> None:
    member = world.client(FACE, who="member")
    for path in ("os-hypervisors", "os-services", "os-aggregates", "os-migrations"):
        assert member.get(f"{URL}/{path}").status_code == 403
    assert member.get(f"{URL}/os-availability-zone").status_code == 200
    assert member.get(f"{URL}/os-availability-zone/detail").status_code == 403


# Quotas and the rest ------------------------------------------------------------------------------


def test_without_limits_everything_is_unlimited(world: Fleet, http: TestClient) -> None:
    quotas = http.get(f"{URL}/os-quota-sets/{PROJECT}").json()["quota_set"]
    assert quotas.pop("id") == PROJECT
    assert set(quotas.values()) == {-1}
    assert "floating_ips" not in quotas
    stranger = world.client(FACE, who="stranger")
    assert stranger.get(f"{URL}/os-quota-sets/{PROJECT}").status_code == 403
    limits = http.get(f"{URL}/limits?reserved=False").json()["limits"]["absolute"]
    assert (limits["maxTotalInstances"], limits["totalInstancesUsed"]) == (-1, 0)


def test_limits_are_shown_by_novas_names_and_set_in_identity(
    world: Fleet, http: TestClient
) -> None:
    amounts = {"servers": 5, "class:VCPU": 6, "alias:a1": 1}
    create_registered_limits(
        world.site, [NewLimit(resource_name=name, amount=n) for name, n in amounts.items()]
    )
    new = Project(id=PROJECT, name="p")
    world.site.database.write(lambda c: project_insert(c, new))
    own = NewLimit(resource_name="class:VCPU", amount=8, project_id=PROJECT)
    create_limits(world.site, [own])
    path = f"{URL}/os-quota-sets/{PROJECT}"
    shown = http.get(path).json()["quota_set"]
    assert (shown["instances"], shown["cores"], shown["ram"]) == (5, 8, -1)
    for by_default in (
        http.get(f"{path}/defaults").json()["quota_set"],
        http.get(f"{URL}/os-quota-class-sets/default").json()["quota_class_set"],
    ):
        assert (by_default["instances"], by_default["cores"]) == (5, 6)
    detail = http.get(f"{path}/detail").json()["quota_set"]
    assert detail["cores"] == {"limit": 8, "in_use": 0, "reserved": 0}
    limits = http.get(f"{URL}/limits").json()["limits"]["absolute"]
    assert (limits["maxTotalInstances"], limits["maxTotalCores"]) == (5, 8)
    for method in ("PUT", "DELETE"):
        answer = http.request(method, path, json={"quota_set": {"instances": 9}})
        assert answer.status_code == 403
        assert f"--project {PROJECT} --resource-limit N servers" in answer.text
    assert http.get(path).json()["quota_set"] == shown


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("extensions", "extensions"),
        ("os-server-groups", "server_groups"),
        ("os-migrations", "migrations"),
    ],
)
def test_lists_that_clients_ask_in_passing(http: TestClient, path: str, key: str) -> None:
    assert isinstance(http.get(f"{URL}/{path}").json()[key], list)


def test_what_is_not_there_says_so(http: TestClient) -> None:
    assert http.get(f"{URL}/os-server-groups/x").status_code == 404
    assert http.get(f"{URL}/os-nothing").status_code == 404
    assert http.get(f"{URL}/extensions/Availability%20Zone").status_code == 404


def test_server_groups_speak_as_their_microversion_does(world: Fleet) -> None:
    def asked(version: str, **group: object) -> dict[str, Any]:
        http = world.client(FACE, who="member", version=version)
        answer = http.post(f"{URL}/os-server-groups", json={"server_group": group})
        return {"status": answer.status_code, **answer.json()}

    assert asked("2.14", name="g", policies=["soft-affinity"])["status"] == 400
    old = asked("2.15", name="g", policies=["soft-affinity"])["server_group"]
    assert (old["policies"], old["metadata"], old["members"]) == (["soft-affinity"], {}, [])
    rules = {"max_server_per_host": 2}
    new = asked("2.64", name="g", policy="anti-affinity", rules=rules)["server_group"]
    assert (new["policy"], new["rules"], "metadata" in new) == ("anti-affinity", rules, False)
    assert asked("2.64", name="g", policy="affinity", rules=rules)["status"] == 400
    assert asked("2.64", name="g", policies=["affinity"])["status"] == 400
    bad = {"max_server_per_host": 0}
    assert asked("2.64", name="g", policy="anti-affinity", rules=bad)["status"] == 400
    assert asked("2.1", name="g", policies=["affinity", "affinity"])["status"] == 400
    http = world.client(FACE, who="member")
    assert len(http.get(f"{URL}/os-server-groups?limit=1&offset=1").json()["server_groups"]) == 1
    assert http.get(f"{URL}/os-server-groups?colour=red").status_code == 400
    stranger = world.client(FACE, who="stranger")
    assert stranger.get(f"{URL}/os-server-groups").json() == {"server_groups": []}
    for caller, used in ((http, 2), (stranger, 0)):
        absolute = caller.get(f"{URL}/limits").json()["limits"]["absolute"]
        assert absolute["totalServerGroupsUsed"] == used
    detail = http.get(f"{URL}/os-quota-sets/{PROJECT}/detail").json()["quota_set"]
    assert detail["server_groups"]["in_use"] == 2
    assert stranger.get(f"{URL}/os-server-groups/{new['id']}").status_code == 404
    reader = world.client(FACE, who="reader")
    assert reader.delete(f"{URL}/os-server-groups/{new['id']}").status_code == 403
    assert http.delete(f"{URL}/os-server-groups/{new['id']}").status_code == 204
    assert http.delete(f"{URL}/os-server-groups/{new['id']}").status_code == 404
