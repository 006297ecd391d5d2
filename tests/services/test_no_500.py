"""Nothing that a client can send makes a fault of ours: every row of every face, fed nonsense.

The rows say what they take, so the nonsense is near to the right thing: a body of the row's own
type with some wrong parts, ids that exist beside some that cannot, and query parameters that
services know with values that they do not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec.inspect as shapes
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.testclient import TestClient

from campaign import size
from fleet import ADMIN, Fleet, fleet
from lanekeeper.api.app import application
from lanekeeper.api.policy import Enforcer
from lanekeeper.api.row import Face, NoBody, Row
from lanekeeper.cli.controller import FACES
from lanekeeper.control.caller import Caller
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.identity.bootstrap import bootstrap
from lanekeeper.control.image.image import image_path
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.store.tables import metadata

pytestmark = pytest.mark.service

EXAMPLES = {"sqlite": size(4, 40), "postgresql": size(2, 10)}
"""For each row, derived from its name: the same in every run. Few faults are of one database."""

TEXTS = [
    *["", " ", "a", "a" * 256, "ä" * 300, "x" * 70_000, "a\0b", "\ud800", "a\udfffb", "\U0001f984"],
    *["-1", "0", "00", "9" * 40, "1e400", "NaN", "0x10", "\u0661", "true", "None", "null"],
    *["2026-01-02T03:04:05Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"],
    *["0" * 8 + "-0000-0000-0000-" + "0" * 12, "..", "../../etc/passwd", "%", "_", "*", "(", "\\"],
    *["'", '"; --', "in:a,b", "gt:1", "10.0.0.0/8", "0.0.0.0/0", "::/0", "::1%eth0", "a:b", "a,b"],
    *["VCPU", "VCPU:1", "VCPU:-1", "CUSTOM_X", "!a,b", "in:", "direct", "vlan", "1=1", "\r\n"],
]
NUMBERS = [-1, 0, 1, 15, 2**31, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**30, 1.5, 1e308, -0.0]
PARAMETERS = [
    *["limit", "marker", "page_reverse", "sort", "sort_key", "sort_dir", "fields", "name", "id"],
    *["changes-since", "changes-before", "all_tenants", "project_id", "tenant_id", "status", "ip"],
    *["host", "host_name", "availability_zone", "with_servers", "hypervisor_hostname_pattern"],
    *["is_public", "minDisk", "minRam", "visibility", "owner", "size_min", "created_at", "tag"],
    *["network_id", "fixed_ips", "mac_address", "device_id", "cidr", "tags", "not-tags-any"],
    *["resources", "required", "member_of", "in_tree", "group_policy", "resources1", "required_A"],
    *["root_required", "same_subtree", "uuid", "user_id", "effective", "scope", "domain_id"],
    *["reserved", "after", "colour", "a\0b", "", "\U0001f984"],
]

bad = st.recursive(
    st.one_of(st.none(), st.booleans(), st.sampled_from(NUMBERS), st.sampled_from(TEXTS)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(TEXTS), inner, max_size=2)
    ),
    max_leaves=6,
)


Ids = Mapping[str, Sequence[str]]
"""Ids and names of what there is, by the name of its table."""

TABLES = {
    "os-aggregates": "host_aggregate",
    "os-hypervisors": "host",
    "os-services": "host",
    "os-keypairs": "keypair",
    "security-groups": "security_group",
    "security-group-rules": "security_group_rule",
    "resource_providers": "resource_provider",
    "allocations": "server",
    "tenant": "project",
    "uuid": "network",
    "owner": "project",
}
"""What a step of a path, or a field, names when the word itself does not say."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One request as it goes out."""

    path: str
    query: str
    body: bytes

    def __repr__(self) -> str:
        return f"{self.path[:300]}?{self.query[:300]} {self.body[:600]!r}"


def mostly(right: st.SearchStrategy[Any], wrong: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Nine times out of ten the right thing: what is all wrong does not get far."""
    return st.integers(0, 9).flatmap(lambda number: right if number else wrong)


def named(word: str, ids: Ids) -> Sequence[str]:
    """Ids of what *word* (``servers``, ``network_id``, ``flavorRef``) is about; else none."""
    stem = word.removesuffix("_id").removesuffix("Ref")
    tables = (TABLES.get(word, ""), TABLES.get(stem, ""), stem, stem.removesuffix("s"))
    return next((ids[table] for table in tables if table in ids), ())


def like(shape: shapes.Type, ids: Ids, name: str = "") -> st.SearchStrategy[Any]:
    """Values of a body's type, each part of which is wrong now and then."""
    return mostly(_right(shape, ids, name), bad)


def _right(shape: shapes.Type, ids: Ids, name: str) -> st.SearchStrategy[Any]:
    match shape:
        case shapes.StructType(fields=fields):
            every = {f.encode_name: like(f.type, ids, f.encode_name) for f in fields}
            needed = {f.encode_name for f in fields if f.required}
            return st.fixed_dictionaries(
                {key: every[key] for key in every.keys() & needed},
                optional={key: every[key] for key in every.keys() - needed},
            )
        case shapes.UnionType(types=types):
            found = st.one_of(*(_right(one, ids, name) for one in types))
        case shapes.ListType(item_type=item):
            found = st.lists(like(item, ids, name), max_size=3)
        case shapes.DictType(value_type=value):
            found = st.dictionaries(_text(ids, ""), like(value, ids), max_size=3)
        case shapes.LiteralType(values=values):
            found = st.sampled_from(values)
        case shapes.IntType() | shapes.FloatType():
            found = st.sampled_from(NUMBERS)
        case shapes.StrType():
            found = _text(ids, name)
        case shapes.BoolType():
            found = st.booleans()
        case _:
            found = bad
    return found


def _text(ids: Ids, name: str) -> st.SearchStrategy[str]:
    known = list(named(name, ids)) or ["a", "b"]
    return st.sampled_from([*(known * 20), *TEXTS])


def nonsense(face: Face, row: Row[Any], ids: Ids) -> st.SearchStrategy[Sent]:
    """Requests for one row."""
    steps = row.path.split("/")
    path = st.tuples(*map(partial(_step, ids), ["", *steps], steps))
    values = st.sampled_from([text for text in TEXTS if len(text) < 1000])
    query = st.lists(st.tuples(st.sampled_from(PARAMETERS), values), max_size=2)
    body = bad if row.accepts is NoBody else like(shapes.type_info(row.accepts), ids)
    return st.builds(
        Sent,
        path=path.map(lambda texts: face.prefix + "/".join(texts)),
        query=query.map(lambda pairs: "&".join(f"{_quoted(k)}={_quoted(v)}" for k, v in pairs)),
        body=body.map(lambda value: json.dumps(value).encode()),
    )


def _step(ids: Ids, before: str, step: str) -> st.SearchStrategy[str]:
    """One step of a path: as it stands, or what its parameter may be."""
    if "{" not in step:
        return st.just(step)
    fixed, _, name = step.rstrip("}").partition("{")
    texts = st.sampled_from([text for text in TEXTS if len(text) < 1000]).map(_quoted)
    known = named(name, ids) or named(before, ids)
    right = st.sampled_from(list(map(_quoted, known))) if known else texts
    return mostly(right, texts).map(lambda text: fixed + text)


def _quoted(text: str) -> str:
    """Percent-encoded, half of a pair of surrogates as the bytes that are no UTF-8."""
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path) as made:
        bootstrap(made.site)
        flavor = create_flavor(made.site, Flavor(id="", name="m1", vcpus=1, ram_mib=64, disk_gib=1))
        made.port(made.network(), "web")
        image_id = made.image()
        path = image_path(made.site, image_id)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * 1024)
        asked = NewServer(name="s", flavor_id=flavor.id, image_id=image_id)
        create_servers(made.site, ADMIN, asked)
        made.obey()
        yield made


def known_ids(world: Fleet) -> Ids:
    with world.site.database.read() as connection:
        found = {
            table.name: [
                str(value)
                for column in ("id", "name", "uuid")
                if column in table.c
                for value in connection.scalars(sa.select(table.c[column]).limit(3))
                if value
            ]
            for table in metadata.sorted_tables
        }
    return {name: values for name, values in found.items() if values}


def client(world: Fleet) -> TestClient:
    """HTTP to all faces, as an admin; to the agents' face as the first host's agent."""
    (host_id,) = world.hosts.values()

    def admin(request: Request, request_id: str) -> Caller:
        return replace(ADMIN, request_id=request_id)

    def agent(request: Request, request_id: str) -> Caller:
        return Caller(user_id=host_id, user_name="h1", roles=frozenset({"agent"}))

    app = application(world.site, FACES, {"": admin, "agent": agent}, Enforcer(FACES))
    return TestClient(app, raise_server_exceptions=False)


def version_of(face: Face, row: Row[Any]) -> dict[str, str]:
    """The header by which the row is there: its last version."""
    if face.versions is None:
        return {}
    return {"OpenStack-API-Version": f"{face.versions.service} {row.until or face.versions.most}"}


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.name)
def test_nonsense_is_refused_and_never_a_bug(world: Fleet, face: Face) -> None:
    ids = known_ids(world)
    bugs: dict[str, str] = {}
    with client(world) as http:  # one loop for all requests
        # What is deleted is not there for the others any more.
        for row in sorted(face.rows, key=lambda row: row.method == "DELETE"):
            _feed(http, face, row, ids, bugs, EXAMPLES[world.site.database.engine.dialect.name])
    assert bugs == {}


def _feed(
    http: TestClient, face: Face, row: Row[Any], ids: Ids, bugs: dict[str, str], examples: int
) -> None:
    headers = {"Content-Type": "application/json", "X-Auth-Token": "t"} | version_of(face, row)

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(nonsense(face, row, ids))
    def send(sent: Sent) -> None:
        url = f"{sent.path}?{sent.query}" if sent.query else sent.path
        answer = http.request(row.method, url, content=sent.body, headers=headers)
        if answer.status_code >= 500 and answer.status_code != 501:
            bugs.setdefault(
                f"{row.method} {face.prefix}{row.path}", f"{answer.status_code} {sent!r}"
            )

    send()


def test_ten_thousand_query_parameters_are_no_bug(world: Fleet) -> None:
    http = client(world)
    many = "&".join(["a"] * 10_000)
    for face in FACES:
        for row in face.rows:
            if row.method == "GET" and "{" not in row.path:
                headers = {"X-Auth-Token": "t"} | version_of(face, row)
                answer = http.get(f"{face.prefix}{row.path}?{many}", headers=headers)
                assert answer.status_code < 500, (row.path, answer.text[:300])
