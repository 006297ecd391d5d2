"""The host that the demonstration is about: emulated in QEMU, or simulated in its place."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

from lanekeeper.lab import ending, folder
from stage import BIN, Failed, Stage

ROOT = Path(__file__).resolve().parent.parent
PF1 = "0000:21:00.0"
VFS = 14
MAC_NONE = "00:00:00:00:00:00"
AGENT_STATE = "/var/lib/lanekeeper-agent"


class Lab:
    """The emulated host, as the demonstration uses it."""

    simulated = False

    def __init__(self, stage: Stage, name: str, work: Path) -> None:
        self.name = name
        self.stage = stage
        self.work = work
        self.port = _free_port()
        self.fell = ""
        self._is_ours = False
        self._folder = folder.LabFolder(name)
        self._qemu = 0
        self._spaces = set(_namespaces())
        self._exec = ("lanekeeper", "lab", "exec", "--name", name)
        self._up = ("lanekeeper", "lab", "up", "--name", self.name, "--open", str(work))

    def boot(self) -> None:
        self.stage.step("1. Boot an emulated compute host: q35, VT-d, two NUMA nodes, two 82576")
        if self._status().get("state", "absent") not in {"absent", "dead"}:
            raise Failed(f"a lab {self.name} runs already: end it, or choose another --name")
        self._is_ours = True
        more = ("--controller-port", str(self.port), "--json")
        running = json.loads(self.stage.run(*self._up, *more, within_s=400))
        self._qemu = int(running["pid"])
        self.stage.broken = lambda: (
            str(ending.account(self._folder)) if ending.has_ended(self._folder) else ""
        )

    def inside(self, *words: str, **options: Any) -> str:
        return self.stage.run(*self._exec, "--", *words, **options)

    def quietly(self, *words: str) -> str:
        return self.stage.quietly(*self._exec, "--", *words)

    def check(self) -> None:
        self.stage.step("2. Look at the bare host")
        text = self.inside(str(BIN / "lanekeeper"), "host", "check", codes=(0, 1), lines=40)
        ready, lacks = "OK       iommu-on", f"WARNING  vfs-missing                {PF1}"
        self.stage.prove(
            "host check names what is ready and what is not", "iommu-on OK, vfs-missing WARNING",
            holds=ready in text and lacks in text,
        )  # fmt: skip

    def prepare(self) -> None:
        self.stage.step("3. Plan and apply: 7 VFs on each PF")
        policy = self.work / "policy.yaml"
        policy.write_text((ROOT / "packaging/policy.sample.yaml").read_text())
        tool = (str(BIN / "lanekeeper"), "host")
        self.inside(*tool, "plan", "--policy", str(policy), codes=(1,))
        self.inside(*tool, "apply", "--policy", str(policy))
        self.inside(*tool, "plan", "--policy", str(policy), show=False)  # 0: nothing to do
        self.stage.prove("a second plan is empty", "exit code 0", holds=True)
        found = self.quietly(
            "sh", "-c", "for d in $(lspci -D -d 8086:10ca | cut -d' ' -f1); do basename $(readlink "
            "/sys/bus/pci/devices/$d/iommu_group); done",
        ).split()  # fmt: skip
        vfs, own = len(found), len(set(found))
        self.stage.prove(
            "the kernel has the VFs", f"{vfs} of 8086:10ca in {own} IOMMU groups",
            holds=vfs == own == VFS,
        )  # fmt: skip

    def start_agent(self, nova_conf: Path) -> None:
        token = self.stage.run("lanekeeper", "agent", "token", "--host-name", self.name).strip()
        lanekeeper = str(BIN / "lanekeeper")
        self.inside(
            *(lanekeeper, "agent", "enroll", "--controller", f"https://10.0.2.100:{self.port}"),
            *("--token", token, "--state-dir", AGENT_STATE, "--host-name", self.name),
        )
        self.stage.run(
            *(*self._exec, "--background", "/run/lab/agent.log", "--", lanekeeper, "agent", "run"),
            *("--state-dir", AGENT_STATE, "--config-file", str(nova_conf)),
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
        if self._is_ours:
            self.fell = ending.fell(self._folder) if self._qemu else ""
            self.stage.run("lanekeeper", "lab", "down", "--name", self.name)

    def _status(self) -> dict[str, Any]:
        told = self.stage.quietly("lanekeeper", "lab", "status", "--name", self.name, "--json")
        found: dict[str, Any] = json.loads(told or "{}")
        return found

    def prove_gone(self) -> None:
        self._prove_nothing_left("the lab is gone")
        self.stage.say(f"$ {' '.join(self._up)}   # and Ctrl-C as soon as its emulator runs")
        with subprocess.Popen(
            [BIN / "lanekeeper", *self._up[1:]],
            env=self.stage.environment, stderr=subprocess.DEVNULL, start_new_session=True,
        ) as starting:  # fmt: skip
            self.stage.until("the emulator", self._processes, 60)
            starting.send_signal(signal.SIGINT)
        self._prove_nothing_left("Ctrl-C while it boots leaves nothing either")

    def _prove_nothing_left(self, claim: str) -> None:
        place = folder.DEFAULT_STATE / self.name
        processes, folders = len(self._processes()), int(place.exists())
        mounts = Path("/proc/mounts").read_text().count(f"{place}")
        spaces = len(set(_namespaces()) - self._spaces)
        self.stage.prove(
            claim, f"{processes} processes, {mounts} mounts, {folders} folders, "
            f"{spaces} network namespaces", holds=not (processes or mounts or folders or spaces),
        )  # fmt: skip

    def _processes(self) -> list[str]:
        words = ["pgrep", "-f", f"guest={self.name} "]
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout.split()

    def failure_logs(self) -> None:
        # With its emulator the host's log has gone.
        if self._is_ours and not self.stage.broken():
            print(self.quietly("tail", "-n", "40", "/run/lab/agent.log"))


class Pretended:
    """A simulated host in the lab's place: the controller brings it along."""

    simulated = True
    fell = ""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def boot(self) -> None:
        self.stage.step("1. SIMULATED: this machine cannot emulate an 82576 (QEMU 8 or newer can)")

    def check(self) -> None:
        self.stage.step("2. SIMULATED host, as it is after its policy")

    def prepare(self) -> None:
        self.stage.step("3. SIMULATED host needs no preparation")

    def start_agent(self, nova_conf: Path) -> None:
        self.stage.say("the agent of sim-1 runs in the controller's process")

    def prove_vf(self, mac: str, slot: str) -> None:
        self.stage.say("what the kernel shows cannot be seen on a simulated host")

    prove_clean = prove_gone = down = failure_logs = lambda self: None


def can_emulate() -> bool:
    """Whether this machine's QEMU knows the card."""
    try:
        done = subprocess.run(
            ["qemu-system-x86_64", "-device", "help"], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return False
    return '"igb"' in done.stdout


def _namespaces() -> list[str]:
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False)
    return listed.stdout.splitlines()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
