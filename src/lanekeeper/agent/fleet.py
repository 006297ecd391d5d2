"""A part of a simulated fleet: many agents in one process, and what befalls their hosts.

The process that runs the fleet starts one of these for some of its hosts, and talks to it through
a pipe: a ``Mishap`` goes in, sentences for people come out. When the pipe ends, so does this.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from multiprocessing.connection import Connection
from pathlib import Path

from lanekeeper.agent.compose import Timing, compose
from lanekeeper.agent.enrolment import client_of, enrol
from lanekeeper.agent.line import SharedLine, SlowLine
from lanekeeper.agent.policy import Policy
from lanekeeper.agent.senses import refuse_contradictions
from lanekeeper.agent.simulated import RunningHost
from lanekeeper.agent.state_dir import StateDir
from lanekeeper.domain.errors import Error
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.domain.pci.listing import list_devices
from lanekeeper.host.simulated_mishap import cut_link, mend, take_away
from lanekeeper.host.simulated_shared import Pattern, SharedMachine
from lanekeeper.hypervisor.simulated import SimulatedHypervisor
from lanekeeper.hypervisor.simulated_flow_table import SimulatedFlowTable

TIMING = Timing(look_every_s=60.0, uplinks_every_s=60.0)
"""A fleet's agents look less often than a real one, at uplinks too: nothing changes without their
knowing, and thousands of them share a machine."""
READY = "ready"
"""The word with which a part says that all of its agents run."""
_TOLD_WITHIN_S = 120.0
_SLOW_S = 5.0


class Kind(StrEnum):
    """What may befall a fleet."""

    KILL = "kill"
    VANISH = "vanish"
    LINK = "link"
    SLOW = "slow"


@dataclass(frozen=True, slots=True)
class Mishap:
    """Something that befalls *host* for *lasts_s* seconds; *chance* picks the device."""

    kind: Kind
    host: str
    lasts_s: float
    chance: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Which hosts a process has.

    Attributes:
        patterns: the planted machine that each host, by name, is like.
        tokens: one-time enrolment tokens of those hosts that are new.
        hosts_dir: has a directory for each host.
        authority: the controller's CA, PEM; None for plain HTTP.
        starters: how many agents are started at a time.
    """

    patterns: Mapping[str, Path]
    tokens: Mapping[str, str]
    hosts_dir: Path
    controller: str
    policy: Policy
    authority: str | None = None
    starters: int = 1


@dataclass(frozen=True, slots=True)
class _Host:
    running: RunningHost
    machine: SharedMachine
    line: SlowLine


def serve(part: Part, pipe: Connection) -> None:
    """Run the agents of *part* until *pipe* ends; its other end decides, whatever signals come."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    shared = SharedLine(part.authority)
    try:
        hosts = _started(part, shared)
    except Error as error:
        with suppress(BrokenPipeError):  # whoever started this has gone
            pipe.send(f"cannot start: {error}")
        sys.exit(1)
    with suppress(BrokenPipeError):
        pipe.send(READY)
        _Mishaps(hosts, part.policy, pipe).serve()
    os._exit(0)  # an agent may be killed anywhere, and hundreds would take long to part


def _started(part: Part, shared: SharedLine) -> dict[str, _Host]:
    patterns = {root: Pattern(root) for root in set(part.patterns.values())}
    for pattern in patterns.values():
        refuse_contradictions(pattern, part.policy)
    with ThreadPoolExecutor(part.starters) as pool:
        started = pool.map(
            lambda name: _start(part, name, patterns[part.patterns[name]], shared), part.patterns
        )
        return dict(zip(part.patterns, started, strict=True))


def _start(part: Part, name: str, pattern: Pattern, shared: SharedLine) -> _Host:
    state = StateDir(part.hosts_dir / name)
    if not state.is_enrolled():
        enrol(state, part.controller, part.tokens[name], name)
    state.follow(part.controller)
    machine = SharedMachine(pattern, state.path / "machine", name)
    if not machine.is_shared:
        mend(machine.own())  # whoever had something happen to it may have been killed
    hypervisor = SimulatedHypervisor(state.simulated_guests, machine)
    line = SlowLine(shared)
    client = client_of(state, line)
    flow_table = SimulatedFlowTable(state.path / "flows.json", hypervisor)
    agent = compose(
        state,
        client,
        machine,
        hypervisor,
        part.policy,
        management=machine.management,
        timing=TIMING,
        flow_table=flow_table,
    )
    started = _Host(RunningHost(name, agent, client), machine, line)
    line.told.wait(_TOLD_WITHIN_S)  # a host's first report is much work: the next one waits for it
    return started


class _Mishaps:
    """Has hosts suffer what comes through the pipe, each one thing at a time."""

    def __init__(self, hosts: Mapping[str, _Host], policy: Policy, pipe: Connection) -> None:
        self._hosts, self._policy, self._pipe = hosts, policy, pipe
        self._over_at: dict[str, float] = {}

    def serve(self) -> None:
        """Until the pipe ends; all hosts are well then."""
        try:
            while True:
                if self._pipe.poll(self._wait_s()):
                    mishap = self._pipe.recv()
                    if mishap.host not in self._over_at:
                        self._begin(mishap)
                now = time.monotonic()
                for name in [name for name, at in self._over_at.items() if at <= now]:
                    self._end(name)
                    self._pipe.send(f"{name} is well again")
        except (EOFError, OSError):  # its other end has gone
            for name in list(self._over_at):
                self._end(name)

    def _wait_s(self) -> float | None:
        if not self._over_at:
            return None
        return max(min(self._over_at.values()) - time.monotonic(), 0.0)

    def _begin(self, mishap: Mishap) -> None:
        befall = {Kind.VANISH: self._vanish, Kind.LINK: self._link, Kind.SLOW: self._slow}
        try:
            said = befall[mishap.kind](self._hosts[mishap.host], mishap)
        except Error as error:
            said = f"could not be done: {mishap.kind} of {mishap.host}: {error}"
        self._over_at[mishap.host] = time.monotonic() + mishap.lasts_s
        self._pipe.send(f"{said}, for {mishap.lasts_s:g} s")

    def _end(self, name: str) -> None:
        host = self._hosts[name]
        del self._over_at[name]
        host.line.delay_s = 0.0
        if not host.machine.is_shared:
            mend(host.machine.own())
        host.running.obey(self._policy)  # which has the agent look at once

    def _vanish(self, host: _Host, mishap: Mishap) -> str:
        devices = list_devices(self._policy.specs, host.machine.scan().devices).listed
        found = [one.device for one in devices if not one.device.num_vfs]
        if not found:
            return f"{mishap.host} has no listed device that could vanish"
        gone = _pick(found, mishap.chance).address
        take_away(host.machine.own(), gone)
        host.running.obey(self._policy)
        return f"{gone} of {mishap.host} vanishes"

    def _link(self, host: _Host, mishap: Mishap) -> str:
        cards = [one for one in host.machine.scan().devices if one.netdev and one.num_vfs]
        if not cards:
            return f"{mishap.host} has no card with VFs whose link could go"
        card = _pick(cards, mishap.chance)
        cut_link(host.machine.own(), card.address)
        host.running.obey(self._policy)
        return f"the link of {card.netdev} on {mishap.host} goes"

    def _slow(self, host: _Host, mishap: Mishap) -> str:
        host.line.delay_s = _SLOW_S
        return f"each word of the agent of {mishap.host} takes {_SLOW_S:g} s"


def _pick(things: Sequence[PciDevice], chance: float) -> PciDevice:
    return things[int(chance * len(things)) % len(things)]
