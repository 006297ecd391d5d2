"""Who is let in: told by the controller, printed by ``lanekeeper agent list``."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from starlette.requests import Request

from fleet import Fleet, fleet
from lanekeeper.api.agent.face import authenticator
from lanekeeper.api.lanekeeper.host import _view
from lanekeeper.cli.agent_fleet import _credential, _row
from lanekeeper.control.host.enrolment import create_token, enrol, revoke_credential
from lanekeeper.control.host.facts import report_facts
from lanekeeper.control.host.heartbeat import Heartbeats
from lanekeeper.control.host.standing import list_hosts
from lanekeeper.control.placement.resource_provider import (
    create_provider,
    delete_provider,
    show_provider,
)
from lanekeeper.domain.errors import Conflict, Unauthenticated
from lanekeeper.protocol import HostFacts
from lanekeeper.store.host.host import host_told

pytestmark = pytest.mark.service


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path) as made:
        yield made


def asks(world: Fleet, heartbeats: Heartbeats, host_id: str, credential: str) -> None:
    scope = {
        "type": "http",
        "headers": [(b"authorization", f"Bearer {credential}".encode())],
        "path_params": {"host_id": host_id},
    }
    authenticator(world.site, heartbeats)(Request(scope), "req-1")


def told(world: Fleet) -> tuple[str, str]:
    (host,) = map(_view, list_hosts(world.site))
    return _row(host)[1], _credential(host)


def test_a_wrong_and_a_revoked_credential_are_shown_until_the_host_is_let_in_again(
    world: Fleet,
) -> None:
    host_id = world.hosts["h1"]
    heartbeats = Heartbeats(world.site.database, world.site.clock)
    enrolled = enrol(world.site, create_token(world.site, "h1"), host_id, "h1")
    assert told(world) == ("up", "")
    world.hands.turn(1)
    for named in (host_id, "nobody"):
        with pytest.raises(Unauthenticated):
            asks(world, heartbeats, named, "another")
    heartbeats.flush()
    state, why = told(world)
    assert state == "up, refused"
    assert "lanekeeper agent token --host-name h1" in why
    world.hands.turn(1)
    asks(world, heartbeats, host_id, enrolled)
    heartbeats.flush()
    assert told(world) == ("up", "")
    revoke_credential(world.site, host_id)
    assert told(world)[0] == "up, revoked"
    assert "was revoked" in told(world)[1]


def test_a_host_whose_names_clients_have_works_on_and_says_so(world: Fleet) -> None:
    site, id_ = world.site, str(uuid.uuid5(uuid.NAMESPACE_DNS, "h2"))
    taken = [create_provider(site, name, None, None) for name in ("h2", "h2_0000:41:00.0")]
    assert world.host("h2") == id_
    (host,) = (_view(one) for one in list_hosts(site) if one.name == "h2")
    assert len(host["problems"]) == 2
    for problem, theirs in zip(host["problems"], taken, strict=True):
        assert f"{theirs.name}#" in problem
        assert theirs.id in problem
    assert show_provider(site, id_).name == f"h2#{id_[:8]}"
    for theirs in taken:
        delete_provider(site, theirs.id)
    with site.database.read() as connection:
        told = host_told(connection, id_)
    assert told is not None
    report_facts(site, id_, msgspec.convert(told.facts, HostFacts))
    assert show_provider(site, id_).name == "h2"
    assert [host.problems for host in list_hosts(site)] == [(), ()]


def test_a_machine_that_placement_knows_from_elsewhere_is_not_enrolled(world: Fleet) -> None:
    theirs = create_provider(world.site, "h2", None, None)
    token, id_ = create_token(world.site), str(uuid.uuid4())
    with pytest.raises(Conflict, match=f"provider {theirs.id} .* given away twice") as told:
        enrol(world.site, token, id_, "h2")
    assert f"openstack resource provider delete {theirs.id}" in told.value.hint
    delete_provider(world.site, theirs.id)
    assert enrol(world.site, token, id_, "h2")  # the token is not spent
