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
from lanekeeper.control.site import Site
from lanekeeper.protocol import PREFIX
from lanekeeper.store.database import Database


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
