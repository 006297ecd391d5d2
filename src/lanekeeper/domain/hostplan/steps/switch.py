"""Steps that tell Open vSwitch what to do with cards, and which ports are its own."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan.action import (
    AddBridge,
    AddPort,
    RemoveBridge,
    RemovePort,
    SetSwitch,
)
from lanekeeper.domain.hostplan.choice import Chosen
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.offload import Ovs
from lanekeeper.domain.hostplan.policy.pf import PfPolicy
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.step import Impact, Step
from lanekeeper.domain.pci.device import PciDevice

_RESTART = frozenset({"hw-offload"})  # ovs-vswitchd.conf.db(5)


def switch_steps(policy: Policy, host: HostFacts, chosen: Chosen) -> Iterator[Step]:
    """Set what differs, make bridges, add ports; nothing while Open vSwitch does not run."""
    ovs = host.offload.ovs
    if ovs is None:
        return
    for key, value in policy.ovs.settings.items():
        now = ovs.settings.get(key)
        if now != value:
            why = f"the policy says {value}, it is {now or 'not set'}"
            yield Step(SetSwitch(key, value), (SetSwitch(key, now),), why)
    bridges = {entry.ovs_bridge for entry, _ in chosen if entry.ovs_bridge}
    for bridge in sorted(bridges - set(ovs.bridges)):
        undo = (RemoveBridge(bridge),)
        yield Step(AddBridge(bridge), undo, "in switchdev mode VFs reach the wire through it")
    for entry, pf in chosen:
        yield from _port_steps(entry, pf, host, ovs)


def _port_steps(entry: PfPolicy, pf: PciDevice, host: HostFacts, ovs: Ovs) -> Iterator[Step]:
    bridge = entry.ovs_bridge
    if bridge is None:
        return
    ports = ovs.bridges.get(bridge, ())
    address = str(pf.address)
    for index in (None, *range(entry.vfs)):
        name = pf.netdev if index is None else host.representors.get((pf.address, index))
        if name is None or name not in ports:
            do, undo = AddPort(bridge, address, index), RemovePort(bridge, address, index)
            impact = Impact.LINK if index is None else Impact.NONE
            yield Step(do, (undo,), f"ovs_bridge is {bridge}", impact)


def switch_pending(policy: Policy, host: HostFacts, chosen: Chosen) -> Iterator[str]:
    """Say what waits for Open vSwitch itself."""
    wanted = policy.ovs.settings
    bridges = any(entry.ovs_bridge for entry, _ in chosen)
    ovs = host.offload.ovs
    if ovs is None:
        if wanted or bridges:
            yield "Open vSwitch gives no answer; its settings and bridges wait until it runs"
        return
    for key in _RESTART & {key for key in wanted if ovs.settings.get(key) != wanted[key]}:
        yield f"{key} takes effect when Open vSwitch is restarted"
