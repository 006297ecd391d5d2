"""Scanning a host with 1,024 functions, against lspci on the same tree; a plan without a step."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bench.figure import Figure
from bench.program import LANEKEEPER
from lanekeeper.domain.hostplan.findings.check import check
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.host.facts import read_host
from lanekeeper.host.policy_file import read_policy
from lanekeeper.host.survey import read_survey
from lanekeeper.host.sysfs import PciSysfs

_CARDS = 16
_VFS = 63
_WARM_UPS = 2
_CONFIG_BYTES = 64
"""As much of a function's configuration space as lspci reads by itself."""
_FIRST_SCAN = """
import sys, time
from pathlib import Path
from lanekeeper.host.sysfs import PciSysfs
bus, started = PciSysfs(Path(sys.argv[1])), time.perf_counter()
bus.scan()
print(1000 * (time.perf_counter() - started))
"""
_POLICY = Path(__file__).parents[1] / "packaging/policy.sample.yaml"


def measure(home: Path, runs: int) -> Iterator[Figure]:
    """One process that scans again and again, as an agent does; programs are started each time."""
    root = home / "host"
    _plant(root)
    bus = PciSysfs(root)
    assert len(bus.scan().devices) == _CARDS * (1 + _VFS)
    yield Figure("scan of 1,024 functions, warm", "ms", _times(bus.scan, runs), "< 50 ms")
    first = [sys.executable, "-c", _FIRST_SCAN, str(root)]
    cold = [float(_said(first)) for _ in range(runs)]
    yield Figure("  the first scan of a new process, without its start", "ms", cold)
    shown = [LANEKEEPER, "host", "show", "--json", "--root", str(root)]
    told = "host show --json of the same tree, whole program"
    yield Figure(told, "ms", _times(partial(_run, shown), runs))
    examine = partial(_examine, root)
    yield Figure("host check of 1,024 functions", "ms", _times(examine, runs))
    if lspci := shutil.which("lspci"):
        for options in (["-n"], ["-n", "-v", "-k"], ["-vmmnn"]):
            command = [lspci, "-O", f"sysfs.path={root}/sys/bus/pci", "-D", *options]
            what = f"lspci -D {' '.join(options)} of the same tree, whole program"
            yield Figure(what, "ms", _times(partial(_run, command), runs))
            what = f"  host show --json to lspci {' '.join(options)}, one after the other"
            yield Figure(what, "times", _ratios(shown, command, runs))
    else:
        print("  lspci is not installed (Debian's package pciutils)")
    yield from _libvirt(runs)
    yield from _plans(home, runs)


def _plans(home: Path, runs: int) -> Iterator[Figure]:
    machine = home / "simulated"
    command = [LANEKEEPER, "host", "plan", "--simulate", str(machine), "--policy", str(_POLICY)]
    apply = [*command[:2], "apply", *command[3:]]
    subprocess.run(apply, check=True, capture_output=True)
    policy = read_policy(_POLICY)

    def nothing_to_do() -> None:
        assert plan(policy, read_host(machine, LANEKEEPER)).is_empty

    yield Figure("host plan with nothing to do", "ms", _times(nothing_to_do, runs), "< 100 ms")
    yield Figure(
        "  as a program, with the start of Python", "ms", _times(partial(_run, command), runs)
    )


def _libvirt(runs: int) -> Iterator[Figure]:
    """List this machine's devices by libvirt, which cannot be given another tree."""
    virsh = shutil.which("virsh")
    if virsh is None:
        print("  virsh is not installed (Debian's package libvirt-clients)")
        return
    command = [virsh, "--readonly", "--connect", "qemu:///system", "nodedev-list", "--tree"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        why = answer.stderr.strip().partition("\n")[0]
        print(f"  virsh nodedev-list --tree is not measured: {why}")
        return
    count = sum(bool(line.strip(" |")) for line in answer.stdout.splitlines())
    what = f"virsh nodedev-list --tree of this machine's {count} devices, whole program"
    yield Figure(what, "ms", _times(partial(_run, command), runs))


def _said(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _examine(root: Path) -> None:
    check(read_survey(root))


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _times(act: Callable[[], object], runs: int) -> list[float]:
    for _ in range(_WARM_UPS):
        act()
    samples = []
    for _ in range(runs):
        started = time.perf_counter()
        act()
        samples.append(1000 * (time.perf_counter() - started))
    return samples


def _ratios(command: list[str], peer: list[str], runs: int) -> list[float]:
    """Run both in turn, so that what else the machine does falls on both."""
    samples = []
    for _ in range(runs):
        started = time.perf_counter()
        _run(command)
        between = time.perf_counter()
        _run(peer)
        samples.append((between - started) / (time.perf_counter() - between))
    return samples


def _plant(root: Path) -> None:
    """Make a tree of network cards as sysfs shows them: each PF on a bus of its own."""
    devices = root / "sys/bus/pci/devices"
    for number in range(_CARDS):
        bus = f"0000:{0x20 + number:02x}"
        vfs = [f"{bus}:{1 + vf // 8:02x}.{vf % 8}" for vf in range(_VFS)]
        pf = f"{bus}:00.0"
        _function(devices / pf, 0x1572, group=100 * number)
        (devices / pf / "net" / f"ens{number}").mkdir(parents=True)
        (devices / pf / "net" / f"ens{number}" / "address").write_text("52:54:00:00:00:01\n")
        (devices / pf / "sriov_totalvfs").write_text(f"{_VFS}\n")
        (devices / pf / "sriov_numvfs").write_text(f"{_VFS}\n")
        for index, vf in enumerate(vfs):
            _function(devices / vf, 0x154C, group=100 * number + 1 + index)
            (devices / vf / "physfn").symlink_to(f"../{pf}")
            (devices / pf / f"virtfn{index}").symlink_to(f"../{vf}")


def _function(home: Path, product_id: int, group: int) -> None:
    home.mkdir(parents=True)
    name = home.name
    texts = {
        "vendor": "0x8086",
        "device": f"0x{product_id:04x}",
        "class": "0x020000",
        "revision": "0x02",
        "irq": "0",
        "numa_node": "0",
        "resource": "\n".join(["0x0000000000000000 0x0000000000000000 0x0000000000000000"] * 7),
        "uevent": f"PCI_CLASS=20000\nPCI_ID=8086:{product_id:04X}\nPCI_SLOT_NAME={name}",
    }
    for attribute, text in texts.items():
        (home / attribute).write_text(f"{text}\n")
    head = (0x8086).to_bytes(2, "little") + product_id.to_bytes(2, "little") + bytes(4)
    head += bytes([2, 0, 0, 2])  # revision, then the class from its lowest byte
    (home / "config").write_bytes(head.ljust(_CONFIG_BYTES, b"\0"))
    (home / "iommu_group").symlink_to(f"../../../../kernel/iommu_groups/{group}")
    (home / "driver").symlink_to("../../../bus/pci/drivers/i40e")
