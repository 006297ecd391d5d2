"""A program that is measured from outside: how long it takes, what it uses, by ``/proc``."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import httpx
import yaml

LANEKEEPER = str(Path(sys.executable).parent / "lanekeeper")
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_STOPPED_WITHIN_S = 30
_VERSION = {"OpenStack-API-Version": "compute 2.100, placement 1.39"}


class Program:
    """A running child. Its log goes to *log*; what it prints is read by ``line``."""

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        self.started = time.perf_counter()
        with log.open("ab") as errors:
            self._child = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        self._log = log

    def line(self, prefix: str) -> str:
        """Wait for a line that begins with *prefix* and return what follows it.

        Raises:
            RuntimeError: the program ended without it; carries the end of its log.
        """
        assert self._child.stdout is not None
        for line in self._child.stdout:
            if line.startswith(prefix):
                return line.removeprefix(prefix).strip()
        raise RuntimeError(f"no line {prefix!r}: {self._log.read_text()[-2000:]}")

    @property
    def cpu_s(self) -> float:
        """Processor time of all its threads so far, in seconds; the kernel counts in ticks."""
        stat = Path(f"/proc/{self._child.pid}/stat").read_text()
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND  # utime, stime; proc(5)

    @property
    def resident_mib(self) -> float:
        """Memory that it has in RAM now."""
        status = Path(f"/proc/{self._child.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024

    def stop(self) -> None:
        """End it with SIGTERM, or without mercy."""
        self._child.send_signal(signal.SIGTERM)
        try:
            self._child.wait(_STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        if self._child.stdout is not None:
            self._child.stdout.close()


@contextmanager
def program(arguments: Sequence[str], log: Path) -> Iterator[Program]:
    """Run *arguments* for as long as the block lasts."""
    running = Program(arguments, log)
    try:
        yield running
    finally:
        running.stop()


def pick_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def configuration(home: Path) -> list[str]:
    """Arguments with the sample configuration; hosts count as up also without their agents."""
    path = home / "nova.conf"
    sample = files("lanekeeper.data").joinpath("nova.sample.conf").read_text()
    path.write_text(f"{sample}\n[lanekeeper]\nagent_down_s = 3600\n")
    return ["--config-file", str(path)]


def up(home: Path, hosts: int) -> list[str]:
    """The command that runs a controller with so many simulated hosts below *home*."""
    arguments = [LANEKEEPER, "up", "--state-dir", str(home / "state"), "--log-level", "warning"]
    return [*arguments, *configuration(home), "--listen", "127.0.0.1:0", "--simulate", str(hosts)]


def controller(home: Path, port: int) -> list[str]:
    """The command that runs the controller alone on what ``up`` has left."""
    arguments = [LANEKEEPER, "controller", "--state-dir", str(home / "state")]
    arguments += ["--log-level", "warning"]
    return [*arguments, *configuration(home), "--listen", f"127.0.0.1:{port}"]


def agent(home: Path, port: int, host: str = "sim-1") -> list[str]:
    """The command that runs the agent of a host that ``up`` has left."""
    state = home / "state" / "hosts" / host
    path = state / "enrolled.json"
    enrolled = json.loads(path.read_bytes()) | {"controller": f"http://127.0.0.1:{port}"}
    path.write_text(json.dumps(enrolled))
    arguments = [LANEKEEPER, "agent", "run", "--simulate", "--state-dir", str(state)]
    return [*arguments, *configuration(home), "--log-level", "warning"]


def login_body(home: Path) -> dict[str, object]:
    """The admin's request for a token."""
    clouds = yaml.safe_load((home / "state" / "clouds.yaml").read_text())
    auth = clouds["clouds"]["lanekeeper"]["auth"]
    user = {"name": auth["username"], "domain": {"name": auth["user_domain_name"]}}
    project = {"name": auth["project_name"], "domain": {"name": auth["project_domain_name"]}}
    password = {"user": {**user, "password": auth["password"]}}
    identity = {"methods": ["password"], "password": password}
    return {"auth": {"identity": identity, "scope": {"project": project}}}


def client(home: Path, url: str) -> httpx.Client:
    """Log in as the admin; one connection, kept."""
    http = httpx.Client(base_url=url, trust_env=False, timeout=60, headers=_VERSION)
    answer = http.post("/identity/v3/auth/tokens", json=login_body(home)).raise_for_status()
    http.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]
    return http


def make_image_and_flavor(http: httpx.Client) -> tuple[str, str]:
    """Make what a server with one device of alias a1 needs; return both ids."""
    wanted = {"name": "bench", "disk_format": "raw", "container_format": "bare"}
    image = http.post("/image/v2/images", json=wanted).raise_for_status().json()["id"]
    http.put(
        f"/image/v2/images/{image}/file",
        content=b"x" * 512,
        headers={"Content-Type": "application/octet-stream"},
    ).raise_for_status()
    size = {"name": "bench", "ram": 64, "vcpus": 1, "disk": 1}
    made = http.post("/compute/v2.1/flavors", json={"flavor": size}).raise_for_status()
    flavor = made.json()["flavor"]["id"]
    http.post(
        f"/compute/v2.1/flavors/{flavor}/os-extra_specs",
        json={"extra_specs": {"pci_passthrough:alias": "a1:1"}},
    ).raise_for_status()
    return image, flavor


def server_body(image: str, flavor: str, name: str) -> dict[str, object]:
    """A request for a server with one device and no network."""
    wanted = {"name": name, "imageRef": image, "flavorRef": flavor, "networks": "none"}
    return {"server": wanted}
