"""One emulated host for all tests that can share it; and tests whose emulator ended itself.

QEMU's multi-threaded TCG has a race that fells a lab host now and then (``lanekeeper.lab.ending``).
A test that failed while its lab fell, though nobody ended it, mostly says nothing about Lanekeeper,
so its name is noted in the file that ``LANEKEEPER_LAB_AGAIN`` names, and ``scripts/rings.py`` runs
it once more: what fells its lab every time fails. No other failure is ever noted.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab_tool import COMMAND_WITHIN_S, ForkedTool
from lanekeeper.lab import ending, process
from lanekeeper.lab.cache import Cache
from lanekeeper.lab.channel import Channel, Done
from lanekeeper.lab.folder import LabFolder, Running
from lanekeeper.lab.lab import Wanted, down, up
from lanekeeper.lab.reboot import reboot
from running import pick_port

AGAIN = "LANEKEEPER_LAB_AGAIN"
SHARED_FIXTURE = "lab_host"

# What a test may have left in the shared host: guests, VFs and what belongs to them.
RESTORE = """
for name in $(virsh -q list --name); do virsh -q destroy "$name"; done
for name in $(virsh -q list --all --name); do virsh -q undefine "$name"; done
for count in /sys/bus/pci/devices/*/sriov_numvfs; do
    card=${count%/*}
    [ "$(cat $count)" = 0 ] || echo 0 >$count
    echo 1 >$card/sriov_drivers_autoprobe
    if [ -e $card/net ]; then ip link set "$(ls $card/net)" down; fi
done
"""
LOOK = """
grep . /sys/bus/pci/devices/*/sriov_numvfs /sys/bus/pci/devices/*/sriov_drivers_autoprobe
for device in /sys/bus/pci/devices/*; do
    echo ${device##*/} "$(readlink $device/driver)" "$(cat $device/driver_override)"
done
grep . /sys/bus/pci/devices/*/net/*/flags
virsh -q list --all
find /etc/lanekeeper /etc/systemd/system/lanekeeper* /var/lib/lanekeeper 2>/dev/null || true
pgrep -af 'lanekeeper (agent|host|controller)' || true
"""


@dataclass(frozen=True, slots=True)
class LabHost:
    """A lab host that runs, and the means to run things in it."""

    folder: LabFolder
    forked: ForkedTool

    @property
    def running(self) -> Running:
        """What runs since the last boot."""
        running = self.folder.running()
        assert running is not None, "it got ready"
        return running

    def reboot(self, *, libvirt: bool | None = None) -> Running:
        """End it and start it again, as its boot menu says."""
        return reboot(self.folder, Cache(), print, libvirt=libvirt)

    @property
    def channel(self) -> Channel:
        return Channel(self.folder.path)

    @property
    def gateway(self) -> str:
        """What is reached in the host at this address and port is ``127.0.0.1`` outside."""
        return f"10.0.2.100:{self.running.controller_port}"

    def must_run(self) -> None:
        """For whoever waits for something else than the host itself. Raises Unavailable."""
        if not process.alive(self.running.pid):
            raise ending.account(self.folder)

    def run(self, *words: str, stdin: str = "") -> Done:
        """Run a program in it, however it ends."""
        return self.channel.run(words, stdin=stdin.encode(), timeout_s=COMMAND_WITHIN_S)

    def done(self, *words: str, stdin: str = "") -> str:
        """Run a program that must end with 0; return what it printed, without the last newline."""
        done = self.run(*words, stdin=stdin)
        assert done.returncode == 0, f"{words}: {done.text}\n{done.stderr.decode()}"
        return done.text

    def tool(self, *arguments: str, code: int = 0) -> Any:
        """Run ``lanekeeper host``, which must end with *code*; return what it says as data."""
        done = self.forked.run(["host", *arguments, "--json"])
        assert done.returncode == code, done.stderr.decode() + done.text
        return json.loads(done.text)

    def shell(self, script: str, *words: str, stdin: str = "") -> str:
        """Run a shell script that must end with 0; *words* are its ``$1`` and so on."""
        return self.done("sh", "-ec", script, "sh", *words, stdin=stdin)


class Watch:
    """Sees which tests failed while their lab fell."""

    def __init__(self, again: Path | None) -> None:
        self._again = again
        self._shared: list[LabFolder] = []
        self._own: list[LabFolder] = []
        self._fell = False  # a lab that the present test has ended already
        self.names: list[str] = []

    @contextmanager
    def over(self, folder: LabFolder, *, shared: bool = False) -> Iterator[None]:
        """Watch a lab in the block; it has to be there until the block's end."""
        watched = self._shared if shared else self._own
        watched.append(folder)
        try:
            yield
        finally:
            self._fell |= bool(ending.fell(folder))
            watched.remove(folder)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.failed and item.nodeid not in self.names and self._is_hit(item):
            self.names.append(item.nodeid)
            if self._again:
                with self._again.open("a") as noted:
                    noted.write(f"{item.nodeid}\n")
        return report

    def pytest_runtest_logfinish(self) -> None:
        self._fell = False

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.names:
            terminalreporter.section("labs that fell though nobody ended them")
            terminalreporter.write_line("these failed with their lab:")
            terminalreporter.write_line("\n".join(self.names))

    def _is_hit(self, item: pytest.Item) -> bool:
        shares = SHARED_FIXTURE in getattr(item, "fixturenames", ())
        there = [*self._own, *(self._shared if shares else [])]
        return self._fell or any(ending.fell(folder) for folder in there)


_WATCH = pytest.StashKey[Watch]()


def pytest_configure(config: pytest.Config) -> None:
    again = os.environ.get(AGAIN)
    config.stash[_WATCH] = Watch(Path(again) if again else None)
    config.pluginmanager.register(config.stash[_WATCH])


@pytest.fixture(scope="session")
def lab_watch(request: pytest.FixtureRequest) -> Watch:
    return request.config.stash[_WATCH]


@pytest.fixture(scope="session")
def lab_state() -> Iterator[Path]:
    """Where the tests' labs are kept; skips where no lab can run."""
    if shutil.which("qemu-system-x86_64") is None or os.geteuid() != 0:
        pytest.skip("a lab host needs root and the lab's packages: ./dev setup installs them")
    path = Path("/run") / f"lanekeeper-test-{os.getpid()}"  # short: sockets lie in it
    yield path
    shutil.rmtree(path, ignore_errors=True)


@contextmanager
def lab(wanted: Wanted, watch: Watch, *, shared: bool = False) -> Iterator[LabHost]:
    """Boot a lab host for the length of the block."""
    folder = LabFolder(wanted.name, wanted.state)
    up(wanted, print, os.environ)
    try:
        with watch.over(folder, shared=shared), closing(ForkedTool(folder)) as forked:
            yield LabHost(folder, forked)
    finally:
        down(wanted.name, wanted.state)


class SharedHost:
    """The host that modules share, booted when one first asks; anew where one left it unusable."""

    def __init__(self, state: Path, watch: Watch) -> None:
        self._state, self._watch = state, watch
        self._stack = ExitStack()
        self._there: tuple[LabHost, str] | None = None

    def get(self) -> tuple[LabHost, str]:
        """Give it, and how it looked when nothing had been done to it."""
        if self._there is None:
            wanted = Wanted(name="t1", state=self._state, controller_port=pick_port())
            host = self._stack.enter_context(lab(wanted, self._watch, shared=True))
            self._there = host, host.shell(LOOK)
        return self._there

    def restore(self) -> None:
        """Make it bare again; one that cannot be made so is ended. Raises what came in between."""
        assert self._there is not None
        host, bare = self._there
        try:
            host.shell(RESTORE)
            assert host.shell(LOOK).splitlines() == bare.splitlines()
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        self._there = None
        self._stack.close()


@pytest.fixture(scope="session")
def shared_lab_host(lab_state: Path, lab_watch: Watch) -> Iterator[SharedHost]:
    shared = SharedHost(lab_state, lab_watch)
    yield shared
    shared.end()


@pytest.fixture(scope="module")
def lab_host(shared_lab_host: SharedHost) -> Iterator[LabHost]:
    """The shared host, bare: no VFs, links down, no guests. After each module it is so again."""
    host, _ = shared_lab_host.get()
    yield host
    shared_lab_host.restore()
