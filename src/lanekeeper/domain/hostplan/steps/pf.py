"""Steps that give PFs their VFs, and VFs their drivers, in the order that the kernel wants."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan.action import BindVf, Change, SetAutoprobe, SetLink, SetVfCount
from lanekeeper.domain.hostplan.choice import Chosen
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.pf import PfPolicy
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.step import Impact, Refusal, Step
from lanekeeper.domain.pci.device import PciDevice


def pf_refusals(policy: Policy, host: HostFacts, chosen: Chosen) -> Iterator[Refusal]:
    """Refuse what the host cannot do, what a guest would lose, and what may cut the host off."""
    for entry, pf in chosen:
        subject = f"{entry.path} ({pf.address})"
        if entry.vfs > pf.total_vfs:
            reason = f"{entry.vfs} VFs asked, the PF can have {pf.total_vfs}"
            fix = f"at most vfs: {pf.total_vfs}"
            yield Refusal("vfs-above-total", subject, reason, fix)
        if not any(pf_steps(entry, pf, host)):
            continue
        interface = host.interface_of(pf.address)
        if interface and interface.is_management and not policy.manage_management:
            reason = f"{interface.name} carries {' and '.join(interface.carries)}"
            fix = "manage_management: true allows it"
            yield Refusal("management-nic", subject, reason, fix)
        if pf.driver is None and pf.num_vfs != entry.vfs:
            reason = "the PF has no driver, so nothing can create VFs"
            yield Refusal("pf-without-driver", subject, reason, "load the driver of the PF")
        busy = [str(vf.address) for vf in host.vfs_of(pf.address) if _may_be_in_a_guest(vf)]
        if busy and pf.num_vfs != entry.vfs:
            reason = f"VFs on a VFIO driver may be in guests: {', '.join(busy)}"
            yield Refusal("vfs-in-use", subject, reason, "stop those guests first")


def _may_be_in_a_guest(vf: PciDevice) -> bool:
    return vf.driver is not None and "vfio" in vf.driver


def pf_steps(entry: PfPolicy, pf: PciDevice, host: HostFacts) -> Iterator[Step]:
    """Autoprobe, link, old VFs away, new VFs, their drivers: in the order the kernel wants."""
    address = str(pf.address)
    interface = host.interface_of(pf.address)
    autoprobe = host.autoprobe.get(pf.address)
    if autoprobe is not None and autoprobe != entry.autoprobe:
        why = f"vf_driver is {entry.vf_driver}"
        do, undo = SetAutoprobe(address, entry.autoprobe), SetAutoprobe(address, autoprobe)
        yield Step(do, (undo,), why)
    if entry.link_up and interface is not None and not interface.is_up:
        why = "VF drivers, in guests too, need the PF up"
        yield Step(SetLink(address, up=True), (SetLink(address, up=False),), why, Impact.LINK)
    if pf.num_vfs != entry.vfs:
        yield from _count_steps(entry, pf, host)
    yield from _driver_steps(entry, pf, host)


def _count_steps(entry: PfPolicy, pf: PciDevice, host: HostFacts) -> Iterator[Step]:
    address = str(pf.address)
    if pf.num_vfs:
        for vf in host.vfs_of(pf.address):
            if vf.driver is not None:
                yield _driver_step(vf, None, "this VF is about to go")
        why = "the kernel changes a number of VFs only through none"
        undo = _vfs_as_before(entry, pf, host)
        yield Step(SetVfCount(address, 0), undo, why, Impact.VFS_GONE)
    if entry.vfs:
        why = f"the policy says {entry.vfs}, there are {pf.num_vfs} of {pf.total_vfs}"
        none = SetVfCount(address, 0)
        yield Step(SetVfCount(address, entry.vfs), (none,), why, Impact.LINK)


def _vfs_as_before(entry: PfPolicy, pf: PciDevice, host: HostFacts) -> tuple[Change, ...]:
    """Create the old VFs with no driver; the undo of the steps before gives back what they had."""
    address = str(pf.address)
    again = SetVfCount(address, pf.num_vfs)
    if pf.address not in host.autoprobe:
        return (again,)
    quiet, after = SetAutoprobe(address, enabled=False), SetAutoprobe(address, entry.autoprobe)
    return (quiet, again, after)


def _driver_steps(entry: PfPolicy, pf: PciDevice, host: HostFacts) -> Iterator[Step]:
    """Give VFs the driver that is named, or none; one in a guest is left where it is."""
    if entry.autoprobe:
        return
    wanted, why = entry.named_driver, f"vf_driver is {entry.vf_driver}"
    if pf.num_vfs != entry.vfs:
        for index in range(entry.vfs if wanted else 0):
            undo = BindVf(str(pf.address), index, None)
            yield Step(BindVf(str(pf.address), index, wanted), (undo,), why)
        return
    for vf in host.vfs_of(pf.address):
        if vf.driver != wanted and not _may_be_in_a_guest(vf):
            yield _driver_step(vf, wanted, why)


def _driver_step(vf: PciDevice, driver: str | None, why: str) -> Step:
    assert vf.vf_index is not None
    pf, index = str(vf.parent), vf.vf_index
    return Step(BindVf(pf, index, driver), (BindVf(pf, index, vf.driver),), why)
