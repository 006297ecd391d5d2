"""Runs the program itself: child processes, a throw-away instance, the stock clients against it.

Nothing here reaches into the program: it is started as a user starts it, told by its arguments
and its environment, and judged by what it prints, answers and leaves behind.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from lanekeeper.control.identity.password import hash_password
from loaded_program import Started, loaded_program
from stock_client import stock_client

if TYPE_CHECKING:
    from openstack.connection import Connection

BIN = Path(sys.executable).parent
LANEKEEPER = str(BIN / "lanekeeper")
CLOUD = "lanekeeper"
_READY_WITHIN_S = 60
_STOPPED_WITHIN_S = 15
_COMMAND_WITHIN_S = 120
_PORTS_FROM, _PORTS_TRIED = 10_000, 100


def until(condition: Callable[[], Any], what: str, within_s: float = 30) -> Any:
    """Ask again and again until *condition* gives something true, and return that.

    Raises:
        AssertionError: it did not come true within *within_s* seconds; names *what*.
    """
    deadline = time.monotonic() + within_s
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.05)
    return result


def dying_at(point: str) -> dict[str, str]:
    """Environment of a program that is to end itself with SIGKILL at *point*, for crash tests."""
    return {"LANEKEEPER_KILL_AT": point}


class Process:
    """A child process, its output in files, never left behind."""

    def __init__(
        self,
        arguments: Sequence[str],
        log_dir: Path,
        env: Mapping[str, str] | None = None,
        *,
        as_installed: bool = False,
    ) -> None:
        """Start *arguments*; *env* is added to this process's own environment.

        Lanekeeper's own program is forked from a process that has loaded it, unless it is to run
        *as_installed*.
        """
        log_dir.mkdir(parents=True, exist_ok=True)
        self.arguments = list(arguments)
        number = sum(1 for _ in log_dir.glob("stdout.*"))  # one pair of files for each start
        self._out, self._err = log_dir / f"stdout.{number}", log_dir / f"stderr.{number}"
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})}
        self._child: subprocess.Popen[bytes] | Started
        with self._out.open("wb") as out, self._err.open("wb") as err:
            if arguments[0] == LANEKEEPER and not as_installed:
                program = loaded_program()
                self._child = program.start(arguments, environment, out.fileno(), err.fileno())
                return
            self._child = subprocess.Popen(
                self.arguments,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment,
                start_new_session=True,  # a Ctrl-C meant for the tests is not meant for it
            )

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def is_running(self) -> bool:
        return self._child.poll() is None

    @property
    def output(self) -> str:
        """What it has printed to stdout so far."""
        return self._out.read_text(errors="replace")

    @property
    def errors(self) -> str:
        """What it has printed to stderr so far: its log."""
        return self._err.read_text(errors="replace")

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The whole lines of its log that are about *event*, oldest first."""
        whole = self.errors.rpartition("\n")[0].splitlines()
        lines = [json.loads(line) for line in whole if line.startswith("{")]
        return [line for line in lines if line.get("event") == event]

    def line(self, prefix: str, within_s: float = _READY_WITHIN_S) -> str:
        """Wait for a whole line of stdout that begins with *prefix*; return what follows it."""

        def found() -> str | None:
            whole = self.output.rpartition("\n")[0].splitlines()
            for line in whole:
                if line.startswith(prefix):
                    return line.removeprefix(prefix).strip() or " "
            assert self._child.poll() is None, self._epitaph(f"before {prefix!r}")
            return None

        return str(until(found, f"line {prefix!r} of {self.arguments[0]}", within_s)).strip()

    def wait(self, within_s: float = _STOPPED_WITHIN_S) -> int:
        """Wait for its end; return its exit code, negative for a signal."""
        return self._child.wait(within_s)

    def interrupt(self) -> None:
        """Ask it to end as Ctrl-C does."""
        self._child.send_signal(signal.SIGINT)

    def stop(self) -> int:
        """Ask it to end (SIGTERM) and return its exit code."""
        self._child.terminate()
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(self._epitaph(f"still there {_STOPPED_WITHIN_S} s after SIGTERM"))

    def died_at_its_point(self, within_s: float = _READY_WITHIN_S) -> None:
        """Wait until the process has killed itself where ``dying_at`` told it to."""
        code = self._child.wait(within_s)
        assert code == -signal.SIGKILL, self._epitaph("did not reach the point where it dies")

    def kill(self) -> None:
        """End it, and what it started in its own session, without a warning. Twice does no harm."""
        if self._child.poll() is None:
            os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()

    def _epitaph(self, what: str) -> str:
        code = self._child.poll()
        tail = "\n".join((self.output + self.errors).splitlines()[-40:])
        return f"{' '.join(self.arguments)}: {what}, exit code {code}; its last lines:\n{tail}"


def lanekeeper(
    *arguments: str, env: Mapping[str, str] | None = None, within_s: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run the program to its end; *env* is added to this process's own environment.

    Raises:
        TimeoutExpired: it had not ended after *within_s* seconds; it is killed.
    """
    words = [LANEKEEPER, *arguments]
    with tempfile.TemporaryDirectory(prefix="lanekeeper-command-") as log_dir:
        process = Process(words, Path(log_dir), env)
        try:
            code = process.wait(within_s)
        finally:
            process.kill()
        return subprocess.CompletedProcess(words, code, process.output, process.errors)


class CommandFailed(AssertionError):
    """A client's command that should have worked did not."""


@dataclass(slots=True)
class Instance:
    """A running ``lanekeeper up`` and the means to talk to it."""

    url: str
    state_dir: Path
    process: Process
    _connection: Connection | None = field(default=None)

    @property
    def credentials(self) -> dict[str, str]:
        """The admin's ``auth`` section of clouds.yaml, as the instance wrote it."""
        clouds = yaml.safe_load((self.state_dir / "clouds.yaml").read_text())
        auth: dict[str, str] = clouds["clouds"][CLOUD]["auth"]
        return auth

    @property
    def environment(self) -> dict[str, str]:
        """What a user's shell holds after choosing the cloud; the home is empty."""
        return {
            **os.environ,
            "OS_CLOUD": CLOUD,
            "OS_CLIENT_CONFIG_FILE": str(self.state_dir / "clouds.yaml"),
            "HOME": str(self.state_dir),
        }

    def run(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
    ) -> subprocess.CompletedProcess[str]:
        """Run the stock ``openstack`` client; an empty value in *env* takes a variable away."""
        there = {**self.environment, **(env or {})}
        kept = {name: value for name, value in there.items() if value}
        return stock_client().run(arguments, kept, stdin, _COMMAND_WITHIN_S)

    def openstack(self, *arguments: str, env: Mapping[str, str] | None = None) -> Any:
        """Run a command that prints an answer; return it, parsed from JSON.

        Raises:
            CommandFailed: the client ended with an error; carries what it printed.
        """
        return json.loads(self.done(*arguments, "-f", "json", env=env))

    def done(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
    ) -> str:
        """Run a command that may print nothing; return its text.

        Raises:
            CommandFailed: the client ended with an error; carries what it printed.
        """
        ended = self.run(*arguments, env=env, stdin=stdin)
        if ended.returncode:
            raise CommandFailed(f"openstack {' '.join(arguments)}: {ended.stdout}{ended.stderr}")
        return ended.stdout

    def refused(self, *arguments: str, env: Mapping[str, str] | None = None) -> str:
        """Run a command that must fail; return the message that its user sees."""
        ended = self.run(*arguments, env=env)
        assert ended.returncode == 1, f"openstack {' '.join(arguments)} ended {ended}"
        return ended.stderr

    @property
    def sdk(self) -> Connection:
        """The admin's openstacksdk connection, made once: for what surrounds a test's matter."""
        if self._connection is None:
            self._connection = self.connect()
        return self._connection

    def connect(self, **overrides: str) -> Connection:
        """Log in by openstacksdk; *overrides* replace parts of the admin's credentials."""
        import openstack  # half a second that the unit ring need not spend

        return openstack.connect(
            load_yaml_config=False,
            load_envvars=False,
            auth={**self.credentials, **overrides},
            region_name="RegionOne",
            verify=str(self.state_dir / "ca.pem") if self.url.startswith("https:") else None,
        )

    def http(self, **headers: str) -> httpx.Client:
        """A bare HTTP client with a valid token: for requests that no stock client would send."""
        token = {"X-Auth-Token": str(self.sdk.auth_token)}
        # Certificates that nobody is asked for would be read for each client that is made.
        verify = self.url.startswith("https:")
        return httpx.Client(
            base_url=self.url, headers={**token, **headers}, timeout=30, verify=verify
        )

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def pick_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listened on a moment ago.

    It is none that the kernel gives to clients: whoever listens there is ended and started again,
    and meanwhile a client that calls somebody else, or this very port, may be given it.
    """
    first_of_clients = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in random.SystemRandom().sample(range(_PORTS_FROM, first_of_clients), _PORTS_TRIED):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError(f"none of {_PORTS_TRIED} ports is free")


@contextmanager
def running(
    state_dir: Path,
    *,
    simulate: int = 1,
    config_files: Sequence[Path] = (),
    database_url: str | None = None,
    env: Mapping[str, str] | None = None,
    as_installed: bool = False,
) -> Iterator[Instance]:
    """Run ``lanekeeper up`` with simulated hosts for as long as the block lasts.

    At the end SIGTERM must end it with exit code 0.
    """
    arguments = [LANEKEEPER, "up", "--state-dir", str(state_dir)]
    arguments += ["--listen", "127.0.0.1:0", "--simulate", str(simulate)]
    for path in config_files:
        arguments += ["--config-file", str(path)]
    if database_url is not None:
        arguments += ["--database-url", database_url]
    log_dir = state_dir.with_name(state_dir.name + ".log")
    process = Process(arguments, log_dir, env, as_installed=as_installed)
    try:
        instance = Instance(process.line("ready ").rstrip("/"), state_dir, process)
        try:
            yield instance
        finally:
            instance.close()
        assert process.stop() == 0, process.errors[-4000:]
    finally:
        process.kill()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """One instance with the sample configuration and two hosts, for all that share it politely.

    A test names its things after itself and gives back every device that it holds.
    """
    with running(tmp_path_factory.mktemp("shared") / "state", simulate=2) as instance:
        _have_logins_cheap(instance)
        yield instance


def _have_logins_cheap(instance: Instance) -> None:
    """Hash the admin's password anew at the cost that it has in tests; each command logs in.

    What a hash costs stands in it, so the program checks it as its own.
    """
    with closing(sqlite3.connect(instance.state_dir / "lanekeeper.db", timeout=30)) as database:
        cheap = hash_password(instance.credentials["password"])
        changed = database.execute(
            'UPDATE "user" SET password_hash = ? WHERE name = ?',
            (cheap, instance.credentials["username"]),
        )
        assert changed.rowcount == 1
        database.commit()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Instance]:
    """An instance of this test's own, with the sample configuration and one host."""
    with running(tmp_path / "state") as instance:
        yield instance
