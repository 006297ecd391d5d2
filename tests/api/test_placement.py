"""Placement over the real application: a client's own providers, and those of a host's devices."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from lanekeeper.api.app import application
from lanekeeper.api.placement.face import FACE
from lanekeeper.api.policy import Enforcer
from lanekeeper.clock import utc_now
from lanekeeper.config import Config
from lanekeeper.control.caller import Caller
from lanekeeper.control.host.facts import report_facts
from lanekeeper.control.placement.allocation import put_allocations
from lanekeeper.control.placement.consumer import ConsumerClaim
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict
from lanekeeper.protocol import DeviceFact, HostFacts
from lanekeeper.store.database import Database
from lanekeeper.store.device.life import Pick, claim_insert
from lanekeeper.store.device.listing import device_rows
from lanekeeper.store.host.host import host_insert
from lanekeeper.store.schema import upgrade

HOST = "11111111-1111-1111-1111-111111111111"
PF = "0000:21:00.0"
CONSUMER = "22222222-2222-2222-2222-222222222222"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def vf(number: int) -> DeviceFact:
    return DeviceFact(
        address=f"0000:21:10.{number}",
        vendor_id="8086",
        product_id="10ca",
        dev_type="type-VF",
        parent=PF,
        vf_index=number,
        tags={"physical_network": "physnet1"},
    )


FACTS = HostFacts(
    host_name="h1",
    vcpus=8,
    memory_mib=4096,
    disk_gib=100,
    devices=[
        DeviceFact(
            address=PF, vendor_id="8086", product_id="10c9", dev_type="type-PF", listed=False
        ),
        *(vf(number) for number in range(4)),
    ],
)


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    with Database(database_url) as database:
        upgrade(database.engine)
        site = Site(database=database, config=Config(), clock=utc_now, state_dir=tmp_path)
        database.write(lambda c: host_insert(c, HOST, "h1", "hash", NOW))
        report_facts(site, HOST, FACTS)
        yield site


@pytest.fixture
def http(site: Site) -> Iterator[TestClient]:
    def admin(request: Request, request_id: str) -> Caller:
        return Caller(user_id="u", user_name="admin", roles=frozenset({"admin"}))

    app = application(site, [FACE], {"": admin}, Enforcer([FACE]))
    with TestClient(
        app,
        base_url="http://placement/placement",
        headers={"OpenStack-API-Version": "placement 1.39"},
        raise_server_exceptions=False,
    ) as client:  # one loop for all requests
        yield client


def detail(reply: Any) -> str:
    return str(reply.json()["errors"][0]["detail"])


def provider_of_card(http: TestClient) -> str:
    found = http.get("/resource_providers", params={"required": "CUSTOM_PHYSNET_PHYSNET1"})
    (provider,) = found.json()["resource_providers"]
    assert provider["name"] == "h1_0000:21:00.0"
    assert provider["parent_provider_uuid"] == HOST
    return str(provider["uuid"])


def create(http: TestClient, name: str = "mine", **more: object) -> str:
    reply = http.post("/resource_providers", json={"name": name, **more})
    assert reply.status_code == 200, reply.text
    assert reply.headers["location"].endswith(reply.json()["uuid"])
    return str(reply.json()["uuid"])


def test_what_a_host_reports_is_counted(http: TestClient) -> None:
    host = http.get(f"/resource_providers/{HOST}/inventories").json()["inventories"]
    assert {name: one["total"] for name, one in host.items()} == {
        "VCPU": 8,
        "MEMORY_MB": 4096,
        "DISK_GB": 100,
    }
    assert (host["VCPU"]["allocation_ratio"], host["MEMORY_MB"]["reserved"]) == (4.0, 512)
    card = provider_of_card(http)
    (vfs,) = http.get(f"/resource_providers/{card}/inventories").json()["inventories"].values()
    assert (vfs["total"], vfs["reserved"], vfs["max_unit"]) == (4, 0, 4)


def test_a_claim_is_an_allocation_because_it_is_the_same_row(site: Site, http: TestClient) -> None:
    card = provider_of_card(http)
    with site.database.read() as connection:
        free = [row["id"] for row in device_rows(connection) if row["listed"]]
    picks = [Pick(free[0], "port-1")]
    site.database.write(lambda c: claim_insert(c, CONSUMER, picks, NOW))
    assert http.get(f"/resource_providers/{card}/usages").json()["usages"] == {"SRIOV_NET_VF": 1}
    held = http.get(f"/allocations/{CONSUMER}").json()["allocations"]
    assert held[card]["resources"] == {"SRIOV_NET_VF": 1}
    ask = {"resources1": "SRIOV_NET_VF:4", "group_policy": "none"}
    assert http.get("/allocation_candidates", params=ask).json()["allocation_requests"] == []
    ask["resources1"] = "SRIOV_NET_VF:3"
    (candidate,) = http.get("/allocation_candidates", params=ask).json()["allocation_requests"]
    assert candidate["mappings"] == {"1": [card]}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/resource_providers/{card}", {"name": "mine-now"}),
        ("DELETE", "/resource_providers/{card}", None),
        ("DELETE", "/resource_providers/{card}/inventories", None),
        (
            "PUT",
            "/resource_providers/{card}/inventories/SRIOV_NET_VF",
            {"total": 64, "resource_provider_generation": 1},
        ),
        (
            "PUT",
            "/resource_providers/{host}/inventories/VCPU",
            {"total": 64, "resource_provider_generation": 1},
        ),
        (
            "PUT",
            "/resource_providers/{card}/traits",
            {"traits": [], "resource_provider_generation": 1},
        ),
        (
            "PUT",
            "/allocations/{consumer}",
            {
                "allocations": {"{card}": {"resources": {"SRIOV_NET_VF": 1}}},
                "project_id": "p",
                "user_id": "u",
                "consumer_generation": None,
                "consumer_type": "OTHER",
            },
        ),
    ],
)
def test_what_follows_devices_cannot_be_written_here(
    http: TestClient, method: str, path: str, body: Any
) -> None:
    card = provider_of_card(http)
    if body and "allocations" in body:
        body = body | {"allocations": {card: body["allocations"]["{card}"]}}
    reply = http.request(method, path.format(card=card, host=HOST, consumer=CONSUMER), json=body)
    assert reply.status_code == 409, reply.text
    assert "follow" in detail(reply) or "reports" in detail(reply) or "counted" in detail(reply)


def test_a_clients_own_provider_lives_a_whole_life(http: TestClient) -> None:
    mine = create(http)
    path = f"/resource_providers/{mine}"
    inventories = {"inventories": {"VCPU": {"total": 4}}, "resource_provider_generation": 0}
    assert http.put(f"{path}/inventories", json=inventories).status_code == 200
    stale = http.put(f"{path}/inventories", json=inventories)
    assert (stale.status_code, stale.json()["errors"][0]["code"]) == (
        409,
        "placement.concurrent_update",
    )
    claim = {
        "allocations": {mine: {"resources": {"VCPU": 3}}},
        "project_id": "p",
        "user_id": "u",
        "consumer_generation": None,
        "consumer_type": "OTHER",
    }
    assert http.put(f"/allocations/{CONSUMER}", json=claim).status_code == 204
    again = http.put(f"/allocations/{CONSUMER}", json=claim)
    assert again.status_code == 409
    shown = http.get(f"/allocations/{CONSUMER}").json()
    assert (shown["consumer_generation"], shown["consumer_type"]) == (1, "OTHER")
    usage = http.get("/usages", params={"project_id": "p"}).json()["usages"]
    assert usage == {"OTHER": {"VCPU": 3, "consumer_count": 1}}
    in_use = http.delete(f"{path}/inventories")
    assert in_use.json()["errors"][0]["code"] == "placement.inventory.inuse"
    assert http.delete(path).json()["errors"][0]["code"] == "placement.resource_provider.inuse"
    assert http.delete(f"/allocations/{CONSUMER}").status_code == 204
    assert http.delete(f"/allocations/{CONSUMER}").status_code == 404
    assert http.delete(path).status_code == 204
    assert http.get(path).status_code == 404


def test_a_claim_above_capacity_changes_nothing(http: TestClient) -> None:
    mine = create(http)
    body = {"inventories": {"VCPU": {"total": 2}}, "resource_provider_generation": 0}
    http.put(f"/resource_providers/{mine}/inventories", json=body)
    claims = {
        str(uuid4()): {
            "allocations": {mine: {"resources": {"VCPU": 2}}},
            "project_id": "p",
            "user_id": "u",
            "consumer_generation": None,
            "consumer_type": "OTHER",
        }
        for _ in range(2)
    }
    reply = http.post("/allocations", json=claims)
    assert reply.status_code == 409
    assert "4 asked, 2 of 2 free" in detail(reply)
    assert http.get(f"/resource_providers/{mine}/usages").json()["usages"] == {"VCPU": 0}


def test_of_two_first_claims_at_once_one_is_told_to_look_again(
    site: Site, http: TestClient
) -> None:
    mine = create(http)
    body = {"inventories": {"VCPU": {"total": 100}}, "resource_provider_generation": 0}
    http.put(f"/resource_providers/{mine}/inventories", json=body)
    refusals: list[Conflict] = []

    def put(consumer: str, together: Barrier) -> None:
        claim = ConsumerClaim(
            consumer_id=consumer,
            amounts={mine: {"VCPU": 1}},
            project_id="p",
            user_id="u",
            generation=(None,),
        )
        together.wait(20)
        try:
            put_allocations(site, [claim])
        except Conflict as error:
            refusals.append(error)

    rounds = 8
    with ThreadPoolExecutor(2) as pool:
        for _ in range(rounds):
            consumer, together = str(uuid4()), Barrier(2)
            for one in [pool.submit(put, consumer, together) for _ in range(2)]:
                one.result(30)
    assert [error.code for error in refusals] == ["placement.concurrent_update"] * rounds
    assert http.get(f"/resource_providers/{mine}/usages").json()["usages"] == {"VCPU": rounds}


def test_what_other_projects_hold_is_not_told(site: Site) -> None:
    def reader(request: Request, request_id: str) -> Caller:
        return Caller(user_id="u", user_name="u", project_id="mine", roles=frozenset({"reader"}))

    app = application(site, [FACE], {"": reader}, Enforcer([FACE]))
    headers = {"OpenStack-API-Version": "placement 1.39"}
    client = TestClient(app, base_url="http://placement/placement", headers=headers)
    assert client.get("/usages", params={"project_id": "mine"}).json() == {"usages": {}}
    assert client.get("/usages", params={"project_id": "other"}).status_code == 403


def test_names_of_classes_and_traits(http: TestClient) -> None:
    assert http.put("/resource_classes/CUSTOM_A").status_code == 201
    assert http.put("/resource_classes/CUSTOM_A").status_code == 204
    assert http.put("/resource_classes/CUSTOM_a").status_code == 400
    assert http.delete("/resource_classes/CUSTOM_A").status_code == 204
    assert http.delete("/resource_classes/VCPU").status_code == 400
    assert http.delete("/resource_classes/SRIOV_NET_VF").status_code == 400
    assert http.put("/traits/CUSTOM_T").status_code == 201
    assert http.get("/traits/CUSTOM_T").status_code == 204
    assert http.get("/traits", params={"name": "startswith:CUSTOM_PHYSNET"}).json() == {
        "traits": ["CUSTOM_PHYSNET_PHYSNET1"]
    }
    assert http.delete("/traits/CUSTOM_PHYSNET_PHYSNET1").status_code == 409


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"resources": "NOPE:1"}, "Invalid resource class"),
        ({"resources": "VCPU:1", "required": "NOPE"}, "No such trait"),
        ({"resources": "VCPU:1", "limit": "0"}, "limit"),
        ({"resources": "VCPU:1", "colour": "red"}, "colour"),
        ({"resources1": "VCPU:1", "resources2": "VCPU:1"}, "group_policy"),
        ({}, "at least one resources"),
    ],
)
def test_bad_queries_name_what_is_wrong(
    http: TestClient, query: dict[str, str], message: str
) -> None:
    reply = http.get("/allocation_candidates", params=query)
    assert reply.status_code == 400
    assert message in detail(reply)


def test_a_version_that_is_not_there_is_told_with_those_that_are(http: TestClient) -> None:
    reply = http.get("/", headers={"OpenStack-API-Version": "placement 1.99"})
    assert reply.status_code == 406
    assert reply.json()["errors"][0]["max_version"] == "1.39"
    old = {"OpenStack-API-Version": "placement 1.5"}
    assert http.get("/traits", headers=old).status_code == 404


def test_a_stale_generation_is_told_before_what_else_is_wrong(http: TestClient) -> None:
    """As Placement does: who works from an old state reads again before mending the rest."""
    mine = create(http)
    body = {"inventories": {"VCPU": {"total": 1, "reserved": 2}}}
    path = f"/resource_providers/{mine}/inventories"
    for generation, status in ((7, 409), (0, 400)):
        reply = http.put(path, json={**body, "resource_provider_generation": generation})
        assert reply.status_code == status, reply.text
