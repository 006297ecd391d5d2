from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from fleet import Fleet, fleet
from lanekeeper.api.lanekeeper.face import FACE
from lanekeeper.control.host.enrolment import enrol
from lanekeeper.domain.errors import Unauthenticated
from lanekeeper.store.tables import enrolment

pytestmark = pytest.mark.service


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Fleet]:
    with fleet(f"sqlite:///{tmp_path}/x.db", tmp_path, hosts=0) as made:
        yield made


def test_many_hosts_get_a_token_each(world: Fleet) -> None:
    http = world.client(FACE)
    answer = http.post("/lanekeeper/v1/enrolments", json={"host_names": ["a", "b"]})
    assert answer.status_code == 201
    tokens = answer.json()["tokens"]
    assert enrol(world.site, tokens["a"], str(uuid.uuid4()), "a")
    with pytest.raises(Unauthenticated, match="for another host"):
        enrol(world.site, tokens["b"], str(uuid.uuid4()), "c")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"host_names": ["a", "no name"]}, "host name 'no name' is not one"),
        ({"host_names": ["a", ""]}, "name each host"),
        ({"host_names": ["a"], "host_name": "b"}, "leave host_name out"),
        ({"host_names": []}, "host_names"),
    ],
)
def test_a_wrong_list_gets_no_token(world: Fleet, body: dict[str, object], text: str) -> None:
    answer = world.client(FACE).post("/lanekeeper/v1/enrolments", json=body)
    assert (answer.status_code, text in answer.text) == (400, True), answer.text
    with world.site.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(enrolment)) == 0
