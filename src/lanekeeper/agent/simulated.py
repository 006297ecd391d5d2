"""Hosts that do not exist, with agents that do: threads that talk HTTP as any agent does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread

import structlog

from lanekeeper.agent.client import Client
from lanekeeper.agent.compose import Timing, compose
from lanekeeper.agent.enrolment import client_of, enrol
from lanekeeper.agent.loop import Agent
from lanekeeper.agent.policy import Policy
from lanekeeper.agent.senses import refuse_contradictions
from lanekeeper.agent.state_dir import StateDir
from lanekeeper.domain.errors import Conflict
from lanekeeper.host.simulated import SimulatedMachine
from lanekeeper.host.simulated_shared import planted
from lanekeeper.hypervisor.simulated import SimulatedHypervisor
from lanekeeper.hypervisor.simulated_flow_table import SimulatedFlowTable

log = structlog.get_logger()


class RunningHost:
    """One agent that runs on a thread of this process."""

    def __init__(self, name: str, agent: Agent, client: Client) -> None:
        self.name = name
        self._agent = agent
        self._client = client
        self._thread = Thread(target=self._run, name=f"agent-{name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._agent.run()
        except Conflict as error:  # the program serves the others, and nothing more is given here
            log.warning("agent end", host=self.name, error=str(error), hint=error.hint)

    def check(self, policy: Policy) -> None:
        """As ``Agent.check``."""
        self._agent.check(policy)

    def obey(self, policy: Policy) -> None:
        """As ``Agent.obey``."""
        self._agent.obey(policy)

    def stop(self) -> None:
        """Ask the agent to end; its guests stay, as records in its directory."""
        self._agent.stop()

    def join(self) -> None:
        """Wait until it has ended."""
        self._thread.join()
        self._client.close()


def host_names(count: int) -> tuple[str, ...]:
    """Name *count* simulated hosts: sim-1, sim-2, ..."""
    return tuple(f"sim-{number}" for number in range(1, count + 1))


def run_simulated(
    names: Sequence[str],
    controller_url: str,
    token: Callable[[str], str],
    state_dir: Path,
    policy: Policy,
    *,
    tree: str | None = None,
    timing: Timing | None = None,
) -> list[RunningHost]:
    """Start an agent for each name, below *state_dir*; those known there go on where they were.

    Args:
        names: host names.
        controller_url: where the controller answers already.
        token: returns a one-time enrolment token for a host name; asked only for new hosts.
        state_dir: holds one directory a host.
        policy: the same for all of them.
        tree: text of a captured machine; None is the lab's host after its policy.
        timing: how patient they are.

    Raises:
        Error: as ``enrol`` does.
    """
    hosts = []
    for name in names:
        state = StateDir(state_dir / name)
        if not state.is_enrolled():
            enrol(state, controller_url, token(name), name)
        state.follow(controller_url)  # which may listen on another port than at the last start
        agent, client = simulated_agent(state, policy, tree=tree, timing=timing)
        hosts.append(RunningHost(name, agent, client))
    return hosts


def simulated_agent(
    state: StateDir, policy: Policy, *, tree: str | None = None, timing: Timing | None = None
) -> tuple[Agent, Client]:
    """Return the agent of a simulated, enrolled host, and its client, which outlives it."""
    home = planted(state.path / "machine", tree, state.enrolled().host_name)
    machine = SimulatedMachine(home)
    hypervisor = SimulatedHypervisor(state.simulated_guests, machine)
    refuse_contradictions(machine, policy, hypervisor)
    client = client_of(state)
    flow_table = SimulatedFlowTable(state.path / "flows.json", hypervisor)
    agent = compose(
        state,
        client,
        machine,
        hypervisor,
        policy,
        management=machine.management,
        timing=timing,
        flow_table=flow_table,
    )
    return agent, client
