"""``lanekeeper placement`` beside a Keystone that is not its own but another instance's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from running import LANEKEEPER, Instance, Process, running

pytestmark = pytest.mark.client


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with running(tmp_path_factory.mktemp("cloud") / "state") as instance:
        yield instance


def configuration(directory: Path, **settings: str) -> Path:
    lines = ["[keystone_authtoken]", *(f"{key} = {value}" for key, value in settings.items())]
    path = directory / "placement.conf"
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)
    return path


def start(directory: Path, config: Path) -> Process:
    arguments = [LANEKEEPER, "placement", "--state-dir", str(directory / "state")]
    arguments += ["--listen", "127.0.0.1:0", "--config-file", str(config)]
    return Process(arguments, directory / "log")


@pytest.fixture(scope="module")
def url(cloud: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("placement")
    known = cloud.credentials
    config = configuration(
        directory,
        auth_url=known["auth_url"],
        username=known["username"],
        password=known["password"],
        project_name=known["project_name"],
        www_authenticate_uri="http://keystone.example:5000/v3",
    )
    process = start(directory, config)
    try:
        yield process.line("ready ")
        assert process.stop() == 0, process.errors[-4000:]
    finally:
        process.kill()


def test_a_token_of_that_keystone_opens_it(cloud: Instance, url: str) -> None:
    token = {"X-Auth-Token": str(cloud.sdk.auth_token), "OpenStack-API-Version": "placement 1.39"}
    with httpx.Client(base_url=url, headers=token) as http:
        made = http.post("/placement/resource_providers", json={"name": "outside"})
        assert made.status_code == 200, made.text
        (found,) = http.get("/resource_providers").json()["resource_providers"]
    assert found["name"] == "outside"


@pytest.mark.parametrize("token", [None, "", "nonsense", "a" * 10_000])
def test_no_other_token_does(url: str, token: str | None) -> None:
    headers = {} if token is None else {"X-Auth-Token": token}
    reply = httpx.get(f"{url}/resource_providers", headers=headers)
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"] == 'Keystone uri="http://keystone.example:5000/v3"'
    assert httpx.get(f"{url}/").status_code == 200  # versions are for everybody


def test_roles_are_those_of_the_token(cloud: Instance, url: str) -> None:
    identity: Any = cloud.sdk.identity
    project = identity.create_project(name="outsiders")
    user = identity.create_user(name="outsider", password="a-long-password")
    identity.assign_project_role_to_user(project, user, identity.find_role("reader"))
    other = cloud.connect(username="outsider", password="a-long-password", project_name="outsiders")
    token = {"X-Auth-Token": str(other.auth_token), "OpenStack-API-Version": "placement 1.39"}
    other.close()
    with httpx.Client(base_url=url, headers=token) as http:
        assert http.get("/resource_providers").status_code == 403
        assert http.get("/usages", params={"project_id": project.id}).json() == {"usages": {}}
        assert http.get("/usages", params={"project_id": "another"}).status_code == 403


def test_a_keystone_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    config = configuration(
        tmp_path,
        auth_url="http://127.0.0.1:1/v3",
        username="placement",
        password="secret",
        project_name="service",
    )
    process = start(tmp_path, config)
    try:
        headers = {"X-Auth-Token": "any"}
        reply = httpx.get(f"{process.line('ready ')}/resource_providers", headers=headers)
        assert reply.status_code == 503
        assert "Keystone" in reply.json()["errors"][0]["detail"]
    finally:
        process.kill()


def test_a_login_that_is_not_configured_refuses_the_start(tmp_path: Path) -> None:
    process = start(tmp_path, configuration(tmp_path, auth_url="http://127.0.0.1:1/v3"))
    assert process.wait(60) == 2
    assert "[keystone_authtoken] password, project_name, username" in process.errors


def test_believing_everybody_is_for_loopback(tmp_path: Path) -> None:
    config = tmp_path / "placement.conf"
    config.write_text("[api]\nauth_strategy = noauth2\n")
    arguments = [LANEKEEPER, "placement", "--state-dir", str(tmp_path / "state")]
    arguments += ["--listen", "https://0.0.0.0:0", "--config-file", str(config)]
    process = Process(arguments, tmp_path / "log")
    assert process.wait(60) == 2
    assert "noauth2" in process.errors
