from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from lanekeeper.api.root.health import routes
from lanekeeper.cli.serving import read_metrics_token
from lanekeeper.clock import utc_now
from lanekeeper.config import load
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Invalid
from lanekeeper.store.database import Database
from lanekeeper.store.schema import upgrade


def test_metrics_are_told_elsewhere_for_the_token_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    (tmp_path / "x.conf").write_text(f"[lanekeeper]\nmetrics_token_file = {tmp_path}/token\n")
    config = load([tmp_path / "x.conf"]).config
    with Database(f"sqlite:///{tmp_path / 'db'}") as database:
        upgrade(database.engine)
        site = Site(database=database, config=config, clock=utc_now, state_dir=tmp_path)
        token = read_metrics_token(config.lanekeeper.metrics_token_file)
        app = Starlette(routes=routes(site, token))
        near, far = TestClient(app), TestClient(app, client=("192.0.2.1", 50000))
        given = {
            word: far.get("/metrics", headers={b"authorization": b"Bearer " + word}).status_code
            for word in (b"s3cret", b"other", b"", "sécret".encode())
        }
        assert given == {b"s3cret": 200, b"other": 401, b"": 401, "sécret".encode(): 401}
        assert near.get("/metrics").status_code == 200


def test_a_token_file_that_holds_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    for content in (None, b"", b"two words", "sécret".encode(), b"one\ntwo"):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(Invalid, match=r"^\[lanekeeper\] metrics_token_file: .*/token "):
            read_metrics_token(str(path))
    assert read_metrics_token("") == ""
