"""Who is let in: told by the controller, printed by ``lanekeeper agent list``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.requests import Request

from fleet import Fleet, fleet
from lanekeeper.api.agent.face import authenticator
from lanekeeper.api.lanekeeper.host import _view
from lanekeeper.cli.agent_fleet import _credential, _row
from lanekeeper.control.host.enrolment import create_token, enrol, revoke_credential
from lanekeeper.control.host.heartbeat import Heartbeats
from lanekeeper.control.host.standing import list_hosts
from lanekeeper.domain.errors import Unauthenticated

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
