"""Several controllers on one PostgreSQL: an image that one has is everybody's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from postgres import PostgreSQL
from running import LANEKEEPER, Process, running, until

pytestmark = pytest.mark.service

DATA = os.urandom(3 * 2**20 + 17)
OCTETS = {"Content-Type": "application/octet-stream"}


@contextmanager
def controller(state_dir: Path, url: str) -> Iterator[tuple[str, Process]]:
    arguments = [LANEKEEPER, "controller", "--state-dir", str(state_dir), "--database-url", url]
    # Others come by HTTPS, as from another machine.
    arguments += ["--listen", "127.0.0.1:0", "--listen", "https://127.0.0.1:0"]
    process = Process(arguments, state_dir.with_name(state_dir.name + ".log"))
    try:
        yield process.line("ready ").rstrip("/"), process
    finally:
        process.kill()


def logged_in(state_dir: Path, url: str) -> httpx.Client:
    auth = yaml.safe_load((state_dir / "clouds.yaml").read_text())["clouds"]["lanekeeper"]["auth"]
    domain = {"id": "default"}
    user = {"name": auth["username"], "password": auth["password"], "domain": domain}
    body = {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": auth["project_name"], "domain": domain}},
        }
    }
    told = httpx.post(f"{url}/identity/v3/auth/tokens", json=body)
    return httpx.Client(headers={"X-Auth-Token": told.headers["X-Subject-Token"]}, timeout=60)


def post(http: httpx.Client, url: str, body: dict[str, Any]) -> Any:
    answer = http.post(url, json=body)
    assert answer.is_success, answer.text
    return answer.json()


def upload(http: httpx.Client, url: str, where: str = "file") -> str:
    new = {"name": "disk", "disk_format": "raw", "container_format": "bare"}
    image_id: str = post(http, f"{url}/image/v2/images", new)["id"]
    answer = http.put(f"{url}/image/v2/images/{image_id}/{where}", content=DATA, headers=OCTETS)
    assert answer.status_code == 204, answer.text
    return image_id


def test_every_controller_serves_an_image_that_one_has(
    tmp_path: Path, postgresql: PostgreSQL
) -> None:
    url = postgresql.url(postgresql.create())
    with controller(tmp_path / "a", url) as (a, process_a), logged_in(tmp_path / "a", a) as http:
        image_id, damaged_id, lost_id = (upload(http, a) for _ in range(3))
        staged_id = upload(http, a, "stage")
        (tmp_path / "a/images" / damaged_id).write_bytes(DATA[:-1] + b"?")
        with (
            running(tmp_path / "b", database_url=url) as b,
            controller(tmp_path / "c", url) as (c, _),
        ):
            boots(http, b.url, image_id)
            file = f"/image/v2/images/{image_id}/file"
            assert http.get(b.url + file).content == DATA
            refused(http, b.url, damaged_id, "not those whose SHA-512 the image has")
            elsewhere = http.post(
                f"{b.url}/image/v2/images/{staged_id}/import",
                json={"method": {"name": "glance-direct"}},
            )
            assert elsewhere.status_code == 503
            assert f"is on the controller on {os.uname().nodename}" in elsewhere.text
            process_a.stop()
            # From b, who has it since; a is not there.
            assert http.get(c + file).content == DATA
            refused(http, c, lost_id, f"controller on {os.uname().nodename} (https://127.0.0.1:")
            refused(http, c, lost_id, "has it, but does not answer")
            refused(http, c, lost_id, f"copy images/{lost_id} from its state directory")
            assert sorted(path.name for path in (tmp_path / "c/images").iterdir()) == sorted(
                [image_id, "incoming"]
            )
            assert not list((tmp_path / "c/images/incoming").iterdir())


def test_only_controllers_on_the_database_are_let_in(
    tmp_path: Path, postgresql: PostgreSQL
) -> None:
    url = postgresql.url(postgresql.create())
    with controller(tmp_path / "a", url) as (a, _), logged_in(tmp_path / "a", a) as http:
        where = f"{a}/lanekeeper/controller/v1/images/{upload(http, a)}"
        admin = {"Authorization": f"Bearer {http.headers['X-Auth-Token']}"}
        assert [http.get(where, headers=own).status_code for own in ({}, admin)] == [401, 401]


def refused(http: httpx.Client, url: str, image_id: str, why: str) -> None:
    answer = http.get(f"{url}/image/v2/images/{image_id}/file")
    assert (answer.status_code, why in answer.text) == (503, True), answer.text


def boots(http: httpx.Client, url: str, image_id: str) -> None:
    """Make a server at *url*, and see it run."""
    compute = f"{url}/compute/v2.1"
    new = {"name": "small", "ram": 64, "vcpus": 1, "disk": 1}
    flavor_id = post(http, f"{compute}/flavors", {"flavor": new})["flavor"]["id"]
    asked = {"name": "web", "imageRef": image_id, "flavorRef": flavor_id, "networks": "none"}
    answer = http.post(
        f"{compute}/servers",
        json={"server": asked},
        headers={"OpenStack-API-Version": "compute 2.90"},
    )
    assert answer.status_code == 202, answer.text
    where = f"{compute}/servers/{answer.json()['server']['id']}"

    def shown() -> Any:
        server = http.get(where).json()["server"]
        return server if server["status"] != "BUILD" else None

    server = until(shown, "a server that is built")
    assert server["status"] == "ACTIVE", server.get("fault")
