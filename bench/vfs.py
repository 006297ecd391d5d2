"""Settings of VFs, set and looked after: Lanekeeper's agent against Neutron's SR-IOV agent.

Neutron is not among what ``./dev setup`` installs; ``scripts/setup --neutron`` makes its
environment. Both agents run their own code in a process of their own and ask ``bench.vf_kernel``,
which answers each request after the same pause. Both have to leave the same settings, or the
measurement stops.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.figure import Figure
from bench.pci_tree import plant_card
from bench.program import program

_ROOT = Path(__file__).parents[1]
_DELAY_S = 0.0001
_WHAT = {"apply": "set all that ports want", "look": "look again, nothing has changed"}
_COUNTS = ("messages", "reads of all VFs", "reads of the link", "writes", "dumps", "bytes")


@dataclass(frozen=True, slots=True)
class _Host:
    """Cards of a host; *counters* as the kernel tells of each VF where they are not declined."""

    pfs: int
    vfs: int
    counters: bool = True

    def __str__(self) -> str:
        cards = f"{self.pfs} PF{'s' * (self.pfs > 1)} of {self.vfs} VFs"
        return cards if self.counters else f"{cards}, which have no counters"


_HOSTS = (_Host(1, 64), _Host(4, 64), _Host(1, 256, counters=False))
"""With counters an answer for 256 VFs of one PF is longer than its length field can say."""


def measure(home: Path, runs: int, neutron: Path) -> Iterator[Figure | str]:
    """Rounds of both agents in turn, on cards of more and more VFs."""
    if not neutron.exists():
        yield f"no {neutron}: scripts/setup --neutron; without it ours alone is measured"
    for number, host in enumerate(_HOSTS):
        root = home / str(number)
        for pf in range(host.pfs):
            plant_card(root, 0x20 + 2 * pf, f"pf{pf}", host.vfs, group=1000 * pf)
            _name(root, pf)
        yield f"{host}"
        yield from _on(root, host, runs, neutron if neutron.exists() else None)


def _name(root: Path, pf: int) -> None:
    """Have the interface where Neutron looks for it, by the index that the kernel has."""
    there = root / "sys/bus/pci/devices" / f"0000:{0x20 + 2 * pf:02x}:00.0"
    (there / "net" / f"pf{pf}" / "ifindex").write_text(f"{10 + pf}\n")
    (root / "sys/class/net" / f"pf{pf}").mkdir(parents=True)
    (root / "sys/class/net" / f"pf{pf}" / "device").symlink_to(there)


def _on(root: Path, host: _Host, runs: int, neutron: Path | None) -> Iterator[Figure | str]:
    told: dict[str, list[Mapping[str, Any]]] = {}
    with ExitStack() as stack:
        counters = "counters" if host.counters else "none"
        kernel = [sys.executable, "-m", "bench.vf_kernel", *map(str, (host.pfs, host.vfs))]
        stand_in = stack.enter_context(
            program([*kernel, counters, str(_DELAY_S)], root / "kernel.log")
        )
        shared = [str(root), stand_in.line("ready "), str(host.pfs), str(host.vfs)]
        commands = {"ours": [sys.executable, "-m", "bench.our_vfs", *shared]}
        if neutron is not None:
            script = str(Path(__file__).with_name("neutron_vfs.py"))
            commands["Neutron's"] = [str(neutron), script, *shared]
        agents = {name: stack.enter_context(_Agent(one, root)) for name, one in commands.items()}
        for _ in range(runs):
            for name, agent in agents.items():
                told.setdefault(name, []).append(agent.round())
    _check_equal({name: rounds[-1]["vfs"] for name, rounds in told.items()})
    for key in _WHAT:
        yield from _figures(key, told)


def _figures(key: str, told: Mapping[str, list[Mapping[str, Any]]]) -> Iterator[Figure | str]:
    for name, rounds in told.items():
        what = f"{_WHAT[key]}, {name}"
        yield Figure(what, "ms CPU", [one[key]["cpu"] for one in rounds])
        yield Figure("  by the clock", "ms", [one[key]["wall"] for one in rounds])
        asked = rounds[-1][key]["asked"]
        yield "    " + ", ".join(f"{asked.get(one, 0):,} {one}" for one in _COUNTS)
    if len(told) > 1:
        ours, theirs = told.values()
        pairs = list(zip(ours, theirs, strict=True))
        for unit, said in (("cpu", "processor time"), ("wall", "time by the clock")):
            ratios = [their[key][unit] / our[key][unit] for our, their in pairs]
            yield Figure(f"  Neutron's {said} to ours", "times", ratios)


def _check_equal(left: Mapping[str, Any]) -> None:
    if len({json.dumps(one) for one in left.values()}) > 1:
        raise RuntimeError("the two agents left different settings behind")


class _Agent:
    """A process that does a round whenever it is told to."""

    def __init__(self, command: list[str], root: Path) -> None:
        path = os.pathsep.join([str(_ROOT / "src"), str(_ROOT)])
        self._log = root / "agent.log"
        with self._log.open("ab") as errors:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
            )

    def __enter__(self) -> _Agent:
        assert self._read() == "ready"
        return self

    def round(self) -> Mapping[str, Any]:
        """Raises RuntimeError: it ended; carries the end of its log."""
        assert self._child.stdin is not None
        self._child.stdin.write("round\n")
        self._child.stdin.flush()
        told: Mapping[str, Any] = json.loads(self._read())
        return told

    def __exit__(self, *_: object) -> None:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.close()
        self._child.wait(30)
        self._child.stdout.close()

    def _read(self) -> str:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError(f"an agent ended: {self._log.read_text()[-3000:]}")
        return line.strip()
