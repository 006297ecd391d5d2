"""The agents' door: what it refuses."""

from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from lanekeeper.api.agent.face import FACE
from lanekeeper.api.app import application
from lanekeeper.api.policy import Enforcer
from lanekeeper.clock import utc_now
from lanekeeper.config import Config
from lanekeeper.control.caller import Caller
from lanekeeper.control.host.enrolment import create_token
from lanekeeper.control.site import Site
from lanekeeper.protocol import HEADER, PREFIX, VERSION
from lanekeeper.store.database import Database
from lanekeeper.store.host.host import host_insert
from lanekeeper.store.schema import upgrade

HOST = "11111111-1111-1111-1111-111111111111"


@pytest.mark.parametrize("wait", ["nan", "inf", "-inf", "soon", "1e999"])
def test_a_wait_that_is_no_number_of_seconds_is_refused(tmp_path: Path, wait: str) -> None:
    def agent(request: Request, request_id: str) -> Caller:
        return Caller(user_id="h", user_name="h", roles=frozenset({"agent"}))

    with Database(f"sqlite:///{tmp_path / 'db'}") as database:
        site = Site(database=database, config=Config(), clock=utc_now, state_dir=tmp_path)
        app = application(site, [FACE], {"": agent}, Enforcer([FACE]))
        client = TestClient(app, raise_server_exceptions=False)
        reply = client.get(f"{PREFIX}/hosts/h/desired", params={"wait": wait})
    assert (reply.status_code, f"wait: '{wait}'" in reply.text) == (400, True)


def _client(tmp_path: Path, database: Database) -> TestClient:
    def agent(request: Request, request_id: str) -> Caller:
        return Caller(user_id=HOST, user_name="h1", roles=frozenset({"agent"}))

    site = Site(database=database, config=Config(), clock=utc_now, state_dir=tmp_path)
    app = application(site, [FACE], {"": agent}, Enforcer([FACE]))
    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("spoken", "status"),
    [(VERSION, 200), (VERSION - 1, 200), (VERSION + 1, 426), (VERSION - 2, 426), ("one", 426)],
)
def test_agents_of_this_protocol_and_of_the_one_before_are_let_in(
    database_url: str, tmp_path: Path, spoken: object, status: int
) -> None:
    with Database(database_url) as database:
        upgrade(database.engine)
        database.write(lambda connection: host_insert(connection, HOST, "h1", "hash", utc_now()))
        client = _client(tmp_path, database)
        reply = client.put(
            f"{PREFIX}/hosts/{HOST}/facts", json={"host_name": "h1"}, headers={HEADER: f"{spoken}"}
        )
    assert reply.status_code == status
    if status == 426:
        assert f"{VERSION - 1} and {VERSION} are" in reply.json()["error"]["message"]


def test_what_an_agent_of_another_version_says_beside_is_not_minded(
    database_url: str, tmp_path: Path
) -> None:
    """Unknown fields of N-1 and N are ignored on both sides."""
    with Database(database_url) as database:
        upgrade(database.engine)
        database.write(lambda connection: host_insert(connection, HOST, "h1", "hash", utc_now()))
        client = _client(tmp_path, database)
        said = {"host_name": "h1", "vcpus": 4, "invented": {"since": "tomorrow"}}
        assert client.put(f"{PREFIX}/hosts/{HOST}/facts", json=said).is_success


def test_a_token_is_not_spent_by_an_agent_that_is_not_understood(
    database_url: str, tmp_path: Path
) -> None:
    with Database(database_url) as database:
        upgrade(database.engine)
        client = _client(tmp_path, database)
        site = Site(database=database, config=Config(), clock=utc_now, state_dir=tmp_path)
        said = {"token": create_token(site), "host_id": HOST, "host_name": "h1"}
        url = f"{PREFIX}/enrolments"
        assert client.post(url, json=said, headers={HEADER: f"{VERSION + 1}"}).status_code == 426
        assert client.post(url, json=said, headers={HEADER: f"{VERSION}"}).status_code == 200


def test_vfs_are_told_in_words_and_moments_have_a_zone(database_url: str, tmp_path: Path) -> None:
    with Database(database_url) as database:
        upgrade(database.engine)
        database.write(lambda connection: host_insert(connection, HOST, "h1", "hash", utc_now()))
        client = _client(tmp_path, database)
        mend = {"at": "2026-11-21T09:00:00Z", "lost": ["vlan"], "was": {"vlan": 7, "new": 1}}
        vf = {"port_id": "p", "address": "0000:21:10.0", "found": {"link_state": "auto"}}
        url = f"{PREFIX}/hosts/{HOST}/vfs"
        assert client.put(url, json={"vfs": [vf | {"mended": mend, "later": {}}]}).is_success
        for wrong, said in (
            (vf | {"found": {"link_state": "up"}}, "vfs[0].found.link_state"),
            (vf | {"mended": mend | {"at": "2026-11-21T09:00:00"}}, "vfs[0].mended.at"),
        ):
            reply = client.put(url, json={"vfs": [wrong]})
            assert (reply.status_code, said in reply.text) == (400, True), reply.text
