"""Putting one host's agent together."""

from __future__ import annotations

from dataclasses import dataclass

from lanekeeper.agent.cleaning import Cleaner, EraseNvme, RunHook
from lanekeeper.agent.client import Client
from lanekeeper.agent.dhcp import DhcpThread, Settle
from lanekeeper.agent.driver_record import DriverRecord
from lanekeeper.agent.image_sweep import ImageSweep
from lanekeeper.agent.ledger import FIRST_WAIT_S
from lanekeeper.agent.loop import LOOK_EVERY_S, Agent, Parts
from lanekeeper.agent.orders import POLL_S, Orders
from lanekeeper.agent.policy import Policy
from lanekeeper.agent.port_guards import PortGuards
from lanekeeper.agent.reporter import Reporter
from lanekeeper.agent.senses import Interfaces, Senses, no_interfaces
from lanekeeper.agent.shared_cards import SharedCards
from lanekeeper.agent.state_dir import StateDir
from lanekeeper.agent.uplinks import EVERY_S, Uplinks
from lanekeeper.agent.workshop import SHUTDOWN_WAIT_S, Workshop
from lanekeeper.clock import Stopwatch, monotonic
from lanekeeper.host.bus_reset import ResetBus
from lanekeeper.host.flow_table import FlowTable, NoFlowTable
from lanekeeper.host.machine import Machine
from lanekeeper.hypervisor.driver import Hypervisor
from lanekeeper.hypervisor.guest_files import GuestDirectories
from lanekeeper.hypervisor.images import ImageCache


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How patient an agent is, in seconds."""

    poll_s: int = POLL_S
    look_every_s: float = LOOK_EVERY_S
    retry_first_s: float = FIRST_WAIT_S
    shutdown_wait_s: float = SHUTDOWN_WAIT_S
    uplinks_every_s: float = EVERY_S
    stopwatch: Stopwatch = monotonic


def compose(
    state: StateDir,
    client: Client,
    machine: Machine,
    hypervisor: Hypervisor,
    policy: Policy,
    *,
    management: Interfaces = no_interfaces,
    timing: Timing | None = None,
    run_hook: RunHook | None = None,
    erase_nvme: EraseNvme | None = None,
    reset_bus: ResetBus | None = None,
    flow_table: FlowTable | None = None,
    dhcp: Settle | None = None,
) -> Agent:
    """Return the agent of the enrolled host whose directory is *state*; it does nothing yet.

    Without *run_hook* the operator's cleaning hooks are noted and not run, without *erase_nvme* no
    drive is erased, without *reset_bus* no bus is reset, without *flow_table* no port of a virtual
    switch can be guarded, without *dhcp* no guest has DHCP.
    """
    timing = timing or Timing()
    directories = GuestDirectories(state.servers)
    drivers = DriverRecord(state.path / "drivers.json")
    host_name = state.enrolled().host_name
    images = ImageCache(state.images, client.image)
    guards = PortGuards(flow_table or NoFlowTable(), state.path / "zones.json")
    parts = Parts(
        host_name=host_name,
        orders=Orders(client, state, timing.poll_s),
        reporter=Reporter(client, directories, host_name),
        senses=Senses(machine, hypervisor, directories, policy, management),
        shop=Workshop(
            machine=machine,
            hypervisor=hypervisor,
            directories=directories,
            images=images,
            drivers=drivers,
            guards=guards,
            stopwatch=timing.stopwatch,
            shutdown_wait_s=timing.shutdown_wait_s,
        ),
        cleaner=Cleaner(
            machine,
            hypervisor,
            drivers,
            timing.stopwatch,
            run_hook=run_hook,
            erase_nvme=erase_nvme,
            reset_bus=reset_bus,
        ),
        sweep=ImageSweep(images, directories, hypervisor, timing.stopwatch),
        shared=SharedCards(machine, state.path / "forwarding.json"),
        dhcp=DhcpThread(dhcp, host_name),
        uplinks=Uplinks(machine, timing.stopwatch, timing.uplinks_every_s),
        stopwatch=timing.stopwatch,
        look_every_s=timing.look_every_s,
        retry_first_s=timing.retry_first_s,
    )
    return Agent(parts)
