"""dnsmasq in a network namespace of its own, and its port on a bridge of Open vSwitch.

The namespace has no name: it lives as long as the dnsmasq in it, so there is nothing to look after
but a process and a port, and no mount that a service's own view of the file system would hide.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Protocol

from lanekeeper.domain.errors import HostFault
from lanekeeper.host.attribute import read_bytes
from lanekeeper.host.program import Run

_SECONDS = 30.0
_END_SECONDS = 5.0
_SAID_MAX = 300

# The shell waits inside the fresh namespace until its port has been moved there, and becomes
# dnsmasq, which comes back once it listens. Nobody but this host is asked for the server's address
# (arp_ignore): other hosts have the same one.
_ENTER = r"""
read -r _ || exit 1
port=$1 mac=$2 count=$3; shift 3
set -e
echo 8 > /proc/sys/net/ipv4/conf/all/arp_ignore
ip link set dev lo up
ip link set dev "$port" address "$mac"
while [ "$count" -gt 0 ]; do
    case $1 in *:*) ip addr add "$1" dev "$port" nodad ;; *) ip addr add "$1" dev "$port" ;; esac
    shift; count=$((count - 1))
done
ip link set dev "$port" up
exec "$@"
"""


class DhcpPorts(Protocol):
    """Makes and takes away what a server answers on."""

    def add(self, name: str, bridge: str, vlan: int) -> None:
        """Make an interface of the host that is an access port of *bridge*. Raises HostFault."""

    def remove(self, name: str) -> None:
        """Take the port away; one that is not there is no fault. Raises HostFault."""


class OvsPorts:
    """Internal ports of Open vSwitch."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def add(self, name: str, bridge: str, vlan: int) -> None:
        port = ("--may-exist", "add-port", bridge, name, f"tag={vlan}")
        kind = ("--", "set", "Interface", name, "type=internal")
        self._run(["ovs-vsctl", "--timeout=20", *port, *kind])

    def remove(self, name: str) -> None:
        self._run(["ovs-vsctl", "--timeout=20", "--if-exists", "del-port", name])


def start(
    port: str,
    mac: str,
    addresses: Sequence[str],
    command: Sequence[str],
    plug: Callable[[], None],
) -> None:
    """Start a server in a namespace with *port* alone, which *plug* makes.

    Returns when the server listens.

    Raises:
        HostFault: what it said.
    """
    words = (port, mac, str(len(addresses)), *addresses, *command)
    try:
        process = subprocess.Popen(
            ["unshare", "--net", "--", "sh", "-c", _ENTER, "sh", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise HostFault(f"cannot start dnsmasq: {error}") from error
    with process:
        try:
            _until_apart(process)
            plug()
            _move(port, process.pid)
            _, said = process.communicate(b"go\n", timeout=_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise HostFault(f"dnsmasq did not begin within {_SECONDS:g} s") from error
        finally:
            if process.poll() is None:
                process.kill()
    if process.returncode:
        words_said = said.decode("utf-8", "replace").strip()[-_SAID_MAX:]
        raise HostFault(
            f"dnsmasq does not start: {words_said or f'exit code {process.returncode}'}"
        )


def find(pid_file: Path, *, proc: Path = Path("/proc")) -> int | None:
    """Return the process that wrote *pid_file*, if it still runs: a number alone may be anybody's
    by now.
    """
    try:
        pid = int(pid_file.read_text())
    except (OSError, ValueError):
        return None
    command = read_bytes(str(proc / str(pid) / "cmdline")) or b""
    return pid if f"--pid-file={pid_file}".encode() in command.split(b"\0") else None


def reload(pid: int) -> None:
    """Have it read its files again. Raises HostFault."""
    _signal(pid, signal.SIGHUP)


def stop(pid_file: Path) -> None:
    """End the process that wrote *pid_file*, if it still runs. Raises HostFault."""
    end = monotonic() + _END_SECONDS
    while (pid := find(pid_file)) is not None:
        _signal(pid, signal.SIGTERM if monotonic() < end else signal.SIGKILL)
        if monotonic() > 2 * _END_SECONDS + end:
            raise HostFault(f"dnsmasq (process {pid}) does not end")
        sleep(0.05)


def _until_apart(process: subprocess.Popen[bytes]) -> None:
    """Wait until the child has left this namespace: a port moved before would stay here."""
    ours, end = Path("/proc/self/ns/net").readlink(), monotonic() + _SECONDS
    while process.poll() is None and monotonic() < end:
        with suppress(OSError):
            if Path(f"/proc/{process.pid}/ns/net").readlink() != ours:
                return
        sleep(0.005)
    raise HostFault("cannot start dnsmasq: no network namespace could be made for it")


def _move(port: str, pid: int) -> None:
    from pyroute2 import IPRoute  # 0.3 s to load
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        with IPRoute() as netlink:
            found = netlink.link_lookup(ifname=port)
            if not found:
                raise HostFault(f"Open vSwitch made no interface {port}; its log may say why")
            netlink.link("set", index=found[0], net_ns_pid=pid)
    except NetlinkError as error:
        raise HostFault(f"cannot give {port} to dnsmasq: {os.strerror(error.code)}") from error
    except OSError as error:
        raise HostFault(f"cannot give {port} to dnsmasq: {error.strerror or error}") from error


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except OSError as error:
        raise HostFault(f"cannot tell dnsmasq (process {pid}): {error.strerror}") from error
