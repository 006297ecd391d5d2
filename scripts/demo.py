"""From a bare SR-IOV host to guests that hold its VFs, and back: every step real.

An emulated host in QEMU, the host tool, the controller, the agent with libvirt, the stock client.
Where no such host can be emulated the same way is gone with a simulated one, and each line of the
summary says so.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from demo_host import VFS, Lab, Pretended, can_emulate
from stage import BIN, Failed, Stage, environment

SERVERS = 4
WEB, PEER, OTHER = "192.168.15.10", "192.168.15.20", "192.168.15.30"
PEERS = ("peer", "other")
VLANS = ("15", "16")

NOVA_CONF = """\
[pci]
device_spec = {"address": "0000:21:00.0", "product_id": "10ca", "physical_network": "physnet1"}
device_spec = {"address": "0000:41:00.0", "product_id": "10ca"}
alias = {"name": "a1", "vendor_id": "8086", "product_id": "10ca", "device_type": "type-VF"}

[ml2_type_vlan]
network_vlan_ranges = physnet1:15:16
"""


class Controller:
    """The controller on this machine."""

    def __init__(self, stage: Stage, work: Path, host: Lab | Pretended) -> None:
        self.stage = stage
        self.state = work / "controller"
        self.nova_conf = work / "nova.conf"
        self.nova_conf.write_text(NOVA_CONF)
        self._log = (work / "controller.log").open("wb")
        listen = ["--listen", "127.0.0.1:0"]
        if isinstance(host, Lab):
            verb, more = "controller", ["--listen", f"https://127.0.0.1:{host.port}"]
        else:
            verb, more = "up", ["--simulate", "1"]
        words = [verb, "--state-dir", str(self.state), *listen, *more]
        words += ["--config-file", str(self.nova_conf)]
        stage.say(f"$ lanekeeper {' '.join(words)} &")
        self._process = subprocess.Popen(
            [BIN / "lanekeeper", *words], stdout=subprocess.PIPE, stderr=self._log, text=True,
            env=stage.environment, start_new_session=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        first = self._process.stdout.readline()
        if not first.startswith("ready "):
            raise Failed("the controller did not start:\n" + self.log_tail())
        stage.say(first)
        cloud = {"OS_CLIENT_CONFIG_FILE": str(self.state / "clouds.yaml"), "OS_CLOUD": "lanekeeper"}
        stage.environment |= cloud

    def log_tail(self) -> str:
        text = Path(self._log.name).read_text(errors="replace")
        return "\n".join(text.splitlines()[-30:])

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        self._process.kill()
        self._log.close()


def show_inventory(stage: Stage) -> None:
    stage.step("4. The agent finds the devices and reports them")
    card = stage.until("the host's devices in Placement", lambda: _card(stage), 120)
    stage.openstack("resource", "provider", "list")
    inventory = stage.openstack("resource", "provider", "inventory", "list", card)
    (vfs,) = inventory
    stage.prove(
        "Placement counts PF 1's VFs", f"{vfs['resource_class']} total {vfs['total']}",
        holds=(vfs["resource_class"], vfs["total"]) == ("SRIOV_NET_VF", 7),
    )  # fmt: skip


def _card(stage: Stage) -> str:
    trait = ("--required", "CUSTOM_PHYSNET_PHYSNET1")
    words = ("openstack", "resource", "provider", "list", *trait, "-f", "value", "-c", "uuid")
    return stage.quietly(*words).strip()


def make_things(stage: Stage, images: dict[str, str]) -> None:
    stage.step("5. Images, networks, flavors, ports and servers, by the stock client")
    kernel, ramdisk, *_ = stage.together(
        _image("guest-kernel", images["kernel"], "aki"),
        _image("guest-ramdisk", images["ramdisk"], "ari"),
        *(_network(vlan) for vlan in VLANS),
        *(_flavor(name) for name in ("small", "vf")),
    )
    stage.together(
        (
            *("image", "create", "guest", "--file", images["disk"], "--disk-format", "raw"),
            *("--container-format", "bare", "--property", f"kernel_id={kernel['id']}"),
            *("--property", f"ramdisk_id={ramdisk['id']}"),
            *("--property", f"os_command_line={images['command_line']}"),
        ),
        *(_subnet(vlan) for vlan in VLANS),
        ("flavor", "set", "vf", "--property", "pci_passthrough:alias=a1:1"),
    )


def _image(name: str, path: str, kind: str) -> tuple[str, ...]:
    formats = ("--disk-format", kind, "--container-format", kind)
    return ("image", "create", name, "--file", path, *formats)


def _network(vlan: str) -> tuple[str, ...]:
    where = ("--provider-network-type", "vlan", "--provider-physical-network", "physnet1")
    return ("network", "create", *where, "--provider-segment", vlan, f"net{vlan}")


def _subnet(vlan: str) -> tuple[str, ...]:
    where = ("--network", f"net{vlan}", "--subnet-range", "192.168.15.0/24", "--no-dhcp")
    return ("subnet", "create", *where, f"sub{vlan}")


def _port(name: str, vlan: str, address: str) -> tuple[str, ...]:
    fixed = ("--fixed-ip", f"subnet=sub{vlan},ip-address={address}")
    kind = ("--network", f"net{vlan}", "--vnic-type", "direct")
    return ("port", "create", *kind, *fixed, f"{name}-port")


def _flavor(name: str) -> tuple[str, ...]:
    return ("flavor", "create", "--ram", "256", "--vcpus", "1", "--disk", "0", name)


def boot_servers(stage: Stage, host: Lab | Pretended) -> dict[str, Any]:
    stage.together(_port("web", "15", WEB), _port("peer", "15", PEER), _port("other", "16", OTHER))
    try:
        stage.together(
            *(_server(name, "small", "--port", f"{name}-port", "--wait") for name in PEERS),
            _server("accelerated", "vf", "--nic", "none", "--wait"),
            within_s=300,
        )
        if not host.simulated:  # so that a ping that gets no answer says something
            for name in PEERS:
                _console(stage, name)
        ping = ("--property", f"ping={PEER},{OTHER}", "--property", "ping_wait=10")
        stage.openstack(*_server("web", "small", "--port", "web-port", *ping, "--wait"))
    finally:
        servers = stage.openstack("server", "list")
    active = [s["Name"] for s in servers if s["Status"] == "ACTIVE"]
    stage.prove("servers by port and by alias reach ACTIVE", ", ".join(sorted(active)),
                holds=len(active) == SERVERS)  # fmt: skip
    port: dict[str, Any] = stage.openstack("port", "show", "web-port")
    return port


def _server(name: str, flavor: str, *more: str) -> tuple[str, ...]:
    return ("server", "create", "--flavor", flavor, "--image", "guest", *more, name)


def prove_guests(stage: Stage, host: Lab | Pretended, port: dict[str, Any]) -> None:
    stage.step("6. Proof from outside our own word")
    slot = port["binding_profile"].get("pci_slot", "")
    stage.prove("the port is bound", f"{port['binding_vif_type']}, pci_slot {slot}",
                holds=port["binding_vif_type"] == "hw_veb" and slot != "")  # fmt: skip
    host.prove_vf(port["mac_address"], slot)
    if host.simulated:
        return
    text = _console(stage, "web")
    stage.say("\n".join(x for x in text.splitlines() if x.startswith("GUEST-")))
    net = re.search(rf"GUEST-NET .*mac={port['mac_address']}.*driver=igbvf.*", text)
    stage.prove("the guest has the VF with its MAC", net[0] if net else "not seen", holds=bool(net))
    same, apart = (re.search(rf"GUEST-PING {ip} (\w+)", text) for ip in (PEER, OTHER))
    stage.prove("it reaches its peer on VLAN 15", same[0] if same else "no ping",
                holds=same is not None and same[1] == "ok")  # fmt: skip
    stage.prove("and not the server on VLAN 16", apart[0] if apart else "no ping",
                holds=apart is not None and apart[1] == "FAIL")  # fmt: skip
    text = _console(stage, "accelerated")
    device = re.search(r"GUEST-PCI .*8086:10ca.*", text)
    stage.prove("the guest with the alias has its VF", device[0] if device else "not seen",
                holds=bool(device))  # fmt: skip


def _console(stage: Stage, server: str) -> str:
    def look() -> str:
        text = stage.quietly("openstack", "console", "log", "show", server)
        return text if "GUEST-READY" in text else ""

    stage.say(f"$ openstack console log show {server}   # until it says GUEST-READY")
    what = f"GUEST-READY on the console of {server}"
    return str(stage.until(what, look, 240, pause_s=2))  # each look is a second of a processor


def one_too_many(stage: Stage) -> None:
    stage.step("7. One request too many")
    stage.openstack(*_flavor("greedy"), "--property", "pci_passthrough:alias=a1:7", show=False)
    stage.openstack(*_server("greedy", "greedy", "--nic", "none"), show=False)
    shown = stage.openstack("server", "show", "greedy", "-c", "status", "-c", "fault")
    reason = str(shown.get("fault", {}).get("message", ""))
    stage.prove("the fault says which constraint and what would help", reason,
                holds=shown["status"] == "ERROR" and "a1" in reason)  # fmt: skip
    told = stage.run("lanekeeper", "explain", "--server", "greedy", codes=(0, 1))
    line = next((line.strip() for line in told.splitlines() if ": alias a1" in line), "nothing")
    stage.prove("lanekeeper explain says the same", line, holds="alias a1 needs 7" in told)


def delete_all(stage: Stage, host: Lab | Pretended) -> None:
    stage.step("8. Delete: devices come back clean")
    stage.openstack("server", "delete", "--wait", "web", *PEERS, "accelerated", "greedy")

    def free() -> bool:
        listed = stage.quietly("lanekeeper", "device", "list", "--json")
        return listed.count('"available"') >= VFS

    stage.until("all VFs available again", free, 120)
    stage.run("lanekeeper", "device", "list", lines=VFS + 3)
    usage = stage.openstack("resource", "provider", "usage", "show", _card(stage))
    stage.prove("Placement shows them free", str(usage),
                holds=all(row["usage"] == 0 for row in usage))  # fmt: skip
    host.prove_clean()


def guest_images(stage: Stage, host: Lab | Pretended, work: Path) -> dict[str, str]:
    if host.simulated:
        paths = {name: str(work / name) for name in ("kernel", "ramdisk", "disk")}
        for path in paths.values():
            Path(path).write_bytes(b"\0" * 4096)
        return paths | {"command_line": "console=ttyS0"}
    found: dict[str, str] = json.loads(stage.run("lanekeeper", "lab", "guest"))
    return found


def walk(stage: Stage, work: Path, host: Lab | Pretended) -> None:
    ctl: Controller | None = None
    try:
        host.boot()
        host.check()
        host.prepare()
        ctl = Controller(stage, work, host)
        host.start_agent(ctl.nova_conf)
        show_inventory(stage)
        make_things(stage, guest_images(stage, host, work))
        port = boot_servers(stage, host)
        prove_guests(stage, host, port)
        one_too_many(stage)
        delete_all(stage, host)
    except Failed:
        if ctl is not None:
            print(ctl.log_tail())
        host.failure_logs()
        raise
    finally:
        stage.broken = str
        stage.step("9. Leave nothing behind")
        if ctl is not None:
            ctl.stop()
        host.down()
    host.prove_gone()


def perform(stage: Stage, name: str, *, pretend: bool) -> str:
    """Go the whole way; how the emulator fell on it, empty where it did not."""
    work = Path(tempfile.mkdtemp(prefix="lanekeeper-demo-"))
    host = Pretended(stage) if pretend else Lab(stage, name, work)
    try:
        walk(stage, work, host)
    except Failed as error:
        stage.prove("the way was gone to its end", str(error), holds=False)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return host.fell


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulate", action="store_true", help="take the simulated host")
    parser.add_argument("--name", default="demo", help="of the emulated host (%(default)s)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    pretend = arguments.simulate or not can_emulate()
    stage = Stage(environment({}), mark="SIMULATED " if pretend else "")
    try:
        if fell := perform(stage, arguments.name, pretend=pretend):
            stage.start_over(f"{fell}, which says nothing of Lanekeeper")
            perform(stage, arguments.name, pretend=pretend)
    except KeyboardInterrupt:
        return 130
    return 0 if stage.summary() else 1


if __name__ == "__main__":
    sys.exit(main())
