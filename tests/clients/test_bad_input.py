"""What no stock client would send: each refused in its service's own shape, nothing changed."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from clients.conftest import Surroundings
from running import Instance

pytestmark = pytest.mark.client

LONG = "n" * 10_000
NUL = "before\0after"

# Where each service makes something by name: path, its body for a name, and where the list is.
MAKES: dict[str, tuple[str, Any, str, str]] = {
    "flavor": (
        "/compute/v2.1/flavors",
        lambda name: {"flavor": {"name": name, "ram": 64, "vcpus": 1, "disk": 1}},
        "/compute/v2.1/flavors/detail?is_public=None",
        "flavors",
    ),
    "keypair": (
        "/compute/v2.1/os-keypairs",
        lambda name: {"keypair": {"name": name}},
        "/compute/v2.1/os-keypairs",
        "keypairs",
    ),
    "aggregate": (
        "/compute/v2.1/os-aggregates",
        lambda name: {"aggregate": {"name": name, "availability_zone": None}},
        "/compute/v2.1/os-aggregates",
        "aggregates",
    ),
    "network": (
        "/network/v2.0/networks",
        lambda name: {"network": {"name": name}},
        "/network/v2.0/networks",
        "networks",
    ),
    "image": ("/image/v2/images", lambda name: {"name": name}, "/image/v2/images", "images"),
    "project": (
        "/identity/v3/projects",
        lambda name: {"project": {"name": name, "domain_id": "default"}},
        "/identity/v3/projects",
        "projects",
    ),
    "user": (
        "/identity/v3/users",
        lambda name: {"user": {"name": name, "domain_id": "default", "password": "secret-word"}},
        "/identity/v3/users",
        "users",
    ),
    "provider": (
        "/placement/resource_providers",
        lambda name: {"name": name},
        "/placement/resource_providers",
        "resource_providers",
    ),
}

NEED_NAMES = [noun for noun in MAKES if noun not in {"network", "image"}]

SERVICES = {
    "identity": "/identity/v3/projects",
    "compute": "/compute/v2.1/servers",
    "network": "/network/v2.0/networks",
    "image": "/image/v2/images",
    "placement": "/placement/resource_providers",
}


@pytest.fixture
def http(shared: Instance) -> Iterator[httpx.Client]:
    with shared.http() as client:
        yield client


def message(answer: httpx.Response) -> str:
    """The text that a client would show, from whichever envelope the service has."""
    body = answer.json()
    if "errors" in body:  # Placement
        return str(body["errors"][0]["detail"])
    if "NeutronError" in body:
        return str(body["NeutronError"]["message"])
    if "error" in body:  # Identity
        assert body["error"]["code"] == answer.status_code
        return str(body["error"]["message"])
    if "message" in body:  # Image
        return str(body["message"])
    (fault,) = body.values()  # Compute: one key that names the kind
    assert fault["code"] == answer.status_code
    return str(fault["message"])


# Networks and images may have an empty name.
WRONG = {"10000-characters": (LONG, MAKES), "nul": (NUL, MAKES), "empty": ("", NEED_NAMES)}
CASES = [
    pytest.param(noun, name, id=f"{noun}-{kind}")
    for kind, (name, nouns) in WRONG.items()
    for noun in nouns
]


@pytest.mark.parametrize(("noun", "name"), CASES)
def test_a_name_that_cannot_be_is_refused(http: httpx.Client, noun: str, name: str) -> None:
    path, body, listing, plural = MAKES[noun]
    before = [thing.get("id") for thing in http.get(listing).json()[plural]]
    answer = http.post(path, json=body(name))
    assert answer.status_code == 400, answer.text[:500]
    said = message(answer)
    assert "name" in said
    assert len(said) < 1000  # it does not send ten thousand letters back
    assert [thing.get("id") for thing in http.get(listing).json()[plural]] == before


@pytest.mark.parametrize("name", [LONG, NUL], ids=["10000-characters", "nul"])
def test_a_servers_name_that_cannot_be_is_refused(
    http: httpx.Client, surroundings: Surroundings, name: str
) -> None:
    server = {
        "name": name,
        "imageRef": surroundings.image_id,
        "flavorRef": surroundings.flavor_id(surroundings.plain),
        "networks": "none",
    }
    version = {"OpenStack-API-Version": "compute 2.100"}
    answer = http.post("/compute/v2.1/servers", json={"server": server}, headers=version)
    assert answer.status_code == 400
    assert "name" in message(answer)


@pytest.mark.parametrize("service", SERVICES)
def test_a_body_of_100_mb_is_refused_unread(http: httpx.Client, service: str) -> None:
    kind = {"Content-Type": "application/json"}
    answer = http.post(SERVICES[service], content=b'"' + b"x" * 100_000_000 + b'"', headers=kind)
    assert answer.status_code == 413
    assert message(answer)


def test_a_body_of_unknown_length_is_bounded_too(http: httpx.Client) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 1_000_000

    kind = {"Content-Type": "application/json"}
    answer = http.post(SERVICES["compute"], content=chunks(), headers=kind)
    assert answer.status_code == 413


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    "token", [None, "", "nonsense", "gAAAAA" + "A" * 200, "a" * 7000], ids=lambda t: str(t)[:8]
)
def test_an_invalid_token_opens_nothing(shared: Instance, service: str, token: str | None) -> None:
    headers = {} if token is None else {"X-Auth-Token": token}
    with httpx.Client(base_url=shared.url, headers=headers) as stranger:
        answer = stranger.get(SERVICES[service])
    assert answer.status_code == 401
    assert message(answer)
    assert "www-authenticate" in answer.headers


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(http: httpx.Client, service: str, body: bytes) -> None:
    answer = http.post(
        SERVICES[service], content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert message(answer)


@pytest.mark.parametrize("service", ["compute", "network", "identity", "placement"])
def test_an_unknown_field_is_named(http: httpx.Client, service: str) -> None:
    body = {
        "compute": {"server": {"name": "a", "flavorRef": "1", "imageRef": "2", "colour": "red"}},
        "network": {"network": {"name": "a", "colour": "red"}},
        "identity": {"project": {"name": 5, "colour": "red"}},
        "placement": {"name": "a", "colour": "red"},
    }[service]
    answer = http.post(SERVICES[service], json=body)
    assert answer.status_code == 400
    assert any(word in message(answer) for word in ("colour", "name"))


@pytest.mark.parametrize(
    "trick",
    [
        "..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e%2f%2e%2e%2fclouds.yaml",
        "%2fetc%2fpasswd",
        "....%2f%2fetc",
        "%00",
        "a%00b",
        "x" * 5000,
        "%ff%fe",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_image_id_is_never_a_path(http: httpx.Client, method: str, trick: str) -> None:
    for path in (f"/image/v2/images/{trick}", f"/image/v2/images/{trick}/file"):
        answer = http.request(
            method,
            path,
            content=b"planted" if method == "PUT" else None,
            headers={"Content-Type": "application/octet-stream"},
        )
        assert answer.status_code in {400, 404, 405, 414}, (path, answer.text[:200])
        assert "root:" not in answer.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/network/v2.0/ports", '{"port": {"network_id": "x", "binding:profile": {"a": %s}}}'),
        ("/compute/v2.1/servers", '{"server": {"name": "a"}, "os:scheduler_hints": {"a": %s}}'),
        ("/image/v2/images", '{"name": "a", "colour": %s}'),
        ("/identity/v3/projects", '{"project": {"name": "a", "colour": %s}}'),
    ],
    ids=["network", "compute", "image", "identity"],
)
def test_a_body_of_many_thousand_levels_is_refused(
    http: httpx.Client, path: str, body: str
) -> None:
    content = body % ("[" * 50_000 + "]" * 50_000)
    answer = http.post(path, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text[:200]
    assert message(answer)


def test_an_image_id_of_the_callers_own_is_a_uuid_or_refused(http: httpx.Client) -> None:
    answer = http.post("/image/v2/images", json={"name": "trick", "id": "../../../tmp/trick"})
    assert answer.status_code == 400
    assert "id" in message(answer)


def test_an_unknown_path_is_a_404_in_the_services_shape(http: httpx.Client) -> None:
    for path in ("/compute/v2.1/no-such", "/network/v2.0/no-such", "/image/v2/no-such"):
        assert http.get(path).status_code == 404
        assert message(http.get(path))


def test_nothing_above_made_anything_or_broke_anything(shared: Instance) -> None:
    assert shared.openstack("token", "issue")["id"]
    assert "Traceback" not in shared.process.errors
