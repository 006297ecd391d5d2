"""Steps that give PFs their VFs, in the order that the kernel wants."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan.action import (
    Change,
    SetAutoprobe,
    SetEswitchMode,
    SetLink,
    SetVfCount,
)
from lanekeeper.domain.hostplan.choice import Chosen
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.offload import eswitch_question
from lanekeeper.domain.hostplan.policy.pf import PfPolicy
from lanekeeper.domain.hostplan.policy.vf import STABLE
from lanekeeper.domain.hostplan.step import Impact, Refusal, State, Step
from lanekeeper.domain.hostplan.steps import migration, vf
from lanekeeper.domain.hostplan.steps.purpose import is_network_card
from lanekeeper.domain.pci.device import PciDevice

_NETWORK = 0x02  # base class; PCI Code and ID Assignment Specification


def pf_refusals(host: HostFacts, chosen: Chosen) -> Iterator[Refusal]:
    """Refuse what the host cannot do, and what a guest would lose."""
    for entry, pf in chosen:
        subject = f"{entry.path} ({pf.address})"
        yield from _impossible(entry, pf, host, subject)
        if not any(pf_steps(entry, pf, host)):
            continue
        if pf.driver is None and pf.num_vfs != entry.vfs:
            reason = "the PF has no driver, so nothing can create VFs"
            yield Refusal("pf-without-driver", subject, reason, "load the driver of the PF")
        yield from _in_use(entry, pf, host, subject)


def mac_refusals(chosen: Chosen) -> Iterator[Refusal]:
    """Refuse one address for two functions: a switch would send frames to either."""
    holders = {pf.mac: f"the PF {pf.address}" for _, pf in chosen if pf.mac}
    for entry, pf in chosen:
        for index in range(entry.vfs):
            mac = entry.mac(pf, index)
            if mac is None:
                continue
            mine = f"VF {index} of {pf.address}"
            if mac in holders:
                reason = f"{mac} would be the address of {holders[mac]} and of {mine}"
                fix = "a first address from which the VFs count up into nobody's, or mac: stable"
                yield Refusal("mac-twice", entry.path, reason, fix)
                break
            holders[mac] = mine


def _impossible(entry: PfPolicy, pf: PciDevice, host: HostFacts, subject: str) -> Iterator[Refusal]:
    if entry.vfs > pf.total_vfs:
        reason = f"{entry.vfs} VFs asked, the PF can have {pf.total_vfs}"
        fix = f"at most vfs: {pf.total_vfs}"
        yield Refusal("vfs-above-total", subject, reason, fix)
    if entry.eswitch and pf.address not in host.offload.modes:
        reason = "the mode of its eswitch is not known"
        fix = f"`devlink dev eswitch show pci/{pf.address}` has to show it; drop eswitch else"
        fix += host.offload.lacking(eswitch_question(pf.address))
        yield Refusal("eswitch-unknown", subject, reason, fix)
    if entry.vfs and not is_network_card(pf) and (wanted := vf.settings_wanted(entry)):
        reason = (
            f"{pf.address} is no network card (class {pf.class_code:06x}): "
            f"its VFs have no {' and no '.join(wanted)}"
        )
        yield Refusal("not-a-network-card", subject, reason, f"drop {', '.join(wanted)}")
        return
    if any(wish.mac == STABLE for wish in entry.wishes) and pf.mac is None:
        reason = "mac is stable, but the PF has no address to make others of"
        yield Refusal("pf-without-mac", subject, reason, 'name a first address: mac: "02:…"')
    if not _is_fresh(entry, pf, host) and entry.vfs and vf.settings_unknown(entry, pf, host):
        reason = "what the PF holds for its VFs cannot be read, so it could not be given back"
        fix = "the PF needs its driver and an interface"
        yield Refusal("vf-settings-unknown", subject, reason, fix)
    yield from migration.migration_refusals(entry, pf, host)


def _in_use(entry: PfPolicy, pf: PciDevice, host: HostFacts, subject: str) -> Iterator[Refusal]:
    there = host.vfs_of(pf.address)
    busy = [vf.named(each, host) for each in there if vf.may_be_in_a_guest(each, host)]
    if busy and _is_fresh(entry, pf, host):
        reason = f"VFs on a VFIO driver may be in guests: {', '.join(busy)}"
        yield Refusal("vfs-in-use", subject, reason, "stop those guests first")
    if vf.may_be_in_a_guest(pf, host):
        reason = f"the PF itself may be in a guest: {vf.named(pf, host)} is on {pf.driver}"
        yield Refusal("pf-in-use", subject, reason, "stop that guest, give the PF its own driver")


def pf_steps(entry: PfPolicy, pf: PciDevice, host: HostFacts) -> Iterator[Step]:
    """Firmware, autoprobe, link, old VFs away, eswitch, new VFs, what they hold, their drivers.

    A driver of the host takes a VF's MAC from the PF when it begins. So the MAC is written while
    none has the VF, here as when this is taken back; where one has taken a new VF it begins anew.
    """
    address = str(pf.address)
    fresh = _is_fresh(entry, pf, host)
    yield from migration.firmware_steps(entry, pf, host)
    autoprobe = host.autoprobe.get(pf.address)
    if autoprobe is not None and autoprobe != entry.autoprobe:
        why = f"vf_driver is {entry.vf_driver}"
        do, undo = SetAutoprobe(address, entry.autoprobe), SetAutoprobe(address, autoprobe)
        yield Step(do, (undo,), why)
    yield from _link_steps(entry, pf, host)
    if fresh and pf.num_vfs:
        yield from _removal_steps(entry, pf, host)
    yield from _eswitch_steps(entry, pf, host)
    if fresh and entry.vfs:
        why = f"the policy says {entry.vfs}, there are {pf.num_vfs} of {pf.total_vfs}"
        if pf.num_vfs == entry.vfs:
            why = "the eswitch changes its mode only without VFs"
        none = SetVfCount(address, 0)
        impact = Impact.LINK if pf.class_code >> 16 == _NETWORK else Impact.NONE
        yield Step(SetVfCount(address, entry.vfs), (none,), why, impact, _traffic(pf, host))
    if fresh:
        yield from vf.setting_steps(entry, pf, host, fresh=True)
        yield from migration.migratable_steps(entry, pf, host, fresh=True)
        yield from vf.driver_steps(entry, pf, host, fresh=True)
        yield from vf.restart_steps(entry, pf)
        return
    yield from migration.migratable_steps(entry, pf, host, fresh=False)
    drivers = [*vf.driver_steps(entry, pf, host, fresh=False)]
    yield from (step for step in drivers if not vf.is_for_host(step))
    yield from vf.setting_steps(entry, pf, host, fresh=False)
    yield from (step for step in drivers if vf.is_for_host(step))


def pf_pending(entry: PfPolicy, pf: PciDevice, host: HostFacts) -> Iterator[str]:
    """Say what of *entry* waits for a reboot, or for guests to go."""
    fresh = _is_fresh(entry, pf, host)
    yield from vf.setting_pending(entry, pf, host)
    yield from migration.migration_pending(entry, pf, host, fresh=fresh)


def pf_states(entry: PfPolicy, pf: PciDevice, host: HostFacts) -> Iterator[State]:
    """Say what *pf* could have, is to have and has."""
    subject = str(pf.address)
    yield State(
        subject=subject,
        setting="VFs",
        capable=str(pf.total_vfs),
        requested=str(entry.vfs),
        active=str(pf.num_vfs),
    )
    if entry.eswitch:
        active = host.offload.modes.get(pf.address, "not known")
        yield State(subject=subject, setting="eswitch", requested=entry.eswitch, active=active)
    yield from migration.migration_states(entry, pf, host, fresh=_is_fresh(entry, pf, host))


def _is_fresh(entry: PfPolicy, pf: PciDevice, host: HostFacts) -> bool:
    """Whether all VFs are made anew: for their number, or since the eswitch takes another mode."""
    return pf.num_vfs != entry.vfs or (bool(pf.num_vfs) and _changes_mode(entry, pf, host))


def _changes_mode(entry: PfPolicy, pf: PciDevice, host: HostFacts) -> bool:
    return entry.eswitch is not None and host.offload.modes.get(pf.address) not in (
        None,
        entry.eswitch,
    )


def _link_steps(entry: PfPolicy, pf: PciDevice, host: HostFacts) -> Iterator[Step]:
    interface = host.link_of(pf)
    if entry.link_up and interface is not None and not interface.is_up:
        why = "VF drivers, in guests too, need the PF up"
        address = str(pf.address)
        yield Step(SetLink(address, up=True), (SetLink(address, up=False),), why, Impact.LINK)


def _removal_steps(entry: PfPolicy, pf: PciDevice, host: HostFacts) -> Iterator[Step]:
    there = host.vfs_of(pf.address)
    for each in there:
        if each.driver is not None:
            yield vf.driver_step(each, None, "this VF is about to go")
    why = "the kernel changes a number of VFs only through none"
    if pf.num_vfs == entry.vfs:
        why = "drivers change the mode of an eswitch only without VFs"
    undo = _vfs_as_before(entry, pf, host)
    do = SetVfCount(str(pf.address), 0)
    yield Step(
        do,
        undo,
        why,
        Impact.VFS_GONE,
        (*(vf.named(each, host) for each in there), *_traffic(pf, host)),
    )


def _vfs_as_before(entry: PfPolicy, pf: PciDevice, host: HostFacts) -> tuple[Change, ...]:
    """Create the old VFs with no driver; the undo of the steps before gives back what they had."""
    address = str(pf.address)
    again = (SetVfCount(address, pf.num_vfs), *vf.as_they_were(pf, host))
    if pf.address not in host.autoprobe:
        return again
    quiet, after = SetAutoprobe(address, enabled=False), SetAutoprobe(address, entry.autoprobe)
    return (quiet, *again, after)


def _eswitch_steps(entry: PfPolicy, pf: PciDevice, host: HostFacts) -> Iterator[Step]:
    if _changes_mode(entry, pf, host):
        now, address = host.offload.modes[pf.address], str(pf.address)
        undo = (SetEswitchMode(address, now),)
        why = f"the policy says {entry.eswitch}, it is {now}"
        yield Step(
            SetEswitchMode(address, str(entry.eswitch)), undo, why, Impact.LINK, _traffic(pf, host)
        )


def _traffic(pf: PciDevice, host: HostFacts) -> tuple[str, ...]:
    """Say what of the host's own traffic goes through *pf*."""
    return tuple(each.duty for each in host.interfaces_of(pf) if each.carries or each.doubt)
