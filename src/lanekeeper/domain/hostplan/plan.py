"""From a policy and an observed host to ordered steps, each with its undo. Pure and complete.

Whoever executes a plan makes no choice: what could go wrong by choice is a refusal here, and a
plan with a refusal is not executed at all, because half a policy is no policy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from lanekeeper.domain.hostplan import persistence
from lanekeeper.domain.hostplan.action import (
    BindVf,
    Change,
    LoadModule,
    MakeDirectory,
    MakeLink,
    RemoveDirectory,
    RemoveFile,
    SetAutoprobe,
    SetLink,
    SetVfCount,
    UpdateBootLoader,
    WriteFile,
)
from lanekeeper.domain.hostplan.observed import HostFacts, argument_holds
from lanekeeper.domain.hostplan.policy import PfPolicy, Policy
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice

_VFIO_MODULE = "vfio_pci"


class Impact(StrEnum):
    """What a step does to those who use the host now."""

    NONE = "none"
    LINK = "the PF's link may flap"
    VFS_GONE = "the PF's VFs are destroyed"
    REBOOT = "takes effect after a reboot"


@dataclass(frozen=True, slots=True)
class Step:
    """One change, why it is made, and how it is taken back: *undo*, in this order."""

    do: Change
    undo: tuple[Change, ...]
    why: str
    impact: Impact = Impact.NONE


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the policy cannot be applied to this host, and what would help."""

    code: str
    subject: str
    reason: str
    fix: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in order; *refusals* forbid all of them. *pending* is what waits for a reboot."""

    steps: tuple[Step, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    pending: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.steps and not self.refusals


def plan(policy: Policy, host: HostFacts) -> Plan:
    """Return what turns *host* into what *policy* says; empty when it is so already."""
    chosen, refusals = choose(policy, host)
    refusals = [*refusals, *_forbidden(policy, host, chosen), *_boot_refusals(policy, host)]
    steps = [
        *_module_steps(host, chosen),
        *(step for entry, pf in chosen for step in _pf_steps(entry, pf, host)),
        *(_persist_steps(policy, host) if policy.persist else ()),
        *_argument_steps(policy, host),
    ]
    once = tuple(dict.fromkeys(steps))  # two files may need one directory
    return Plan(() if refusals else once, tuple(refusals), tuple(_pending(policy, host)))


Chosen = list[tuple[PfPolicy, PciDevice]]


def choose(policy: Policy, host: HostFacts) -> tuple[Chosen, list[Refusal]]:
    """Find the PF that each entry means; an entry that means none, or another's, is refused."""
    chosen: Chosen = []
    refusals: list[Refusal] = []
    owners: dict[PciAddress, str] = {}
    for entry in policy.pfs:
        found = entry.selector.select(host.devices)
        if not found:
            refusals.append(_nothing_selected(entry, host))
        for pf in found:
            if pf.address in owners:
                refusals.append(_two_owners(entry, owners[pf.address], pf))
            else:
                owners[pf.address] = entry.path
                chosen.append((entry, pf))
    return chosen, refusals


def _nothing_selected(entry: PfPolicy, host: HostFacts) -> Refusal:
    there = ", ".join(f"{pf.address} ({pf.netdev or 'no netdev'})" for pf in host.pfs)
    reason = f"no PF has {entry.selector}"
    return Refusal("pf-not-found", entry.path, reason, f"PFs here: {there or 'none'}")


def _two_owners(entry: PfPolicy, other: str, pf: PciDevice) -> Refusal:
    reason = f"{pf.address} is chosen by {other} and by {entry.path}"
    return Refusal("pf-chosen-twice", entry.path, reason, "let one entry choose each PF")


def _forbidden(policy: Policy, host: HostFacts, chosen: Chosen) -> Iterator[Refusal]:
    """Refuse what the host cannot do, what a guest would lose, and what may cut the host off."""
    for entry, pf in chosen:
        subject = f"{entry.path} ({pf.address})"
        if entry.vfs > pf.total_vfs:
            reason = f"{entry.vfs} VFs asked, the PF can have {pf.total_vfs}"
            fix = f"at most vfs: {pf.total_vfs}"
            yield Refusal("vfs-above-total", subject, reason, fix)
        if not any(_pf_steps(entry, pf, host)):
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


def _module_steps(host: HostFacts, chosen: Chosen) -> Iterator[Step]:
    wanted = any(entry.vfs for entry, _ in chosen)
    if wanted and _VFIO_MODULE not in host.modules and _VFIO_MODULE in host.loadable:
        # No undo: a loaded module does no harm, and others may use it by then.
        yield Step(LoadModule("vfio-pci"), (), "guests get devices through vfio-pci")


def _pf_steps(entry: PfPolicy, pf: PciDevice, host: HostFacts) -> Iterator[Step]:
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


def _persist_steps(policy: Policy, host: HostFacts) -> Iterator[Step]:
    yield from _file_steps(host, persistence.POLICY_FILE, policy.text, "the policy to keep")
    if not host.has_systemd:
        return
    why = "VFs vanish with a reboot; this unit brings them back"
    yield from _file_steps(host, persistence.UNIT_FILE, persistence.unit_text(host.program), why)
    link = persistence.UNIT_LINK
    if host.files.get(link) is None:
        yield from _directory_steps(host, link)
        do = MakeLink(link, persistence.UNIT_LINK_TARGET)
        yield Step(do, (RemoveFile(link),), "the unit runs at each boot")


def _argument_steps(policy: Policy, host: HostFacts) -> Iterator[Step]:
    missing = _missing_arguments(policy, host)
    if not missing or host.configured_cmdline is None:
        return
    path = persistence.GRUB_FILE
    kept = _dropped_in(host.files.get(path))
    arguments = (*(word for word in kept if word not in missing), *missing)
    text = persistence.grub_text(arguments)
    why = f"the boot loader does not give {' '.join(missing)}"
    yield from _file_steps(host, path, text, why, Impact.REBOOT)
    if host.can_update_boot_loader:
        why = "the boot menu is made from these files"
        undo = (_file_undo(path, host.files.get(path)), UpdateBootLoader())
        yield Step(UpdateBootLoader(), undo, why, Impact.REBOOT)


def _missing_arguments(policy: Policy, host: HostFacts) -> tuple[str, ...]:
    configured = host.configured_cmdline or ()
    return tuple(a for a in policy.kernel_arguments if not argument_holds(a, configured))


def _dropped_in(text: str | None) -> list[str]:
    """Return the arguments that an earlier plan wrote."""
    words = (text or "").rpartition("$GRUB_CMDLINE_LINUX_DEFAULT ")[2]
    return words.partition('"')[0].split()


def _boot_refusals(policy: Policy, host: HostFacts) -> Iterator[Refusal]:
    absent = [a for a in policy.kernel_arguments if not argument_holds(a, host.cmdline)]
    if absent and host.configured_cmdline is None:
        looked = ", ".join(f"/{name}" for name in host.boot_loader_files)
        reason = f"no boot loader that is known sets the kernel arguments (looked at {looked})"
        fix = f"add {' '.join(absent)} to the kernel command line by hand"
        yield Refusal("boot-loader-unknown", "kernel_arguments", reason, fix)


def _pending(policy: Policy, host: HostFacts) -> Iterator[str]:
    for argument in policy.kernel_arguments:
        if not argument_holds(argument, host.cmdline):
            yield f"kernel argument {argument} takes effect after a reboot"


def _file_steps(
    host: HostFacts, path: str, text: str, why: str, impact: Impact = Impact.NONE
) -> Iterator[Step]:
    before = host.files.get(path)
    if before == text:
        return
    yield from _directory_steps(host, path)
    yield Step(WriteFile(path, text), (_file_undo(path, before),), why, impact)


def _file_undo(path: str, before: str | None) -> Change:
    return RemoveFile(path) if before is None else WriteFile(path, before)


def _directory_steps(host: HostFacts, path: str) -> Iterator[Step]:
    for directory in persistence.directories_of(path):
        if directory not in host.directories:
            why = f"/{path} goes there"
            yield Step(MakeDirectory(directory), (RemoveDirectory(directory),), why)
