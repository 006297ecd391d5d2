"""``lanekeeper agent enroll`` that a real controller refuses, as its user reads it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from lanekeeper.main import main
from running import Instance

pytestmark = pytest.mark.service


def token_for(shared: Instance, host_name: str) -> str:
    with shared.http() as http:
        made = http.post("/lanekeeper/v1/enrolments", json={"host_name": host_name})
    return str(made.json()["token"])


@pytest.mark.parametrize("named", [True, False])
def test_the_controllers_sentence_is_printed_with_the_name_that_was_asked_under(
    shared: Instance, tmp_path: Path, capsys: pytest.CaptureFixture[str], named: bool
) -> None:
    words = ["--state-dir", str(tmp_path / "agent"), "--controller", shared.url]
    words += ["--token", token_for(shared, "another-host")]
    words += ["--host-name", "this-host"] if named else []
    assert main(["agent", "enroll", *words]) == 1
    told = capsys.readouterr().err
    assert "error: the controller answers 401: the enrolment token is unknown" in told
    assert "make a new one with: lanekeeper agent token" in told
    assert "{" not in told
    assert (f"it asked as {socket.gethostname()}, as this machine calls itself" in told) != named
    assert not (tmp_path / "agent/credential").exists()
