"""Requests that nobody should send: each refused with 4xx and in Placement's shape."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lanekeeper.cli.listen import Listen
from lanekeeper.cli.placement import Options, placement
from lanekeeper.config import Config, Placement
from placement.gabbi_world import World, new_id

pytestmark = pytest.mark.service

HUGE = 10**40
ID = "11111111-1111-1111-1111-111111111111"
CONSUMER = "22222222-2222-2222-2222-222222222222"


@pytest.fixture
def listen(database_url: str, tmp_path: Path) -> Iterator[Listen]:
    options = Options(
        state_dir=tmp_path / "state",
        config=Config(placement=Placement(auth_strategy="noauth2")),
        listen=(Listen("127.0.0.1", 0),),
        database_url=database_url,
    )
    umask = os.umask(0o077)
    try:
        with placement(options) as serving:
            (there,) = serving.listens
            yield there
    finally:
        os.umask(umask)


@pytest.fixture
def http(listen: Listen) -> Iterator[httpx.Client]:
    headers = {"X-Auth-Token": "admin", "OpenStack-API-Version": "placement 1.39"}
    with httpx.Client(base_url=listen.url, headers=headers, timeout=30) as client:
        yield client


def claim(amount: Any = 1, generation: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "allocations": {ID: {"resources": {"VCPU": amount}}},
        "project_id": "p",
        "user_id": "u",
        "consumer_generation": generation,
        "consumer_type": "T",
        **more,
    }


def inventories(generation: Any = 1, **stock: Any) -> dict[str, Any]:
    return {"resource_provider_generation": generation, "inventories": {"VCPU": stock}}


_RP = f"/resource_providers/{ID}"
_BODIES: list[tuple[str, str, Any, set[int]]] = [
    ("PUT", f"/allocations/{CONSUMER}", claim(HUGE), {409}),
    ("PUT", f"/allocations/{CONSUMER}", claim(2**31), {409}),
    ("PUT", f"/allocations/{CONSUMER}", claim(1.5), {400}),
    ("PUT", f"/allocations/{CONSUMER}", claim(True), {400}),
    ("PUT", f"/allocations/{CONSUMER}", claim(1, HUGE), {409}),
    ("PUT", f"/allocations/{CONSUMER}", claim(1, -HUGE), {409}),
    ("PUT", f"/allocations/{CONSUMER}", claim(user_id="u" * 256), {400}),
    ("PUT", f"/allocations/{CONSUMER}", claim(consumer_type="T\n"), {204, 400}),
    ("PUT", f"/allocations/{CONSUMER}", claim(project_id="p\0"), {400}),
    ("POST", "/allocations", {"-" * 36: claim()}, {400}),
    ("POST", "/allocations", {new_id(): claim(allocations={"-" * 36: {}})}, {400}),
    ("PUT", f"{_RP}/inventories", inventories(HUGE, total=1), {409}),
    ("PUT", f"{_RP}/inventories", inventories(total=HUGE), {400}),
    ("PUT", f"{_RP}/inventories", inventories(total=1, reserved=2), {400}),
    ("PUT", f"{_RP}/inventories", inventories(total=1, allocation_ratio=-1e300), {400}),
    ("PUT", f"{_RP}/inventories", inventories(total=1, allocation_ratio=1e300), {400}),
    ("PUT", f"{_RP}/inventories", inventories(0, total=2**31 - 1, allocation_ratio=3e38), {409}),
    ("PUT", f"{_RP}/traits", {"traits": ["T" * 255], "resource_provider_generation": 1}, {400}),
    ("PUT", f"{_RP}/traits", {"traits": [], "resource_provider_generation": HUGE}, {409}),
    (
        "PUT",
        f"{_RP}/aggregates",
        {"aggregates": [ID, ID], "resource_provider_generation": 1},
        {400},
    ),
    ("POST", "/resource_classes", {"name": "CUSTOM_" + "A" * 249}, {400}),
    ("POST", "/resource_classes", {"name": "CUSTOM_A\n"}, {400}),
    ("POST", "/resource_providers", {"name": "n", "parent_provider_uuid": new_id()}, {400}),
    ("POST", "/reshaper", {"inventories": {}, "allocations": {}}, {403}),
]


@pytest.mark.parametrize(("method", "path", "body", "expected"), _BODIES)
def test_bodies(http: httpx.Client, method: str, path: str, body: Any, expected: set[int]) -> None:
    world = World(http)
    world.stock(world.provider("p", id_=ID), "VCPU", 4)
    reply = http.request(method, path, json=body)
    assert reply.status_code in expected, reply.text
    if not reply.is_success:
        assert reply.json()["errors"][0]["status"] == reply.status_code


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\xfe",
        b'{"name": "\xff"}',
        b"[" * 100_000,
        b'{"name": ' * 50_000,
        b'{"name": "a", "uuid": 1e999}',
        b'{"name": ' + b"1" * 10_000 + b"}",
        b"NaN",
        b"",
        b"null",
    ],
    ids=range(9),
)
def test_bodies_that_are_no_json_or_too_much_of_it(http: httpx.Client, raw: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    reply = http.post("/resource_providers", content=raw, headers=headers)
    assert reply.status_code == 400, reply.text
    assert len(reply.content) < 2_000  # what is wrong is said, not repeated


@pytest.mark.parametrize(
    "query",
    [
        "/allocation_candidates?" + "&".join(f"resources{n}=VCPU:1" for n in range(2_000)),
        "/allocation_candidates?" + "&".join("resources=VCPU:1" for _ in range(2_500)) + "&limit=x",
        f"/allocation_candidates?resources_{'x' * 64}=VCPU:1",
        f"/allocation_candidates?resources={'VCPU:1,' * 5_000}",
        "/allocation_candidates?resources=VCPU:1&required=" + ",".join(["!"] * 1_000),
        "/allocation_candidates?resources=VCPU:1&member_of=in:" + "," * 1_000,
        "/allocation_candidates?resources1=VCPU:1&same_subtree=" + "," * 1_000,
        "/resource_providers?name=%ff",
        "/resource_providers?name=%00",
        "/resource_providers?in_tree=root",
        "/resource_providers?resources=VCPU:1:1",
        "/resource_providers?required=" + ",".join(f"CUSTOM_{n}" for n in range(4_000)),
        "/usages?user_id=u",
        "/traits?associated=perhaps",
    ],
    ids=range(14),
)
def test_queries(http: httpx.Client, query: str) -> None:
    reply = http.get(query)
    assert reply.status_code == 400, reply.text[:300]
    assert reply.json()["errors"][0]["code"].startswith("placement.")
    assert len(reply.content) < 3_000


def test_the_longest_name_of_a_group_is_answered(http: httpx.Client) -> None:
    world = World(http)
    world.stock(world.provider("p", id_=ID), "VCPU", 4)
    suffix = "_" + "x" * 63
    reply = http.get("/allocation_candidates", params={f"resources{suffix}": "VCPU:1"})
    assert reply.json()["allocation_requests"][0]["mappings"] == {suffix: [ID]}


def test_paths(http: httpx.Client) -> None:
    for path in ("/resource_providers/%00", "/resource_providers/%ff", f"/traits/{'T' * 9_000}"):
        assert http.get(path).status_code in {400, 404}
    for path in ("/resource_providers//inventories", "/resource_providers/a/b/c/d/e"):
        assert http.get(path).status_code == 404


def test_a_strangers_megabytes_are_not_taken_in(listen: Listen) -> None:
    """The refusal comes before the body has been sent."""
    with socket.create_connection((listen.host, listen.port), timeout=10) as line:
        line.sendall(
            b"POST /resource_providers HTTP/1.1\r\nHost: here\r\n"
            b"Content-Type: application/json\r\nContent-Length: 4000000\r\n\r\n{"
        )
        assert line.recv(4096).startswith(b"HTTP/1.1 401 ")


def test_a_length_that_is_no_number_ends_at_the_http_server(listen: Listen) -> None:
    """The one test of Placement's that cannot pass here: the answer is 400, its words differ."""
    with socket.create_connection((listen.host, listen.port), timeout=10) as line:
        line.sendall(
            b"POST /resource_providers HTTP/1.1\r\nHost: here\r\nX-Auth-Token: admin\r\n"
            b"Content-Type: application/json\r\nContent-Length: hi mom\r\n\r\n{}"
        )
        assert line.recv(4096).startswith(b"HTTP/1.1 400 ")
