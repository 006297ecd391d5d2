"""Credentials that change hands: an agent's while it runs, an admin's after it was lost."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from crash import HOST, Ground, Stage, prepare, stage
from crash_books import await_obeyed
from crash_stories import host_id
from lanekeeper.protocol import PREFIX
from running import until

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return prepare(tmp_path_factory.mktemp("credentials") / "ground" / "state", 1)


@pytest.fixture
def on(ground: Ground, tmp_path: Path) -> Iterator[Stage]:
    with stage(ground, tmp_path / "stage") as made:
        yield made


def kept(on: Stage) -> str:
    return (on.host_dir() / "credential").read_text()


def status_for(on: Stage, credential: str) -> int:
    answer = httpx.get(
        f"http://127.0.0.1:{on.port}{PREFIX}/hosts/{host_id(on)}/desired",
        headers={"Authorization": f"Bearer {credential}"},
        timeout=30,
    )
    return answer.status_code


def test_an_agent_goes_on_with_another_credential(on: Stage) -> None:
    on.start_controller()
    agent = on.start_agent()
    await_obeyed(on)
    old = kept(on)
    said = on.lanekeeper("agent", "rotate", "--state-dir", str(on.host_dir()))
    assert "sim-1 has a new credential" in said
    new = kept(on)
    assert new not in {old, said}
    assert stat.S_IMODE((on.host_dir() / "credential").stat().st_mode) == 0o600
    assert (status_for(on, old), status_for(on, new)) == (401, 200)
    server = on.create_server()
    on.await_active(server)
    assert "outcome=failed" not in agent.errors
    assert agent.stop() == 0


def test_the_old_credential_is_good_until_the_next_was_used(on: Stage) -> None:
    on.start_controller()
    old = kept(on)
    url = f"http://127.0.0.1:{on.port}{PREFIX}/hosts/{host_id(on)}/credential"

    def ask() -> str:
        answer = httpx.post(url, headers={"Authorization": f"Bearer {old}"}, timeout=30)
        assert answer.status_code == 201
        return str(answer.json()["credential"])

    never_arrived, following = ask(), ask()
    assert status_for(on, old) == 200
    assert status_for(on, never_arrived) == 401
    assert status_for(on, following) == 200
    assert status_for(on, old) == 401


def test_a_revoked_agent_is_told_nothing_until_it_is_let_in_again(on: Stage) -> None:
    on.start_controller()
    agent = on.start_agent()
    await_obeyed(on)
    assert "is let in no more" in on.lanekeeper("agent", "revoke", HOST)
    assert status_for(on, kept(on)) == 401
    assert status_for(on, "guessed") == 401
    server = on.create_server()  # its parked poll wakes, and is refused
    until(lambda: "no host has this credential" in agent.errors, "the agent says so", 60)
    assert not on.guests()
    token = on.lanekeeper("agent", "token", "--host-name", HOST).strip()
    home = ["--state-dir", str(on.host_dir()), "--host-name", HOST]
    url = f"http://127.0.0.1:{on.port}"
    on.lanekeeper("agent", "enroll", *home, "--controller", url, "--token", token)
    on.await_active(server)
    assert agent.stop() == 0


def test_a_lost_password_is_replaced_on_the_controllers_machine(on: Stage) -> None:
    reset = ("admin", "reset-password", "--state-dir", str(on.state_dir))
    controller = on.start_controller()
    on.servers()
    assert "stop the controller first" in on.lanekeeper(*reset, code=1)
    assert controller.stop() == 0
    before = (on.state_dir / "clouds.yaml").read_text()
    assert "there is no user nobody" in on.lanekeeper(*reset, "--user", "nobody", code=1)
    said = on.lanekeeper(*reset)
    file = on.state_dir / "admin.password"
    password = file.read_text().strip()
    assert str(file) in said
    assert password not in said
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    after = (on.state_dir / "clouds.yaml").read_text()
    assert password in after
    assert password in (on.state_dir / "openrc").read_text()
    assert [line for line in after.splitlines() if "password" not in line] == [
        line for line in before.splitlines() if "password" not in line
    ]
    on.start_controller()
    assert on.send("GET", "/compute/v2.1/servers").status_code == 401
    on.log_in()
    assert on.servers() == []
