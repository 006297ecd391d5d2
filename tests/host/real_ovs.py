"""An Open vSwitch of its own for a test: userspace datapath, its files in a directory.

Its ports are dummies: frames are put in by hand, and what comes out stands in a file each. So the
switch is real, its connection tracking too, and nothing of the machine is touched.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import which

import pytest

from lanekeeper.domain.errors import HostFault

SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
BRIDGE = "br-ex"
_PROGRAMS = ("ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl", "ovs-ofctl", "ovs-appctl")


def need_ovs() -> None:
    """Skip the test where Open vSwitch is not installed."""
    missing = [name for name in _PROGRAMS if which(name, path=_PATH) is None]
    if missing or not SCHEMA.exists():
        pytest.skip(f"openvswitch-switch is not installed: no {', '.join(missing) or SCHEMA}")


_TICK = bytes.fromhex("ffffffffffff 020000000001 88b5".replace(" ", ""))
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


class RealOvs:
    """A running switch with one bridge, ``BRIDGE``."""

    def __init__(self, home: Path) -> None:
        self.home = home
        names = ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR")
        self._environment = os.environ | {"PATH": _PATH} | dict.fromkeys(names, str(home))

    def ask(self, command: Sequence[str], text: str = "") -> str:
        run = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=self._environment,
        )
        if run.returncode:
            raise HostFault(f"{' '.join(command)}: {run.stderr.strip()}")
        return run.stdout

    def start(self) -> None:
        home = str(self.home)
        daemon = ("--detach", "--pidfile", "--no-chdir", "-vconsole:off", "--log-file")
        if not (self.home / "conf.db").exists():
            self.ask(["ovsdb-tool", "create", f"{home}/conf.db", str(SCHEMA)])
        self.ask(["ovsdb-server", f"{home}/conf.db", f"--remote=punix:{home}/db.sock", *daemon])
        self.ask(["ovs-vsctl", "--no-wait", "init"])
        self._start_switch()
        self.ask(["ovs-vsctl", "--may-exist", "add-br", BRIDGE, "--", "set", "bridge", BRIDGE,
                  "datapath_type=dummy"])  # fmt: skip

    def _start_switch(self) -> None:
        self.ask(["ovs-vswitchd", f"unix:{self.home}/db.sock", "--enable-dummy",
                  "--disable-system", "--detach", "--pidfile", "--no-chdir", "-vconsole:off",
                  "--log-file"])  # fmt: skip

    def restart(self) -> None:
        """Have it lose its flows, as a restart that nobody prepared does."""
        self._end("ovs-vswitchd")
        self._start_switch()
        self.ask(["ovs-vsctl", "--timeout=20", "wait-until", "bridge", BRIDGE, "datapath_id!=[]"])

    def stop(self) -> None:
        for name in ("ovs-vswitchd", "ovsdb-server"):
            self._end(name)

    def _end(self, name: str) -> None:
        pid = self.home / f"{name}.pid"
        if pid.exists():
            self.ask(["ovs-appctl", "-t", name, "exit"])
            for _ in range(200):
                if not pid.exists():
                    return
                time.sleep(0.05)
            raise AssertionError(f"{name} does not end")

    def plug(self, name: str, number: int, port_id: str = "", **record: str) -> None:
        """Add a port to the bridge; *record* are columns of its Port."""
        columns = [f"{column}={value}" for column, value in record.items()]
        identity = [f"external_ids:iface-id={port_id}"] if port_id else []
        self.ask(["ovs-vsctl", "--timeout=20", "add-port", BRIDGE, name, *columns, "--", "set",
                  "Interface", name, "type=dummy", f"ofport_request={number}", *identity,
                  f"options:tx_pcap={self.home}/{name}.pcap"])  # fmt: skip

    def trace(self, flow: str) -> str:
        """What the datapath would do with a packet."""
        told = self.ask(["ovs-appctl", "ofproto/trace", BRIDGE, flow])
        return str(re.findall(r"Datapath actions: (.*)", told)[-1])

    def send(self, name: str, frame: bytes) -> dict[str, list[bytes]]:
        """Put *frame* into a port; returns what came out of the others because of it."""
        before = {path: path.stat().st_size for path in self.home.glob("*.pcap")}
        self.ask(["ovs-appctl", "netdev-dummy/receive", name, frame.hex()])
        for _ in range(2):  # ports are polled in turn: after the second, all saw what was before
            self._tick()
        return {
            path.stem: frames
            for path, size in before.items()
            if (
                frames := [
                    one for one in _frames(path.read_bytes()[size:]) if one[6:12] != _TICK[6:12]
                ]
            )
        }

    def _tick(self) -> None:
        """Wait until a frame has gone through the switch that was sent now."""
        came = self.home / "tock.pcap"
        if not came.exists():
            self.plug("tick", 4001, tag="4000")
            self.plug("tock", 4002, tag="4000")
        size = came.stat().st_size
        self.ask(["ovs-appctl", "netdev-dummy/receive", "tick", (_TICK + bytes(46)).hex()])
        for _ in range(500):
            if came.stat().st_size > size:
                return
            time.sleep(0.01)
        raise AssertionError("the switch passes nothing on")


def _frames(data: bytes) -> Iterator[bytes]:
    """Read packets of a pcap file whose header was read before."""
    header = 16
    while len(data) >= header:
        size = int.from_bytes(data[8:12], "little")
        yield data[header : header + size].ljust(60, b"\0")  # as a wire would have it
        data = data[header + size :]


@contextmanager
def real_ovs(home: Path) -> Iterator[RealOvs]:
    """A switch that runs; it is ended however the test ends."""
    need_ovs()
    home.mkdir()
    switch = RealOvs(home)
    try:
        switch.start()
        yield switch
    finally:
        switch.stop()
