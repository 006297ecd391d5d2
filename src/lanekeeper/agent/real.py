"""The agent of the machine that this process runs on: its kernel, its libvirt."""

from __future__ import annotations

from functools import partial

from lanekeeper.agent.client import Client
from lanekeeper.agent.compose import compose
from lanekeeper.agent.dhcp import DhcpServers
from lanekeeper.agent.enrolment import client_of
from lanekeeper.agent.loop import Agent
from lanekeeper.agent.management import Management
from lanekeeper.agent.policy import Policy
from lanekeeper.agent.senses import refuse_contradictions
from lanekeeper.agent.state_dir import StateDir
from lanekeeper.domain.errors import Unavailable
from lanekeeper.host.actor import run_program
from lanekeeper.host.bus_reset import BusReset
from lanekeeper.host.dhcp_server import OvsPorts
from lanekeeper.host.flow_table import OvsFlowTable
from lanekeeper.host.hook import run_bounded, run_hook
from lanekeeper.host.linux import LinuxMachine
from lanekeeper.host.nvme import NvmeEraser
from lanekeeper.hypervisor.driver import Hypervisor

SYSTEM_URI = "qemu:///system"


def real_agent(
    state: StateDir, policy: Policy, *, libvirt_uri: str = SYSTEM_URI, kvm: bool | None = None
) -> tuple[Agent, Client]:
    """Return the agent of this machine, which is enrolled, and its client, which outlives it.

    Args:
        state: the agent's directory.
        policy: what may be touched.
        libvirt_uri: where libvirt is.
        kvm: whether guests are ``type='kvm'``; None asks libvirt.

    Raises:
        Invalid: the host is not enrolled, or its configuration contradicts itself.
        Unavailable: libvirt, or its Python binding, is not there.
    """
    machine = LinuxMachine()
    refuse_contradictions(machine, policy)
    client = client_of(state)
    hypervisor = _libvirt(state, libvirt_uri, kvm)
    dhcp = DhcpServers(state.path / "dhcp", state.enrolled().host_name, OvsPorts(run_program))
    agent = compose(
        state,
        client,
        machine,
        hypervisor,
        policy,
        management=Management(client.url),
        run_hook=run_hook,
        erase_nvme=NvmeEraser(partial(run_bounded, errors_apart=True), machine.bind).erase,
        reset_bus=BusReset(),
        flow_table=OvsFlowTable(),
        dhcp=dhcp.settle,
    )
    return agent, client


def _libvirt(state: StateDir, uri: str, kvm: bool | None) -> Hypervisor:
    """Connect at once: an agent that cannot have a guest should say so, not serve in vain."""
    try:
        from lanekeeper.hypervisor.libvirt.connection import Connection
        from lanekeeper.hypervisor.libvirt.guests import LibvirtHypervisor
    except ImportError as error:
        raise Unavailable(
            f"libvirt's Python binding is missing: {error}",
            hint="pip install 'lanekeeper[libvirt]', or try --simulate",
        ) from error
    connection = Connection(uri)
    connection.get()
    return LibvirtHypervisor(connection, state.servers, kvm=kvm)
