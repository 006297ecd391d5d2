"""Servers of the Placement API, side by side: OpenStack's own under gunicorn, and Lanekeeper's.

Tests compare their answers, ``bench`` their speed. Both answer on 127.0.0.1 only, keep everything
in the directory that they are given, and are gone at the end of the block.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from running import CLOUD, LANEKEEPER, Process, pick_port, until

PEER_BIN = Path(__file__).parents[1] / ".venv-placement" / "bin"
PEER_MISSING = "OpenStack Placement is not installed in .venv-placement (./dev setup does it)"
_MORTAL = ("setpriv", "--pdeathsig", "TERM")
"""Words that end a program when the one that started it is killed."""
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_ANSWERS_WITHIN_S = 120
_STOPPED_WITHIN_S = 15


@dataclass(slots=True)
class Server:
    """One that answers below *url* to whoever sends *headers*.

    Attributes:
        name: what tables and messages call it.
        processes: the programs that were started; their children count as theirs.
    """

    name: str
    url: str
    headers: Mapping[str, str]
    processes: Sequence[Process] = field(default_factory=tuple)

    @property
    def pids(self) -> list[int]:
        """Every process of it that lives now, workers included."""
        return family(*(process.pid for process in self.processes))

    @property
    def cpu_s(self) -> float:
        """Processor time of all of its processes so far, in seconds."""
        return family_cpu_s(*(process.pid for process in self.processes))

    @property
    def resident_mib(self) -> float:
        """Memory that it has in RAM now; a page that workers share is counted once (PSS)."""
        return sum(_pss_mib(pid) for pid in self.pids)


def family(*pids: int) -> list[int]:
    """These processes and all that descend from them."""
    found = list(pids)
    for pid in found:  # grows while it is walked: children of children come last
        found += _children(pid)
    return found


def family_cpu_s(*pids: int) -> float:
    """Processor time of processes and of what descends from them, ended ones too, in seconds.

    The kernel counts in ticks, of 10 ms as a rule.
    """
    return sum(_cpu_s(pid) for pid in family(*pids))


def _children(pid: int) -> list[int]:
    paths = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(word) for path in paths for word in path.read_text().split()]


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # ended since it was listed
        return 0.0
    # utime, stime, and both of children that have ended: proc(5), fields 14 to 17.
    return sum(map(int, fields[11:15])) / _TICKS_A_SECOND


def _pss_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the body as it was sent."""

    status: int
    content: bytes

    @property
    def body(self) -> Any:
        """The JSON in it; None for an empty body."""
        return json.loads(self.content) if self.content else None


class Line:
    """One kept connection to a server: as little of a client as there can be."""

    def __init__(self, server: Server, timeout_s: float = 60) -> None:
        self.name = server.name
        parts = urlsplit(server.url)
        self._path = parts.path
        self._headers = dict(server.headers)
        self._connection = http.client.HTTPConnection(
            str(parts.hostname), parts.port, timeout=timeout_s
        )

    def connect(self) -> None:
        """Connect now, so that the first request does not wait for it."""
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, method: str, path: str, body: object = None, version: str = "1.39") -> Answer:
        """Send one request and read its answer whole."""
        headers = {**self._headers, "OpenStack-API-Version": f"placement {version}"}
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        if self._connection.sock is None:
            self.connect()
        self._connection.request(method, self._path + path, content, headers)
        answer = self._connection.getresponse()
        return Answer(answer.status, answer.read())

    def close(self) -> None:
        self._connection.close()


@contextmanager
def line(server: Server, timeout_s: float = 60) -> Iterator[Line]:
    """Talk to *server* for as long as the block lasts."""
    talking = Line(server, timeout_s)
    try:
        yield talking
    finally:
        talking.close()


def peer_is_installed() -> bool:
    """Whether OpenStack Placement is there."""
    return (PEER_BIN / "gunicorn").exists()


@contextmanager
def placement(
    home: Path,
    database_url: str,
    *,
    workers: int = 1,
    settings: Mapping[str, str] | None = None,
    sync: bool = True,
) -> Iterator[Server]:
    """Run OpenStack Placement with its stock settings and *settings*; *sync* makes its tables.

    gunicorn's threaded worker with one thread: it works like the plain one, and keeps connections.
    """
    if not peer_is_installed():
        pytest.skip(PEER_MISSING)
    home.mkdir(parents=True, exist_ok=True)
    config = _placement_conf(home, _for_psycopg2(database_url), settings or {})
    if sync:
        manage = [str(PEER_BIN / "placement-manage"), "--config-file", str(config)]
        subprocess.run([*manage, "db", "sync"], check=True, capture_output=True)
    port = pick_port()
    arguments = [*_MORTAL, str(PEER_BIN / "gunicorn")]
    arguments += ["--bind", f"127.0.0.1:{port}", "--workers", str(workers)]
    arguments += ["--worker-class", "gthread", "--threads", "1", "--keep-alive", "600"]
    arguments += ["--timeout", "0", "--worker-tmp-dir", str(home), "--log-level", "warning"]
    process = Process(
        [*arguments, "placement.wsgi.api:application"],
        home / "log",
        {"OS_PLACEMENT_CONFIG_DIR": str(home)},
    )
    roles = "admin,member,reader,service"  # the reshaper is for services alone
    headers = {"X-Auth-Token": "admin", "X-Roles": roles, "Accept": "application/json"}
    try:
        server = Server("Placement", f"http://127.0.0.1:{port}", headers, (process,))
        until(lambda: _answers(server), "Placement answers", _ANSWERS_WITHIN_S)
        yield server
        process.stop()
    finally:
        process.kill()


def _placement_conf(home: Path, url: str, settings: Mapping[str, str]) -> Path:
    own = "\n".join(f"{name} = {value}" for name, value in settings.items())
    path = home / "placement.conf"
    path.write_text(
        f"[DEFAULT]\ndebug = false\n[api]\nauth_strategy = noauth2\n"
        f"[placement_database]\nconnection = {url}\n[placement]\n{own}\n"
    )
    return path


def _for_psycopg2(url: str) -> str:
    """The same database by the driver that Placement's environment has."""
    return url.replace("postgresql+psycopg://", "postgresql+psycopg2://", 1)


def _answers(server: Server) -> bool:
    try:
        return httpx.get(server.url + "/", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def lanekeeper(
    home: Path, database_url: str | None = None, *, controllers: int = 1
) -> Iterator[list[Server]]:
    """Run Lanekeeper's controllers, without a host, on one database; all take the same token."""
    home.mkdir(parents=True, exist_ok=True)
    processes: list[Process] = []
    servers: list[Server] = []
    try:
        for number in range(controllers):
            state = home / f"state-{number}"
            arguments = [*_MORTAL, LANEKEEPER, "controller", "--state-dir", str(state)]
            arguments += ["--listen", "127.0.0.1:0"]
            if database_url is not None:
                arguments += ["--database-url", database_url]
            processes.append(process := Process(arguments, home / f"log-{number}"))
            url = process.line("ready ").rstrip("/")
            headers = servers[0].headers if servers else _token_headers(url, state)
            servers.append(Server("Lanekeeper", f"{url}/placement", headers, (process,)))
        yield servers
        for process in processes:
            assert process.stop() == 0, process.errors[-4000:]
    finally:
        for process in processes:
            process.kill()


@contextmanager
def lanekeeper_placement(home: Path, database_url: str | None = None) -> Iterator[Server]:
    """Run Lanekeeper's Placement alone, with the peer's kind of tokens."""
    home.mkdir(parents=True, exist_ok=True)
    config = home / "placement.conf"
    config.write_text("[api]\nauth_strategy = noauth2\n")
    arguments = [LANEKEEPER, "placement", "--state-dir", str(home / "state")]
    arguments += ["--listen", "127.0.0.1:0", "--config-file", str(config)]
    if database_url is not None:
        arguments += ["--database-url", database_url]
    process = Process(arguments, home / "log")
    headers = {"X-Auth-Token": "admin", "Accept": "application/json"}
    # Placement's own defaults let an admin reshape; the new ones, which hold here, a service.
    headers["X-Roles"] = "admin,service"
    try:
        yield Server("Lanekeeper", process.line("ready ").rstrip("/"), headers, (process,))
        assert process.stop() == 0, process.errors[-4000:]
    finally:
        process.kill()


def _token_headers(url: str, state: Path) -> dict[str, str]:
    """Log in with the admin's password from clouds.yaml."""
    auth = yaml.safe_load((state / "clouds.yaml").read_text())["clouds"][CLOUD]["auth"]
    domain = {"name": auth["user_domain_name"]}
    user = {"name": auth["username"], "domain": domain, "password": auth["password"]}
    project = {"name": auth["project_name"], "domain": {"name": auth["project_domain_name"]}}
    identity = {"methods": ["password"], "password": {"user": user}}
    answer = httpx.post(
        f"{url}/identity/v3/auth/tokens",
        json={"auth": {"identity": identity, "scope": {"project": project}}},
        trust_env=False,
        timeout=30,
    ).raise_for_status()
    return {"X-Auth-Token": answer.headers["X-Subject-Token"], "Accept": "application/json"}
