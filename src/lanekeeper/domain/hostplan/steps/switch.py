"""Steps that tell Open vSwitch what to do with cards, and which ports are its own."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan.action import (
    AddBridge,
    AddPort,
    MovePort,
    RemoveBridge,
    RemovePort,
    SetSwitch,
)
from lanekeeper.domain.hostplan.choice import Chosen
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.offload import OVS_SETTINGS, Ovs
from lanekeeper.domain.hostplan.policy.pf import PfAllow, PfPolicy
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.step import Impact, Refusal, Step
from lanekeeper.domain.hostplan.steps import vf
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
    address, why = str(pf.address), f"ovs_bridge is {bridge}"
    for index in (None, *range(entry.vfs)):
        name = pf.netdev if index is None else host.representors.get((pf.address, index))
        now = _bridge_of(name, ovs)
        if name is not None and now not in (None, bridge):
            do = MovePort(str(now), bridge, name, address, index)
            back = MovePort(bridge, str(now), name, address, index)
            yield Step(do, (back,), why, Impact.MOVED, tuple(_held(pf, index, host)))
        elif now is None:
            add, undo = AddPort(bridge, address, index), RemovePort(bridge, address, index)
            if index is None:
                yield Step(add, (undo,), why, Impact.LINK, tuple(_held(pf, None, host)))
            else:
                yield Step(add, (undo,), why)


def _bridge_of(port: str | None, ovs: Ovs) -> str | None:
    return next((bridge for bridge, ports in ovs.bridges.items() if port in ports), None)


def _held(pf: PciDevice, index: int | None, host: HostFacts) -> Iterator[str]:
    """Name the VFs in guests whose frames go through the representor of VF *index*, or the PF."""
    for each in host.vfs_of(pf.address):
        if index in (None, each.vf_index) and each.address in host.holders:
            yield vf.named(each, host)


def switch_refusals(host: HostFacts, chosen: Chosen) -> Iterator[Refusal]:
    """Refuse to take ports from under guests that have the VFs, unless the entry allows it."""
    ovs = host.offload.ovs
    for entry, pf in chosen:
        if ovs is None or PfAllow.GUESTS in entry.allow:
            continue
        moved = [s for s in _port_steps(entry, pf, host, ovs) if isinstance(s.do, MovePort)]
        held = dict.fromkeys(name for step in moved for name in step.affects)
        if held:
            reason = (
                f"ports that move to bridge {entry.ovs_bridge} are of guests: {', '.join(held)}"
            )
            fix = "stop those guests, or migrate them away, first; allow: [guests] cuts them off"
            yield Refusal("vfs-in-use", f"{entry.path} ({pf.address})", reason, fix)


def switch_pending(policy: Policy, host: HostFacts, chosen: Chosen) -> Iterator[str]:
    """Say what waits for Open vSwitch itself."""
    wanted = policy.ovs.settings
    bridges = any(entry.ovs_bridge for entry, _ in chosen)
    ovs = host.offload.ovs
    if ovs is None:
        if wanted or bridges:
            lacking = host.offload.lacking(OVS_SETTINGS)
            waits = "its settings and bridges wait until it runs"
            yield f"Open vSwitch gives no answer; {waits}{lacking}"
        return
    for key in _RESTART & {key for key in wanted if ovs.settings.get(key) != wanted[key]}:
        yield f"{key} takes effect when Open vSwitch is restarted"
