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
from bench.pci_tree import plant_card
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
    """Make a tree of network cards, each PF on a bus of its own."""
    for number in range(_CARDS):
        plant_card(root, 0x20 + number, f"ens{number}", _VFS, group=100 * number)
