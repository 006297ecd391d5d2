"""A site with Identity and Image on it, and ways to log in; shared by their tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.testclient import TestClient

from lanekeeper.api.app import application, bearer
from lanekeeper.api.identity.face import FACE as IDENTITY
from lanekeeper.api.policy import Enforcer
from lanekeeper.api.row import Face
from lanekeeper.config import Config
from lanekeeper.control.caller import Caller
from lanekeeper.control.identity.bootstrap import Bootstrap, bootstrap
from lanekeeper.control.identity.token import authenticate_token
from lanekeeper.control.identity.token_memory import TokenMemory
from lanekeeper.control.site import Site
from lanekeeper.store.database import Database
from planting import plant


@dataclass
class Hands:
    """A clock whose hands the test turns."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    watch_s: float = 0.0

    def now(self) -> datetime:
        return self.at

    def watch(self) -> float:
        return self.watch_s

    def turn(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.watch_s += seconds


@dataclass
class World:
    """One controller with its admin, seen through HTTP."""

    site: Site
    admin: Bootstrap
    http: TestClient
    hands: Hands
    _admin: tuple[datetime, str] | None = None

    def log_in(
        self, name: str, password: str, scope: object = None, **more: object
    ) -> tuple[int, str, Any]:
        """Status, token text and body of a login by password."""
        user = {"name": name, "domain": {"id": "default"}, "password": password}
        auth: dict[str, object] = {
            "identity": {"methods": ["password"], "password": {"user": user}},
            **more,
        }
        if scope is not None:
            auth["scope"] = scope
        reply = self.http.post("/identity/v3/auth/tokens", json={"auth": auth})
        return reply.status_code, reply.headers.get("x-subject-token", ""), reply.json()

    def admin_token(self) -> str:
        status, text, body = self.log_in("admin", self.admin.password, project("admin"))
        assert status == 201, body
        return text

    def as_admin(self) -> Client:
        """The admin, logged in anew only when the last token has grown old: hashing takes time."""
        if self._admin is None or self.hands.at - self._admin[0] > timedelta(seconds=60):
            self._admin = (self.hands.at, self.admin_token())
        return Client(self, self._admin[1])

    def member(self, name: str, role: str = "member", project_name: str = "") -> Client:
        """A new user with *role* in a project of its own, or in the one named, logged in."""
        admin = self.as_admin()
        where = project_name or f"{name}-project"
        found = admin.get("/identity/v3/projects", name=where)["projects"]
        made = found or [
            admin.post("/identity/v3/projects", {"project": {"name": where}})["project"]
        ]
        body = {"user": {"name": name, "password": "secret"}}
        user = admin.post("/identity/v3/users", body)["user"]
        roles = admin.get("/identity/v3/roles", name=role)["roles"]
        path = f"/identity/v3/projects/{made[0]['id']}/users/{user['id']}/roles/{roles[0]['id']}"
        assert admin.raw("PUT", path).status_code == 204
        status, text, body = self.log_in(name, "secret", {"project": {"id": made[0]["id"]}})
        assert status == 201, body
        return Client(self, text, user_id=user["id"], project_id=made[0]["id"])


@dataclass
class Client:
    """A logged-in user."""

    world: World
    token: str
    user_id: str = ""
    project_id: str = ""

    def raw(self, method: str, path: str, json: object = None, **more: Any) -> Any:
        headers = {"X-Auth-Token": self.token, **more.pop("headers", {})}
        return self.world.http.request(method, path, json=json, headers=headers, **more)

    def get(self, path: str, **query: object) -> Any:
        reply = self.raw("GET", path, params=query or None)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def post(self, path: str, body: object, status: int = 201) -> Any:
        reply = self.raw("POST", path, body)
        assert reply.status_code == status, reply.text
        return reply.json()

    def patch(self, path: str, body: object) -> Any:
        reply = self.raw("PATCH", path, body)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def delete(self, path: str) -> None:
        reply = self.raw("DELETE", path)
        assert reply.status_code == 204, reply.text


def project(name: str) -> dict[str, object]:
    return {"project": {"name": name, "domain": {"id": "default"}}}


@contextmanager
def world(url: str, state_dir: Path, faces: Iterable[Face] = (IDENTITY,)) -> Iterator[World]:
    """A fresh installation on *url*."""
    hands = Hands()
    plant(url)
    with Database(url) as database:
        site = Site(
            database=database,
            config=Config(),
            clock=hands.now,
            state_dir=state_dir,
            token_memory=TokenMemory(hands.watch),
        )
        made = bootstrap(site)
        assert made is not None
        every = tuple(faces)
        app = application(site, every, authenticate_by(site), Enforcer(every))
        with TestClient(app, raise_server_exceptions=False) as http:  # one loop for all requests
            yield World(site=site, admin=made, http=http, hands=hands)


def authenticate_by(site: Site) -> Mapping[str, Any]:
    def who(request: Request, request_id: str) -> Caller:
        return authenticate_token(site, bearer(request), request_id)

    return {"": who}
