"""A guest on a bridge of a real Open vSwitch, which forwards by itself (no module of the kernel).

    unshare --net --mount python dhcp_on_ovs.py DIRECTORY

It is run in namespaces of its own, and prints what the guest was told on its VLAN, on another one,
after dnsmasq was killed, and which ports are left when the guest is gone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent.test_dhcp import KNOWN, SEGMENT, UNKNOWN, service
from lanekeeper.agent.dhcp import DhcpServers
from lanekeeper.host.actor import run_program
from lanekeeper.host.dhcp_server import OvsPorts, find

CLIENT = Path(__file__).with_name("dhcp_client.py")
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
_GONE_WITHIN_S = 30


def run(*arguments: str) -> str:
    return subprocess.run(arguments, check=True, stdout=subprocess.PIPE, text=True).stdout


def main(home: Path) -> None:
    os.environ.update(dict.fromkeys(("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR"), str(home)))
    run("mount", "-t", "tmpfs", "none", "/run/netns")
    run("ip", "link", "set", "lo", "up")
    run("ovsdb-tool", "create", f"{home}/conf.db", SCHEMA)
    log = f"--log-file={home}/log"
    try:
        remote = f"--remote=punix:{home}/db.sock"
        run("ovsdb-server", f"{home}/conf.db", remote, f"--pidfile={home}/db.pid", "--detach", log)
        run("ovs-vsctl", "--no-wait", "init")
        run("ovs-vswitchd", f"--pidfile={home}/switch.pid", "--detach", log)
        print(json.dumps(story(home)))
    finally:
        for name in ("switch.pid", "db.pid"):
            with suppress(OSError, ValueError):
                os.kill(int((home / name).read_text()), signal.SIGTERM)


def story(home: Path) -> dict[str, Any]:
    run("ovs-vsctl", "add-br", "br-ex", "--", "set", "bridge", "br-ex", "datapath_type=netdev")
    run("ip", "link", "add", "tap0", "type", "veth", "peer", "name", "guest0")
    run("ip", "netns", "add", "guest")
    run("ip", "link", "set", "tap0", "up")
    run("ip", "link", "set", "guest0", "netns", "guest")
    run("ip", "-n", "guest", "link", "set", "guest0", "address", KNOWN)
    run("ip", "-n", "guest", "link", "set", "guest0", "up")
    run("ovs-vsctl", "add-port", "br-ex", "tap0", "tag=15")
    servers = DhcpServers(home / "dhcp", "h1", OvsPorts(run_program))
    told: dict[str, Any] = {"problems": list(servers.settle([service()]))}
    told["own"] = ask(UNKNOWN, KNOWN)
    run("ovs-vsctl", "set", "port", "tap0", "tag=16")
    told["other"] = ask(KNOWN)
    run("ovs-vsctl", "set", "port", "tap0", "tag=15")
    kill(home / "dhcp" / SEGMENT / "pid")
    told["problems"] += servers.settle([service()])
    told["again"] = ask(KNOWN)
    told["problems"] += servers.settle([])
    told["left"] = run("ovs-vsctl", "list-ports", "br-ex").split()
    return told


def ask(*macs: str) -> list[str | None]:
    """The address that each MAC is given."""
    inside = ("ip", "netns", "exec", "guest", sys.executable, str(CLIENT), "v4", "guest0")
    return [said and said["ip"] for said in json.loads(run(*inside, *macs))]


def kill(pid_file: Path) -> None:
    pid, end = find(pid_file), time.monotonic() + _GONE_WITHIN_S
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while find(pid_file) is not None:
        assert time.monotonic() < end, "it is still there"
        time.sleep(0.05)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
