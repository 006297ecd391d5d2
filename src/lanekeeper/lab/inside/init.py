"""The lab host's first process: makes the shared root file system a running machine.

There is no systemd: what the lab needs of it is a page of mounts, udev, the units that were enabled
in here, and somebody who reaps orphans. PID 1 does that last thing only; its child does all else.

What this package imports is read over 9p by an emulated processor: every module counts, so it
keeps to the light end of the standard library and runs without site packages.
"""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from contextlib import suppress
from pathlib import Path

from lanekeeper.lab.inside import boot_loader, first_cpu, unit
from lanekeeper.lab.inside.agent import Agent
from lanekeeper.lab.mounting import bind, mount
from lanekeeper.lab.wire import CONTROLLER_ADDRESS, HOST_ADDRESS

RUN = Path("/run/lab")
ENVIRONMENT = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "LOGNAME": "root",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "TERM": "linux",
    "USER": "root",
}
MODULES = ("virtio_console", "virtio_net", "igb", "nvme", "vfio-pci", "tun", "vhost_net")
KVM_BY_FLAG = {"svm": "kvm_amd", "vmx": "kvm_intel"}  # of /proc/cpuinfo
UDEVD = "/usr/lib/systemd/systemd-udevd", "/lib/systemd/systemd-udevd"
UDEV_TIMEOUT_S = 180
# Every event costs an emulated processor more than its device is worth: terminals, ACPI, memory
# blocks and the ciphers that processors could help with are most of what there is at a boot.
UDEV_SUBSYSTEMS = ("block", "misc", "net", "nvme", "pci", "virtio")
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a mount point
TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108 - made, not used


def main() -> None:
    """Run as PID 1; never returns."""
    worker = os.fork()
    if worker == 0:
        try:
            work()
        except BaseException:  # whatever it is has to reach the console: nobody else will say it
            say("LAB-FAIL " + traceback.format_exc().replace("\n", " | "))
        os._exit(1)
    while True:
        with suppress(ChildProcessError):
            os.wait()


def work() -> None:
    """Set the machine up, then serve the command ports for ever."""
    name, machine_id = os.environ["LAB_NAME"], os.environ["LAB_MACHINE_ID"]
    cache, is_first = Path(os.environ["LAB_CACHE"]), "LAB_FIRST_BOOT" in os.environ
    modules = Path(os.environ["LAB_MODULES"])
    tools = str(Path(sys.executable).parent)
    environment = {**ENVIRONMENT, "PATH": f"{tools}:{ENVIRONMENT['PATH']}"}
    os.environ.clear()
    os.environ.update(environment)
    mount_filesystems(modules)
    first_cpu.leave()
    name_machine(name, machine_id)
    if is_first:
        boot_loader.furnish()
    call("modprobe", "-a", *MODULES, *kvm_modules(Path("/proc/cpuinfo").read_text()))
    start_network()
    agent = Agent(cache)
    agent.start()
    start_udev()
    unit.start_all(say)
    agent.settled()
    say(f"LAB-READY {Path('/proc/uptime').read_text().split()[0]}")
    agent.join()


def mount_filesystems(modules: Path) -> None:
    """Mount what a running system has, and the lab kernel's modules where they are looked for."""
    for point in ("/dev/pts", SHARED_MEMORY, "/lib/modules"):
        Path(point).mkdir(parents=True, exist_ok=True)
    mount("devpts", Path("/dev/pts"), "devpts", data="gid=5,mode=620,ptmxmode=666")
    mount("tmpfs", Path(SHARED_MEMORY), "tmpfs")
    mount("tmpfs", Path("/run"), "tmpfs", data="mode=755")
    mount("cgroup2", Path("/sys/fs/cgroup"), "cgroup2")
    mount("debugfs", Path("/sys/kernel/debug"), "debugfs")
    bind(modules, Path("/lib/modules"))
    for folder in (RUN, Path("/run/lock"), Path("/run/netns")):
        folder.mkdir()
    if not Path("/dev/fd").exists():
        Path("/dev/fd").symlink_to("/proc/self/fd")
    for temporary in TEMPORARY:
        Path(temporary).chmod(0o1777)


def name_machine(name: str, machine_id: str) -> None:
    """Give the machine a name and an id of its own, where the outer machine's would show."""
    Path("/proc/sys/kernel/hostname").write_text(name, encoding="ascii")
    for path, text in (
        ("/etc/machine-id", machine_id),
        ("/etc/hostname", name),
        ("/etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {name}\n{CONTROLLER_ADDRESS} controller"),
    ):
        Path(path).unlink(missing_ok=True)
        Path(path).write_text(f"{text}\n", encoding="ascii")


def kvm_modules(cpuinfo: str) -> list[str]:
    """Name the module that runs guests on these processors; none where they cannot."""
    line = next((line for line in cpuinfo.splitlines() if line.startswith("flags")), "")
    return [module for flag, module in KVM_BY_FLAG.items() if flag in line.split()]


def start_network() -> None:
    """Bring up loopback and the card of the management network, which is the virtio one."""
    call("ip", "link", "set", "lo", "up")
    for card in Path("/sys/class/net").iterdir():
        driver = card / "device/driver"
        if driver.exists() and driver.resolve().name == "virtio_net":
            call("ip", "link", "set", card.name, "up")
            call("ip", "address", "add", f"{HOST_ADDRESS}/24", "dev", card.name)


def start_udev() -> None:
    """Let udev name the interfaces and load the cards' drivers, and wait until it has."""
    daemon = next(path for path in UDEVD if Path(path).exists())
    call(daemon, "--daemon")
    matches = (f"--subsystem-match={name}" for name in UDEV_SUBSYSTEMS)
    call("udevadm", "trigger", "--action=add", *matches)
    call("udevadm", "settle", f"--timeout={UDEV_TIMEOUT_S}")


def call(*argv: str) -> None:
    """Run a program; what it complains of goes to the console and stops nothing."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        say(f"LAB-WARN {' '.join(argv)}: {done.stderr.decode(errors='replace').strip()}")


def say(line: str) -> None:
    """Write a line to the console, which the outer machine keeps as the lab's log."""
    with suppress(OSError):
        Path("/dev/console").write_text(f"{line}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
