"""Placement's own tests, all of them, over HTTP against ours.

They are not part of this project: they are found where Placement is installed. What they find in
the database when they begin is made by ``gabbi_world.py``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import yaml

from lanekeeper.api.placement.face import FACE
from lanekeeper.cli.listen import Listen
from lanekeeper.cli.placement import Options, placement
from lanekeeper.config import load
from placement.gabbi_world import WORLDS, World
from placement.gabbits import FILES, read, run

if TYPE_CHECKING:
    from postgres import PostgreSQL

pytestmark = pytest.mark.service

_FILES, _TESTS = 79, 1316
_FILE_IDS = [path.stem for path in FILES]
# A test that cannot pass, and why: docs/reference/placement.md says it to users.
EXCEPTIONS = {
    ("basic-http", "bad content length not int"): "an HTTP server refuses it before the service",
}


def test_all_of_placements_tests_are_here() -> None:
    assert len(FILES) == _FILES, "run ./dev setup: Placement's tests come with Placement"
    assert sum(len(read(path).tests) for path in FILES) == _TESTS


@contextmanager
def _database(engine: str, request: pytest.FixtureRequest, directory: Path) -> Iterator[str]:
    if engine == "sqlite":
        copy = directory / "placement.db"
        copy.write_bytes(request.getfixturevalue("sqlite_template").read_bytes())
        yield f"sqlite:///{copy}"
        return
    cluster: PostgreSQL = request.getfixturevalue("postgresql")
    name = cluster.create(request.getfixturevalue("postgresql_template"))
    yield cluster.url(name)
    cluster.drop(name)


def _configuration(fixture: str, directory: Path) -> Path:
    """Write the placement.conf that a fixture's tests are meant for."""
    lines = ["[api]", "auth_strategy = noauth2", "[oslo_policy]"]
    lines.append(f"enforce_new_defaults = {fixture == 'SecureRBACPolicyFixture'}")
    if fixture == "CORSFixture":
        lines += ["[cors]", "allowed_origin = http://valid.example.com"]
        lines += ["allow_headers = openstack-api-version"]
    path = directory / "placement.conf"
    path.write_text("\n".join(lines) + "\n")
    return path


def _policy(fixture: str, directory: Path) -> Path | None:
    """Write rules that let everybody do everything, where a fixture wants them."""
    if fixture != "OpenPolicyFixture":
        return None
    named = [rule for row in FACE.rows for rule in (row.policy, *row.asks) if rule is not None]
    path = directory / "policy.yaml"
    path.write_text(yaml.safe_dump({rule.name: "@" for rule in named}))
    return path


@pytest.mark.parametrize(
    ("engine", "mount"),
    [("sqlite", ""), ("postgresql", "/placement")],
    ids=["sqlite", "postgresql-below-a-path"],
)
@pytest.mark.parametrize("path", FILES, ids=_FILE_IDS)
def test_a_file_of_placements_tests_passes(
    path: Path,
    engine: str,
    mount: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = read(path, mount)
    with _database(engine, request, tmp_path) as url:
        options = Options(
            state_dir=tmp_path / "state",
            config=load([_configuration(file.fixture, tmp_path)]).config,
            listen=(Listen("127.0.0.1", 0),),
            database_url=url,
            policy_file=_policy(file.fixture, tmp_path),
        )
        umask = os.umask(0o077)
        try:
            with placement(options) as serving:
                (listen,) = serving.listens
                with httpx.Client(base_url=listen.url) as http:
                    there = WORLDS[file.fixture](World(http))
                for name, value in there.items():
                    monkeypatch.setenv(name, value)
                outcome = run(file, listen.host, listen.port, mount)
        finally:
            os.umask(umask)
    expected = {name for stem, name in EXCEPTIONS if stem == path.stem}
    assert outcome.refused.keys() == expected, "\n".join(outcome.refused.values())
    assert outcome.passed == len(file.tests) - len(expected)
