"""A controller and agents as processes of their own, which are killed, and what must be so after.

Every story begins on the same ground: a controller's directory with a network, an image, a flavor
and enrolled simulated hosts, made once by the program itself and copied for each story.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import yaml

from running import LANEKEEPER, Process, dying_at, pick_port, running, until

SETTLED_WITHIN_S = 90
HOST = "sim-1"
_VERSION = {"OpenStack-API-Version": "compute 2.100"}


def _client() -> httpx.Client:
    """Return a client that connects anew each time: who answered before may be dead."""
    one_each = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(limits=one_each, timeout=30, trust_env=False, verify=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What each story starts from.

    Attributes:
        config: the sample's, with hosts that count as up also before their agents come.
        database: names a database of the story's own, a copy of the ground's; None is SQLite.
        token: the admin's, good in every copy.
    """

    state_dir: Path
    config: Path
    token: str
    image: str
    flavor: str
    network: str
    database: Callable[[], str] | None = None


def prepare(
    state_dir: Path,
    hosts: int,
    database_url: str | None = None,
    database: Callable[[], str] | None = None,
) -> Ground:
    """Make the ground in *state_dir*, with *hosts* simulated hosts."""
    state_dir.parent.mkdir(parents=True)
    conf = state_dir.with_name("nova.conf")
    sample = files("lanekeeper.data").joinpath("nova.sample.conf").read_text()
    conf.write_text(f"{sample}\n[lanekeeper]\nagent_down_s = 3600\n")
    with running(
        state_dir, simulate=hosts, config_files=[conf], database_url=database_url
    ) as instance:
        sdk = instance.sdk
        image = sdk.image.create_image(
            name="crash", data=b"x" * 512, disk_format="raw", container_format="bare", wait=True
        )
        flavor = sdk.compute.create_flavor(name="crash", ram=64, vcpus=1, disk=1)
        sdk.compute.create_flavor_extra_specs(flavor, {"pci_passthrough:alias": "a1:1"})
        network = sdk.network.create_network(
            name="crash",
            provider_network_type="vlan",
            provider_physical_network="physnet1",
            provider_segmentation_id=15,
        )
        sdk.network.create_subnet(network_id=network.id, cidr="10.0.15.0/24", ip_version=4)
        return Ground(
            state_dir=state_dir,
            config=conf,
            token=str(sdk.auth_token),
            image=image.id,
            flavor=flavor.id,
            network=network.id,
            database=database,
        )


@dataclass(slots=True)
class Stage:
    """One controller's directory and its hosts', the processes that come and go on them."""

    ground: Ground
    home: Path
    database_url: str
    port: int = field(default_factory=pick_port)
    processes: list[Process] = field(default_factory=list)
    token: str = ""
    _numbers: Iterator[int] = field(default_factory=count)
    _http: httpx.Client = field(default_factory=_client)

    @property
    def state_dir(self) -> Path:
        return self.home / "state"

    def start_controller(self, dies_at: str = "") -> Process:
        """Start it and wait until it answers; with *dies_at* it kills itself at that point."""
        arguments = ["--listen", f"127.0.0.1:{self.port}", "--database-url", self.database_url]
        process = self._start("controller", self.state_dir, arguments, dies_at)
        process.line("ready ")
        return process

    def start_agent(self, host: str = HOST, dies_at: str = "", *, by_port: int = 0) -> Process:
        """Start the agent of *host*; *by_port* is where it finds the controller."""
        home = self.host_dir(host)
        _write_json(home / "enrolled.json", controller=f"http://127.0.0.1:{by_port or self.port}")
        return self._start("agent run --simulate", home, [], dies_at)

    def _start(
        self, command: str, state_dir: Path, arguments: Sequence[str], dies_at: str
    ) -> Process:
        common = ["--state-dir", str(state_dir), "--config-file", str(self.ground.config)]
        process = Process(
            [LANEKEEPER, *command.split(), *common, *arguments],
            self.home / f"log-{next(self._numbers)}",
            dying_at(dies_at) if dies_at else None,
        )
        self.processes.append(process)
        return process

    def close(self) -> None:
        self._http.close()
        for process in self.processes:
            process.kill()

    def host_dir(self, host: str = HOST) -> Path:
        """Return the agent's directory of *host*."""
        return self.state_dir / "hosts" / host

    # What a client does -----------------------------------------------------------------------

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send one request as the admin and return its answer's JSON, None for an empty one.

        Raises:
            httpx.TransportError: nobody answered.
        """
        answer = self.send(method, path, body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def send(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Send one request as the admin, whatever comes of it."""
        return self._http.request(
            method,
            f"http://127.0.0.1:{self.port}{path}",
            json=body,
            headers={"X-Auth-Token": self.token or self.ground.token, **_VERSION},
        )

    def log_in(self) -> None:
        """Have a fresh token from here on."""
        clouds = yaml.safe_load((self.state_dir / "clouds.yaml").read_text())
        auth = clouds["clouds"]["lanekeeper"]["auth"]
        domain = {"name": "Default"}
        user = {"name": auth["username"], "password": auth["password"], "domain": domain}
        identity = {"methods": ["password"], "password": {"user": user}}
        scope = {"project": {"name": auth["project_name"], "domain": domain}}
        body = {"auth": {"identity": identity, "scope": scope}}
        answer = self.send("POST", "/identity/v3/auth/tokens", body)
        assert answer.is_success, answer.text
        self.token = answer.headers["X-Subject-Token"]

    def create_port(self) -> str:
        """Make a direct port that outlives its server."""
        wanted = {"network_id": self.ground.network, "binding:vnic_type": "direct"}
        port_id: str = self.ask("POST", "/network/v2.0/ports", {"port": wanted})["port"]["id"]
        return port_id

    def create_server(self, host: str = HOST, port: str | None = None) -> str:
        """Ask for a server with a card and an alias' device on *host*; return its id."""
        wanted = {
            "name": f"on-{host}",
            "imageRef": self.ground.image,
            "flavorRef": self.ground.flavor,
            "availability_zone": f"nova:{host}",
            "networks": [{"port": port} if port else {"uuid": self.ground.network}],
        }
        made = self.ask("POST", "/compute/v2.1/servers", {"server": wanted})["server"]
        return str(made["id"])

    def servers(self) -> list[dict[str, Any]]:
        """What a client sees of all servers."""
        servers: list[dict[str, Any]] = self.ask("GET", "/compute/v2.1/servers/detail")["servers"]
        return servers

    def await_active(self, server_id: str) -> None:
        """Wait until the server runs; an error of its ends the waiting."""

        def is_active() -> bool:
            server = self.ask("GET", f"/compute/v2.1/servers/{server_id}")["server"]
            assert server["status"] in {"BUILD", "ACTIVE"}, server
            return bool(server["status"] == "ACTIVE")

        until(is_active, f"server {server_id} is ACTIVE", SETTLED_WITHIN_S)

    def delete_server(self, server_id: str) -> None:
        self.ask("DELETE", f"/compute/v2.1/servers/{server_id}")

    def lanekeeper(self, *arguments: str, code: int = 0) -> str:
        """Run an operator's command to its end and return what it printed."""
        clouds = str(self.state_dir / "clouds.yaml")
        env = {"OS_CLOUD": "lanekeeper", "OS_CLIENT_CONFIG_FILE": clouds}
        process = Process([LANEKEEPER, *arguments], self.home / "commands", env)
        self.processes.append(process)
        assert process.wait(60) == code, process.output + process.errors
        return process.output + process.errors

    # What a host has --------------------------------------------------------------------------

    def guests(self, host: str = HOST) -> dict[str, dict[str, Any]]:
        """The host's guests as its simulated hypervisor keeps them, by server."""
        path = self.host_dir(host) / "guests.json"
        guests: dict[str, dict[str, Any]] = json.loads(path.read_bytes()) if path.exists() else {}
        return guests

    def guest_files(self, host: str = HOST) -> set[str]:
        """Servers that have files on the host."""
        home = self.host_dir(host) / "servers"
        return {entry.name for entry in home.iterdir()} if home.is_dir() else set()


def _write_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_bytes()) | changes))


@contextmanager
def stage(ground: Ground, home: Path) -> Iterator[Stage]:
    """Set up a copy of *ground* below *home*; at the end nothing runs on it any more."""
    shutil.copytree(ground.state_dir, home / "state", symlinks=True)
    sqlite = f"sqlite:///{home / 'state' / 'lanekeeper.db'}"
    made = Stage(ground, home, ground.database() if ground.database else sqlite)
    try:
        yield made
    finally:
        made.close()
