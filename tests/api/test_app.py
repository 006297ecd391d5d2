import asyncio
import re
import threading
from pathlib import Path
from typing import Annotated, Any

import httpx
import msgspec
import pytest
from msgspec import Meta, field
from starlette.requests import Request
from starlette.testclient import TestClient

from lanekeeper.api.app import application, bearer
from lanekeeper.api.faults import compute_fault, placement_fault
from lanekeeper.api.microversion import Microversion, Versions
from lanekeeper.api.policy import Enforcer
from lanekeeper.api.row import ADMIN, READER, Call, Face, Policy, Row, Strict, decode
from lanekeeper.clock import utc_now
from lanekeeper.config import Config
from lanekeeper.config.tree import Own
from lanekeeper.control.caller import Caller
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict, HostFault, Invalid, NotFound, Unauthenticated
from lanekeeper.store.database import Database


class Claim(Strict, frozen=True):
    count: Annotated[int, Meta(ge=1, le=16)]


def create(call: Call[Claim]) -> dict[str, object]:
    """Claim devices on one host."""
    return {"host": call.path["host"], "count": call.body.count}


def show(call: Call[None]) -> dict[str, object]:
    raise NotFound(f"no claim on host {call.path['host']}", hint="list claims to see those")


def delete(call: Call[None]) -> None:
    raise ZeroDivisionError("password is hunter2")


def reset(call: Call[None]) -> None:
    raise HostFault("cannot write '0' to /sys/bus/pci/devices/0000:3b:00.0/sriov_numvfs")


def race(call: Call[None]) -> None:
    raise Conflict("device is taken", code="lanekeeper.device.taken")


MAY = Policy("claims:show", READER)
ROWS: tuple[Row[object], ...] = (
    Row(method="POST", path="/claims/{host}", handler=create, accepts=Claim, policy=MAY),  # type: ignore[arg-type]
    Row(method="GET", path="/claims/{host}", handler=show),  # type: ignore[arg-type]
    Row(method="DELETE", path="/claims/{host}", handler=delete),  # type: ignore[arg-type]
    Row(method="PATCH", path="/claims/{host}", handler=reset),  # type: ignore[arg-type]
    Row(method="GET", path="/race", handler=race),  # type: ignore[arg-type]
    Row(method="GET", path="/late", handler=lambda call: {}, since="1.5"),
    Row(method="GET", path="/admin", handler=lambda call: {}, policy=Policy("claims:admin", ADMIN)),
    Row(method="GET", path="/", handler=lambda call: {"at": call.base_url}),
)
VERSIONS = Versions(service="compute", least=Microversion(1, 0), most=Microversion(1, 9))


def who(request: Request, request_id: str) -> Caller:
    if bearer(request) != "good":
        raise Unauthenticated("the token is not valid")
    return Caller(user_id="u", user_name="u", roles=frozenset({"reader", "member"}))


@pytest.fixture
def http(tmp_path: Path) -> TestClient:
    faces = (
        Face(
            name="compute",
            prefix="/compute",
            rows=ROWS,
            envelope=compute_fault,
            versions=VERSIONS,
            body_bytes_max=100,
        ),
        Face(name="placement", prefix="/placement", rows=ROWS, envelope=placement_fault),
    )
    config = Config(lanekeeper=Own(body_bytes_max=1024))
    site = Site(database=Database("sqlite://"), config=config, clock=utc_now, state_dir=tmp_path)
    app = application(site, faces, {"": who}, Enforcer(faces))
    return TestClient(app, raise_server_exceptions=False, headers={"X-Auth-Token": "good"})


def test_a_body_is_bounded_by_the_face_or_by_the_configuration(http: TestClient) -> None:
    for prefix, most in (("compute", 100), ("placement", 1024)):
        fits = http.post(f"/{prefix}/claims/h1", content=b'{"count": 2}'.ljust(most))
        assert fits.status_code == 200
        answer = http.post(f"/{prefix}/claims/h1", content=b'{"count": 2}'.ljust(most + 1))
        assert answer.status_code == 413
        assert f"larger than {most} bytes" in answer.text


def test_a_valid_body_reaches_the_handler_typed(http: TestClient) -> None:
    reply = http.post("/compute/claims/h1/", json={"count": 2})
    assert (reply.status_code, reply.json()) == (200, {"host": "h1", "count": 2})
    assert reply.headers["openstack-api-version"] == "compute 1.0"
    assert reply.headers["x-openstack-request-id"].startswith("req-")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("POST", "/claims/h1", {"count": 99}, 400, "Invalid input for count: Expected `int` <= 16"),
        ("POST", "/claims/h1", {"n": 1}, 400, "Object contains unknown field `n`"),
        ("GET", "/claims/h1", None, 404, "no claim on host h1 (list claims to see those)"),
        ("GET", "/nothing", None, 404, "Not Found"),
        ("PUT", "/claims/h1", None, 405, "Method Not Allowed"),
        ("GET", "/race", None, 409, "device is taken"),
        ("GET", "/claims/h%001", None, 400, "host contains a NUL character"),
        ("GET", "/admin", None, 403, "Policy does not allow claims:admin"),
        ("DELETE", "/claims/h1", None, 500, "internal error"),
        ("PATCH", "/claims/h1", None, 500, "internal error"),
    ],
)
def test_every_fault_wears_its_service_envelope(
    http: TestClient, method: str, path: str, body: object, status: int, text: str
) -> None:
    compute = http.request(method, "/compute" + path, json=body)
    placement = http.request(method, "/placement" + path, json=body)
    assert (compute.status_code, placement.status_code) == (status, status)
    (fault,) = compute.json().values()
    assert fault["code"] == status
    assert text in fault["message"]
    assert text in placement.json()["errors"][0]["detail"]
    assert "hunter2" not in compute.text
    assert "/sys" not in compute.text


class Named(Strict, frozen=True):
    names: list[str]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b'{"names": ["a", "\\uD800"]}', "Invalid input for names[1]: it contains half of a"),
        (b'{"names": ["\\ud83d\\ude00"]', "the body is not valid JSON"),
        (b"", "the body is empty"),
        (b" \r\n", "the body is empty"),
    ],
)
def test_what_is_no_body_is_said_to_be_none(raw: bytes, text: str) -> None:
    with pytest.raises(Invalid, match=re.escape(text)):
        decode(msgspec.json.Decoder(Named), raw)


def test_a_face_answers_at_its_own_prefix_with_and_without_a_slash(http: TestClient) -> None:
    assert http.get("/compute").json() == http.get("/compute/").json()
    assert http.get("/compute").json() == {"at": "http://testserver"}
    assert http.get("/compute-not").status_code == 404


def test_microversions_choose_the_operation(http: TestClient) -> None:
    late = {"OpenStack-API-Version": "compute 1.5"}
    assert http.get("/compute/late").status_code == 404
    assert http.get("/compute/late", headers=late).status_code == 200
    beyond = http.get("/compute/late", headers={"OpenStack-API-Version": "compute 2.0"})
    assert (beyond.status_code, *beyond.json()) == (406, "computeFault")


def test_without_a_valid_token_nothing_is_done(http: TestClient) -> None:
    refused = http.post("/compute/claims/h", json={"count": 1}, headers={"X-Auth-Token": "bad"})
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Keystone uri=")


def test_a_body_beyond_the_bound_is_413(http: TestClient) -> None:
    reply = http.post("/compute/claims/h1", content=b"{" + b" " * 200)
    assert (reply.status_code, *reply.json()) == (413, "overLimit")


@pytest.mark.parametrize(
    ("held", "asked"),
    [
        ("/rest/login", "/rest/quick"),
        ("/rest/login", "/agent/quick"),
        ("/rest/slow", "/rest/quick"),
        ("/rest/slow", "/rest/login"),
        ("/rest/quick", "/agent/quick"),
        ("/agent/quick", "/rest/quick"),
    ],
)
def test_one_kind_of_request_leaves_threads_for_the_others(
    tmp_path: Path, held: str, asked: str
) -> None:
    go_on = threading.Event()

    def answer(call: Call[None]) -> dict[str, object]:
        if call.asked("hold"):
            assert go_on.wait(60)
        return {}

    rows: tuple[Row[None], ...] = (
        Row(method="GET", path="/login", handler=answer),
        Row(method="GET", path="/slow", handler=answer, policy=MAY, slow=True),
        Row(method="GET", path="/quick", handler=answer, policy=MAY),
    )
    faces = (
        Face(name="agent", prefix="/agent", rows=rows, envelope=compute_fault, threads=2),
        Face(name="rest", prefix="/rest", rows=rows, envelope=compute_fault),
    )
    site = Site(database=Database("sqlite://"), config=Config(), clock=utc_now, state_dir=tmp_path)
    app = application(site, faces, {"": who}, Enforcer(faces))

    async def crowd() -> int:
        door = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=door, base_url="http://here", headers={"X-Auth-Token": "good"}
        ) as client:
            waiting = [asyncio.create_task(client.get(held + "?hold=1")) for _ in range(50)]
            await client.get("/nothing")  # all of them have come in
            try:
                reply = await asyncio.wait_for(client.get(asked), 10)
            finally:
                go_on.set()
                await asyncio.gather(*waiting)
            return reply.status_code

    assert asyncio.run(crowd()) == 200


class Thing(Strict, frozen=True):
    name: str
    parts: tuple[int, ...] = ()
    notes: dict[Annotated[str, Meta(max_length=3)], int] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "the body is empty"),
        ("null", "Invalid input for the body: Expected `object`, got `null`"),
        ("[]", "Invalid input for the body: Expected `object`, got `array`"),
        ("{}", "Invalid input for the body: Object missing required field `name`"),
        ('{"name": 1}', "Invalid input for name: Expected `str`, got `int`"),
        ('{"name": "a", "parts": [1, "b"]}', "Invalid input for parts[1]: Expected `int`"),
        ('{"name": "a", "notes": {"long": 1}}', "Invalid input for a key of notes: Expected `str`"),
    ],
)
def test_a_wrong_body_is_refused_by_its_place(body: str, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        decode(msgspec.json.Decoder(Thing), body.encode())
    assert str(caught.value).startswith(message)


def test_the_items_of_a_list_have_places_too() -> None:
    with pytest.raises(Invalid, match=r"^Invalid input for \[0\]\.name: Expected `str`"):
        decode(msgspec.json.Decoder(list[Thing]), b'[{"name": 1}]')


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
def test_a_number_that_no_database_holds_is_refused_by_its_place(number: int) -> None:
    decoder = msgspec.json.Decoder(dict[str, Any])
    for body, place in (({"a": {"b": [1, number]}}, r"a\.b\[1\]"), ({"c": number}, "c")):
        with pytest.raises(Invalid, match=f"Invalid input for {place}: a number beyond 64 bits"):
            decode(decoder, msgspec.json.encode(body))


def test_digits_and_the_largest_numbers_are_let_pass() -> None:
    body = {"text": "9" * 40, "least": -(2**63), "most": 2**63 - 1, "float": 1e300}
    assert decode(msgspec.json.Decoder(dict[str, Any]), msgspec.json.encode(body)) == body
