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
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from stage import BIN, Failed, Stage, environment

ROOT = Path(__file__).resolve().parent.parent
NAME = "demo"
PF1, PF2 = "0000:21:00.0", "0000:41:00.0"
VFS, SERVERS = 14, 4
MAC_NONE = "00:00:00:00:00:00"
PEER, OTHER = "192.168.15.20", "192.168.15.30"
AGENT_STATE = "/var/lib/lanekeeper-agent"

NOVA_CONF = """\
[pci]
device_spec = {"address": "0000:21:00.0", "product_id": "10ca", "physical_network": "physnet1"}
device_spec = {"address": "0000:41:00.0", "product_id": "10ca"}
alias = {"name": "a1", "vendor_id": "8086", "product_id": "10ca", "device_type": "type-VF"}

[ml2_type_vlan]
network_vlan_ranges = physnet1:15:16
"""


class Lab:
    """The emulated host, as the demonstration uses it."""

    simulated = False

    def __init__(self, stage: Stage, work: Path) -> None:
        self.stage = stage
        self.work = work
        self.port = _free_port()

    def boot(self) -> None:
        self.stage.step("1. Boot an emulated compute host: q35, VT-d, two NUMA nodes, two 82576")
        self.stage.run(
            *("lanekeeper", "lab", "up", "--name", NAME, "--open", str(self.work)),
            *("--controller-port", str(self.port)),
            within_s=400,
        )

    def inside(self, *words: str, **options: Any) -> str:
        return self.stage.run("lanekeeper", "lab", "exec", "--name", NAME, "--", *words, **options)

    def quietly(self, *words: str) -> str:
        done = subprocess.run(
            [BIN / "lanekeeper", "lab", "exec", "--name", NAME, "--", *words],
            env=self.stage.environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return done.stdout

    def check(self) -> None:
        self.stage.step("2. Look at the bare host")
        text = self.inside(str(BIN / "lanekeeper"), "host", "check", codes=(0, 1))
        told = "10c9" in self.quietly("lspci", "-nn") and "VF" in text
        self.stage.prove("host check names what is ready and what is not", PF1, holds=told)

    def prepare(self) -> None:
        self.stage.step("3. Plan and apply: 7 VFs on each PF")
        policy = self.work / "policy.yaml"
        policy.write_text((ROOT / "packaging/policy.sample.yaml").read_text())
        tool = (str(BIN / "lanekeeper"), "host")
        self.inside(*tool, "plan", "--policy", str(policy), codes=(1,))
        self.inside(*tool, "apply", "--policy", str(policy), codes=(0, 1), within_s=120)
        self.inside(*tool, "plan", "--policy", str(policy), show=False)
        self.stage.prove("a second plan is empty", "exit code 0", holds=True)
        listed = self.quietly("lspci", "-nn", "-D", "-d", "8086:10ca")
        groups = self.quietly(
            "sh", "-c", "for d in $(lspci -D -d 8086:10ca | cut -d' ' -f1); do basename $(readlink "
            "/sys/bus/pci/devices/$d/iommu_group); done",
        )  # fmt: skip
        vfs = len(listed.strip().splitlines())
        own = len(set(groups.split()))
        self.stage.prove(
            "the kernel has the VFs", f"{vfs} of 8086:10ca in {own} IOMMU groups",
            holds=vfs == own == VFS,
        )  # fmt: skip

    def start_agent(self, ctl: Controller) -> None:
        token = self.stage.run("lanekeeper", "agent", "token", "--host-name", NAME).strip()
        lanekeeper = str(BIN / "lanekeeper")
        self.inside(
            *(lanekeeper, "agent", "enroll", "--controller", f"https://10.0.2.100:{self.port}"),
            *("--token", token, "--state-dir", AGENT_STATE, "--host-name", NAME),
        )
        self.stage.run(
            *("lanekeeper", "lab", "exec", "--name", NAME, "--background", "/run/lab/agent.log"),
            *("--", lanekeeper, "agent", "run", "--state-dir", AGENT_STATE),
            *("--config-file", str(ctl.nova_conf)),
        )

    def vf_lines(self) -> str:
        return self.quietly("ip", "link", "show")

    def prove_vf(self, mac: str, slot: str) -> None:
        line = next((x for x in self.vf_lines().splitlines() if mac in x and "vf " in x), "")
        self.stage.prove(
            "ip link in the host shows MAC and VLAN on the VF", line.strip() or "nothing",
            holds="vlan 15" in line,
        )  # fmt: skip
        driver = self.quietly("readlink", f"/sys/bus/pci/devices/{slot}/driver").strip()
        self.stage.prove("the VF is on vfio-pci", driver, holds=driver.endswith("vfio-pci"))

    def prove_clean(self) -> None:
        lines = [x.strip() for x in self.vf_lines().splitlines() if x.strip().startswith("vf ")]
        dirty = [x for x in lines if "vlan" in x or MAC_NONE not in x or "trust on" in x]
        bound = self.quietly("sh", "-c", "ls /sys/bus/pci/drivers/vfio-pci | grep -c 0000: ; true")
        self.stage.prove(
            "every VF is reset and off vfio-pci",
            f"{len(lines)} VFs, {len(dirty)} with settings left, {bound.strip()} on vfio-pci",
            holds=len(lines) == VFS and not dirty and bound.strip() == "0",
        )

    def down(self) -> None:
        self.stage.run("lanekeeper", "lab", "down", "--name", NAME, codes=(0, 1))

    def prove_gone(self) -> None:
        left = subprocess.run(
            ["pgrep", "-f", f"guest={NAME}"], capture_output=True, text=True, check=False
        ).stdout.split()
        mounts = [x for x in Path("/proc/mounts").read_text().splitlines() if "lanekeeper" in x]
        self.stage.prove(
            "the lab is gone", f"{len(left)} processes, {len(mounts)} mounts",
            holds=not left and not mounts,
        )  # fmt: skip

    def failure_logs(self) -> None:
        print(self.quietly("tail", "-n", "40", "/run/lab/agent.log"))


class Pretended:
    """A simulated host in the lab's place: the controller brings it along."""

    simulated = True

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def boot(self) -> None:
        self.stage.step("1. SIMULATED: this machine cannot emulate an 82576 (QEMU 8 or newer can)")

    def check(self) -> None:
        self.stage.step("2. SIMULATED host, as it is after its policy")

    def prepare(self) -> None:
        self.stage.step("3. SIMULATED host needs no preparation")

    def start_agent(self, ctl: Controller) -> None:
        self.stage.say("the agent of sim-1 runs in the controller's process")

    def prove_vf(self, mac: str, slot: str) -> None:
        self.stage.say("what the kernel shows cannot be seen on a simulated host")

    prove_clean = prove_gone = down = failure_logs = lambda self: None


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
    stage.until("the host's devices in Placement", lambda: _card(stage), 120)
    stage.openstack("resource", "provider", "list")
    card = _card(stage)
    inventory = stage.openstack("resource", "provider", "inventory", "list", card)
    (vfs,) = inventory
    stage.prove(
        "Placement counts PF 1's VFs", f"{vfs['resource_class']} total {vfs['total']}",
        holds=(vfs["resource_class"], vfs["total"]) == ("SRIOV_NET_VF", 7),
    )  # fmt: skip


def _card(stage: Stage) -> str:
    done = subprocess.run(
        [BIN / "openstack", "resource", "provider", "list", "--required", "CUSTOM_PHYSNET_PHYSNET1",
         "-f", "value", "-c", "uuid"],
        env=stage.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip()


def make_things(stage: Stage, images: dict[str, str]) -> None:
    stage.step("5. Images, networks, flavors, ports and servers, by the stock client")
    kernel = _image(stage, "guest-kernel", images["kernel"], "aki")
    ramdisk = _image(stage, "guest-ramdisk", images["ramdisk"], "ari")
    stage.openstack(
        *("image", "create", "guest", "--file", images["disk"], "--disk-format", "raw"),
        *("--container-format", "bare", "--property", f"kernel_id={kernel}"),
        *("--property", f"ramdisk_id={ramdisk}"),
        *("--property", f"os_command_line={images['command_line']}"),
    )
    for vlan in ("15", "16"):
        stage.openstack(
            *("network", "create", "--provider-network-type", "vlan"),
            *("--provider-physical-network", "physnet1", "--provider-segment", vlan, f"net{vlan}"),
        )
        stage.openstack(
            *("subnet", "create", "--network", f"net{vlan}", "--subnet-range", "192.168.15.0/24"),
            *("--no-dhcp", f"sub{vlan}"),
        )
    stage.openstack("flavor", "create", "--ram", "256", "--vcpus", "1", "--disk", "0", "small")
    stage.openstack("flavor", "create", "--ram", "256", "--vcpus", "1", "--disk", "0", "vf")
    stage.openstack("flavor", "set", "vf", "--property", "pci_passthrough:alias=a1:1")


def _image(stage: Stage, name: str, path: str, kind: str) -> str:
    made = stage.openstack(
        *("image", "create", name, "--file", path),
        *("--disk-format", kind, "--container-format", kind),
    )
    return str(made["id"])


def boot_servers(stage: Stage) -> dict[str, Any]:
    for name, vlan, address in (("web", "15", "192.168.15.10"), ("peer", "15", PEER),
                                ("other", "16", OTHER)):  # fmt: skip
        stage.openstack(
            *("port", "create", "--network", f"net{vlan}", "--vnic-type", "direct"),
            *("--fixed-ip", f"subnet=sub{vlan},ip-address={address}", f"{name}-port"),
        )
    for name in ("peer", "other"):
        _server(stage, name, "small", "--port", f"{name}-port", "--wait")
    ping = ("--property", f"ping={PEER},{OTHER}", "--property", "ping_wait=20")
    _server(stage, "web", "small", "--port", "web-port", *ping, "--wait")
    _server(stage, "accelerated", "vf", "--nic", "none", "--wait")
    servers = stage.openstack("server", "list")
    active = [s["Name"] for s in servers if s["Status"] == "ACTIVE"]
    stage.prove("servers by port and by alias reach ACTIVE", ", ".join(sorted(active)),
                holds=len(active) == SERVERS)  # fmt: skip
    port: dict[str, Any] = stage.openstack("port", "show", "web-port")
    return port


def _server(stage: Stage, name: str, flavor: str, *more: str, **options: Any) -> Any:
    try:
        return stage.openstack(
            *("server", "create", "--flavor", flavor, "--image", "guest", *more, name),
            within_s=300, **options,
        )  # fmt: skip
    except Failed:
        stage.openstack("server", "show", name, "-c", "status", "-c", "fault")
        raise


def prove_guests(stage: Stage, host: Lab | Pretended, port: dict[str, Any]) -> None:
    stage.step("6. Proof from outside our own word")
    slot = port["binding_profile"].get("pci_slot", "")
    stage.prove("the port is bound", f"{port['binding_vif_type']}, pci_slot {slot}",
                holds=port["binding_vif_type"] == "hw_veb" and slot != "")  # fmt: skip
    host.prove_vf(port["mac_address"], slot)
    if host.simulated:
        return
    text = _console(stage, "web", "GUEST-READY")
    stage.say("\n".join(x for x in text.splitlines() if x.startswith("GUEST-")))
    net = re.search(rf"GUEST-NET .*mac={port['mac_address']}.*driver=igbvf.*", text)
    stage.prove("the guest has the VF with its MAC", net[0] if net else "not seen", holds=bool(net))
    same, apart = (re.search(rf"GUEST-PING {ip} (\w+)", text) for ip in (PEER, OTHER))
    stage.prove("it reaches its peer on VLAN 15", same[0] if same else "no ping",
                holds=same is not None and same[1] == "ok")  # fmt: skip
    stage.prove("and not the server on VLAN 16", apart[0] if apart else "no ping",
                holds=apart is not None and apart[1] == "FAIL")  # fmt: skip
    text = _console(stage, "accelerated", "GUEST-READY")
    device = re.search(r"GUEST-PCI .*8086:10ca.*", text)
    stage.prove("the guest with the alias has its VF", device[0] if device else "not seen",
                holds=bool(device))  # fmt: skip


def _console(stage: Stage, server: str, marker: str) -> str:
    def look() -> str:
        done = subprocess.run(
            [BIN / "openstack", "console", "log", "show", server], env=stage.environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stdout if marker in done.stdout else ""

    stage.say(f"$ openstack console log show {server}")
    return str(stage.until(f"{marker} on the console of {server}", look, 240))


def one_too_many(stage: Stage) -> None:
    stage.step("7. One request too many")
    stage.openstack("flavor", "create", "--ram", "256", "--vcpus", "1", "--disk", "0", "greedy")
    stage.openstack("flavor", "set", "greedy", "--property", "pci_passthrough:alias=a1:7")
    _server(stage, "greedy", "greedy", "--nic", "none")
    shown = stage.openstack("server", "show", "greedy", "-c", "status", "-c", "fault")
    reason = str(shown.get("fault", {}).get("message", ""))
    stage.prove("the fault says which constraint and what would help", reason,
                holds=shown["status"] == "ERROR" and "a1" in reason)  # fmt: skip
    told = stage.run("lanekeeper", "explain", "--server", "greedy", codes=(0, 1))
    stage.prove("lanekeeper explain says the same", "see above", holds="a1" in told)


def delete_all(stage: Stage, host: Lab | Pretended) -> None:
    stage.step("8. Delete: devices come back clean")
    stage.openstack("server", "delete", "--wait", "web", "peer", "other", "accelerated", "greedy")

    def free() -> bool:
        done = subprocess.run(
            [BIN / "lanekeeper", "device", "list", "--json"], env=stage.environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stdout.count('"available"') >= VFS

    stage.until("all VFs available again", free, 120)
    stage.run("lanekeeper", "device", "list")
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
        host.start_agent(ctl)
        show_inventory(stage)
        make_things(stage, guest_images(stage, host, work))
        port = boot_servers(stage)
        prove_guests(stage, host, port)
        one_too_many(stage)
        delete_all(stage, host)
    except BaseException:
        if ctl is not None:
            print(ctl.log_tail())
        host.failure_logs()
        raise
    finally:
        stage.step("9. Leave nothing behind")
        if ctl is not None:
            ctl.stop()
        host.down()
    host.prove_gone()


def can_emulate() -> bool:
    """Whether this machine's QEMU knows the card."""
    try:
        done = subprocess.run(
            ["qemu-system-x86_64", "-device", "help"], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return False
    return '"igb"' in done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulate", action="store_true", help="take the simulated host")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    work = Path(tempfile.mkdtemp(prefix="lanekeeper-demo-"))
    pretend = arguments.simulate or not can_emulate()
    stage = Stage(environment({}), mark="SIMULATED " if pretend else "")
    host = Pretended(stage) if pretend else Lab(stage, work)
    try:
        walk(stage, work, host)
        return 0 if stage.summary() else 1
    except Failed as error:
        stage.prove("the way was gone to its end", str(error), holds=False)
        stage.summary()
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
