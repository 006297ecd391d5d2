"""Nova's filters, pools and NUMA fit called as a library, and ours on the same hosts.

Nova is not among what ``./dev setup`` installs: ``python3 -m venv .venv-nova && .venv-nova/bin/pip
install nova``. ``bench/nova_filters.py`` runs there. Both sides say how many hosts fit, and the
measurement stops where they differ.
"""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from bench.figure import Figure
from lanekeeper.domain.pci.alias import Alias, NumaPolicy
from lanekeeper.domain.pci.device import DeviceType
from lanekeeper.domain.pci.request import Offered, flavor_requests
from lanekeeper.domain.scheduling.filter import DEVICES, FILTERS, NUMA
from lanekeeper.domain.scheduling.fit import fit_devices
from lanekeeper.domain.scheduling.fleet import Fleet
from lanekeeper.domain.scheduling.host import (
    DeviceNeed,
    HostDevice,
    HostView,
    ServerRequest,
    Standing,
    Stock,
)
from lanekeeper.domain.scheduling.place import place
from lanekeeper.domain.scheduling.selection import select_hosts
from lanekeeper.domain.scheduling.shortfall import Shortfall
from lanekeeper.domain.topology.cell import MEMORY, VCPUS, Amount, HostCell
from lanekeeper.domain.topology.guest_spec import guest_topology
from placement_servers import PEER_BIN

_CARDS, _VFS, _CPUS, _MEMORY_MIB = 2, 7, 8, 65536
_REPEAT = 200
_WITHIN_S = 1800
_ALIAS = {"name": "a1", "vendor_id": "8086", "product_id": "10ca", "device_type": "type-VF"}


@dataclass(frozen=True, slots=True)
class Asked:
    what: str
    count: int
    policy: str = "legacy"
    pinned: bool = False


_QUESTIONS = (
    Asked("one VF", 1),
    Asked("more VFs than any host has", _CARDS * _VFS + 1),
    Asked("4 pinned CPUs and 2 VFs on their node", 2, "required", pinned=True),
)


def measure(
    home: Path, runs: int, hosts: Sequence[int], plot: Path | None, nova: Path
) -> Iterator[str]:
    """For each number of hosts, then one host."""
    if not nova.exists():
        yield f"  no {nova}: python3 -m venv .venv-nova && .venv-nova/bin/pip install nova"
        return
    drawn: list[Mapping[str, Any]] = []
    for number in hosts:
        dice = random.Random(number)
        held = [[dice.randint(0, _VFS) for _ in range(_CARDS)] for _ in range(number)]
        theirs = _nova(nova, held, runs)
        fleet = Fleet.of(_host(place, some) for place, some in enumerate(held))
        yield f"\n  {number:,} hosts"
        for question, told in zip(_QUESTIONS, theirs["questions"], strict=True):
            request = _request(question)
            ours = _samples(partial(_choose, request, fleet), runs, told["found"])
            each = _samples(partial(_each, request, fleet), runs, told["found"])
            yield from _lines(question.what, told, ours, each)
            ms = {"Nova": median(told["ms"]), "Lanekeeper": median(ours)}
            ms["Lanekeeper, host by host"] = median(each)
            drawn.append({"hosts": number, "what": question.what, "ms": ms, "bound_ms": {}})
    yield "\n  one host with all of it free"
    yield from _one_host(theirs["fit_us"])
    if plot is not None:
        command = [str(PEER_BIN / "python"), str(Path(__file__).with_name("plot.py")), str(plot)]
        subprocess.run(command, input=json.dumps(drawn), text=True, check=True)
        yield f"  drawn: {plot}"


def _nova(python: Path, held: Sequence[Sequence[int]], runs: int) -> Mapping[str, Any]:
    asked = {
        "held": held,
        "runs": runs,
        "repeat": _REPEAT,
        "questions": [
            {"count": one.count, "policy": one.policy, "pinned": one.pinned} for one in _QUESTIONS
        ],
    }
    ended = subprocess.run(
        [str(python), str(Path(__file__).with_name("nova_filters.py"))],
        input=json.dumps(asked),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=_WITHIN_S,
    )
    told: Mapping[str, Any] = json.loads(ended.stdout)
    return told


def _lines(
    what: str, told: Mapping[str, Any], ours: Sequence[float], each: Sequence[float]
) -> Iterator[str]:
    yield f"  {what}: {told['found']} fit"
    yield f"  {Figure('    Nova, both filters', 'ms CPU', told['ms'])}"
    for name, samples in (("the decision", ours), ("host by host, nothing remembered", each)):
        ratio = median(told["ms"]) / median(samples)
        yield f"  {Figure(f'    Lanekeeper, {name}', 'ms CPU', samples)}; {ratio:,.0f} times less"


def _host(number: int, held: Sequence[int]) -> HostView:
    """What ``nova_filters.host`` makes: a card of seven VFs on each of two nodes."""
    return HostView(
        id=str(number),
        name=f"h{number}",
        stocks={name: Stock(10**6) for name in ("VCPU", "PCPU", "MEMORY_MB", "DISK_GB")},
        devices=tuple(
            HostDevice(
                id=f"{number}-{card}-{vf}",
                address=f"0000:{card + 1:02x}:10.{vf}",
                offered=_OFFERED,
                standing=Standing.HELD if vf < taken else Standing.FREE,
                pf_id=f"{number}-{card}",
                parts_held=taken,
                numa_node=card,
            )
            for card, taken in enumerate(held)
            for vf in range(_VFS)
        ),
        cells=tuple(
            HostCell(
                id=node,
                socket=node,
                dedicated=frozenset(range(node * _CPUS, (node + 1) * _CPUS)),
                amounts={VCPUS: Amount(0, 0), MEMORY: Amount(_MEMORY_MIB, _MEMORY_MIB)},
            )
            for node in range(_CARDS)
        ),
    )


_OFFERED = Offered.from_text("8086", "10ca", DeviceType.VF, {})


def _request(asked: Asked) -> ServerRequest:
    requests = flavor_requests(
        (Alias.parse(_ALIAS),), f"a1:{asked.count}", NumaPolicy(asked.policy)
    )
    specs = {"hw:cpu_policy": "dedicated"} if asked.pinned else {}
    return ServerRequest(
        vcpus=4,
        ram_mib=4096,
        disk_gib=1,
        needs=(DeviceNeed(id="a1", name="alias a1", request=requests[0]),),
        topology=guest_topology(4, 4096, specs, {}),
    )


def _choose(request: ServerRequest, fleet: Fleet) -> int:
    """The decision as a creation makes it, but that every host is asked."""
    return select_hosts(request, fleet, FILTERS, whole=True).fitting


def _each(request: ServerRequest, fleet: Fleet) -> int:
    """The two filters that Nova's stand for, asked of each host as if it were the only one."""
    return sum(
        DEVICES.why(request, view) is None and NUMA.why(request, view) is None
        for view in fleet.views
    )


def _samples(work: Callable[[], int], runs: int, expected: int) -> list[float]:
    samples = []
    for _ in range(runs):
        began = time.process_time()
        found = work()
        samples.append(1000 * (time.process_time() - began))
        assert found == expected, f"Nova has {expected} hosts, and here are {found}"
    return samples


def _one_host(theirs: Mapping[str, float]) -> Iterator[str]:
    view = _host(0, [0] * _CARDS)
    plain = _request(Asked("", 2))
    near = _request(Asked("", 2, "required", pinned=True))

    def devices() -> object:
        return fit_devices(plain.needs, view.devices)

    def seat() -> object:
        return place(near, view)

    whole = theirs["support"] + theirs["consume"]
    for what, nova_us, work in (
        ("2 VFs: support_requests and consume_requests / fit_devices", whole, devices),
        ("4 pinned CPUs and 2 near VFs: numa_fit_instance_to_host / place", theirs["seat"], seat),
    ):
        assert not isinstance(work(), Shortfall)
        began = time.process_time()
        for _ in range(_REPEAT):
            work()
        ours_us = 1e6 * (time.process_time() - began) / _REPEAT
        ratio = nova_us / ours_us
        yield f"  {what}: {nova_us:,.0f} / {ours_us:,.0f} µs CPU, {ratio:,.1f} times less"
