"""What is ready on a host and what is not: each finding with its evidence and its fix.

A rule is a function from a host to findings; ``RULES`` is the whole doctor. A new finding is a
rule in that table, an example in the tests that shows it, and one that does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from lanekeeper.domain.hostplan.observed import HostFacts, argument_holds
from lanekeeper.domain.hostplan.plan import Plan
from lanekeeper.domain.hostplan.policy import Policy
from lanekeeper.domain.pci.device import PciDevice


class Severity(StrEnum):
    """How much a finding matters; devices cannot be given to guests while there is an error."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        id: stable, as ``iommu-off``; added, never changed.
        subject: what it is about: an address, a node, or ``host``.
        summary: one sentence.
        evidence: what was read, and where.
        fix: a command or a policy line; empty when nothing is wrong.
    """

    id: str
    severity: Severity
    subject: str
    summary: str
    evidence: str
    fix: str = ""


Rule = Callable[[HostFacts], Iterator[Finding]]


def check(host: HostFacts) -> tuple[Finding, ...]:
    """Apply every rule; findings stand in the order of the rules."""
    return tuple(finding for rule in RULES for finding in rule(host))


def worst(findings: tuple[Finding, ...]) -> Severity:
    """Return the gravest severity; ``ok`` for no findings."""
    order = list(Severity)
    return max((finding.severity for finding in findings), key=order.index, default=Severity.OK)


def _virtualization(host: HostFacts) -> Iterator[Finding]:
    flags = sorted({"vmx", "svm"} & host.cpu_flags)
    if flags:
        source = f"/proc/cpuinfo has the flag {flags[0]}"
        yield Finding(
            "cpu-virtualization", Severity.OK, "host", "the CPU runs guests itself", source
        )
    else:
        yield Finding(
            "cpu-virtualization-missing",
            Severity.ERROR,
            "host",
            "the CPU does not offer virtualisation, or the firmware hides it",
            "/proc/cpuinfo has neither vmx nor svm among the flags",
            "switch on VT-x or SVM in the firmware's CPU settings",
        )


def _kvm(host: HostFacts) -> Iterator[Finding]:
    if host.kvm:
        yield Finding("kvm", Severity.OK, "host", "KVM is there", "/dev/kvm exists")
    else:
        vendor = "kvm_amd" if "svm" in host.cpu_flags else "kvm_intel"
        yield Finding(
            "kvm-missing",
            Severity.ERROR,
            "host",
            "KVM is not there, so guests cannot be given devices",
            "/dev/kvm does not exist",
            f"modprobe {vendor}",
        )


def _iommu(host: HostFacts) -> Iterator[Finding]:
    if host.iommu_groups:
        groups = len(host.iommu_groups)
        modes = ", ".join(f"{count} {kind}" for kind, count in sorted(host.iommu_modes.items()))
        source = f"/sys/kernel/iommu_groups has {groups} groups{f' ({modes})' if modes else ''}"
        yield Finding("iommu-on", Severity.OK, "host", "the IOMMU translates", source)
        return
    off = [word for word in host.cmdline if word in ("intel_iommu=off", "amd_iommu=off")]
    argument = "amd_iommu=on" if "svm" in host.cpu_flags else "intel_iommu=on"
    table = f"/sys/firmware/acpi/tables has {host.dma_table or 'neither DMAR nor IVRS'}"
    firmware = "" if host.dma_table else "switch on VT-d or AMD-Vi in the firmware; "
    yield Finding(
        "iommu-off",
        Severity.ERROR,
        "host",
        "no IOMMU translates: no device can be given to a guest",
        f"/sys/kernel/iommu_groups is empty; {table}"
        + (f"; /proc/cmdline has {off[0]}" if off else ""),
        f"{firmware}kernel_arguments: [{argument}, iommu=pt] in the policy",
    )


def _passthrough_mode(host: HostFacts) -> Iterator[Finding]:
    if host.iommu_groups and not host.iommu_modes.get("identity"):
        yield Finding(
            "iommu-not-passthrough",
            Severity.INFO,
            "host",
            "devices that the host keeps are translated too, which costs it throughput",
            "no group in /sys/kernel/iommu_groups has type identity",
            "kernel_arguments: [iommu=pt] in the policy",
        )


def _interrupt_remapping(host: HostFacts) -> Iterator[Finding]:
    remapping = host.interrupt_remapping
    if remapping.holds:
        yield Finding(
            "interrupt-remapping-on",
            Severity.OK,
            "host",
            "interrupts of guests' devices are remapped",
            remapping.source,
        )
    elif remapping.holds is None:
        yield Finding(
            "interrupt-remapping-unknown",
            Severity.INFO,
            "host",
            "whether interrupts are remapped cannot be told from here",
            remapping.source or "nothing says so",
            "look for 'Enabled IRQ remapping' in the kernel log",
        )
    else:
        unsafe = "; allow_unsafe_interrupts is set, so vfio goes on without" * (
            host.unsafe_interrupts
        )
        yield Finding(
            "interrupt-remapping-off",
            Severity.WARNING if host.unsafe_interrupts else Severity.ERROR,
            "host",
            "interrupts are not remapped: a guest's device can inject interrupts into the host",
            remapping.source + unsafe,
            "switch on interrupt remapping (or x2APIC) in the firmware; drop intremap=off",
        )


def _vfio(host: HostFacts) -> Iterator[Finding]:
    if "vfio_pci" in host.modules:
        source = "/sys/module/vfio_pci exists"
        yield Finding("vfio-pci", Severity.OK, "host", "vfio-pci is loaded", source)
    elif "vfio_pci" in host.loadable:
        yield Finding(
            "vfio-pci-not-loaded",
            Severity.INFO,
            "host",
            "vfio-pci is not loaded; libvirt loads it with the first guest",
            "/sys/module/vfio_pci does not exist, the module does",
            "modprobe vfio-pci; a plan with VFs does it",
        )
    else:
        yield Finding(
            "vfio-pci-missing",
            Severity.ERROR,
            "host",
            "the kernel has no vfio-pci, so nothing can be given to a guest",
            f"neither /sys/module/vfio_pci nor a module of kernel {host.release or 'unknown'}",
            "install the kernel package that has it (Debian's cloud kernels do not)",
        )


def _sriov(host: HostFacts) -> Iterator[Finding]:
    if not host.pfs:
        yield Finding(
            "sriov-missing",
            Severity.WARNING,
            "host",
            "no device can create VFs",
            "no function in /sys/bus/pci/devices has sriov_totalvfs above 0",
            "switch on SR-IOV in the firmware and in the card's own settings",
        )
    for pf in host.pfs:
        yield from _pf(pf, host)


def _pf(pf: PciDevice, host: HostFacts) -> Iterator[Finding]:
    subject = f"{pf.address}{f' ({pf.netdev})' if pf.netdev else ''}"
    evidence = f"sriov_numvfs is {pf.num_vfs}, sriov_totalvfs {pf.total_vfs}"
    summary = f"VFs {pf.num_vfs} of {pf.total_vfs}"
    if pf.num_vfs:
        yield Finding("vfs-present", Severity.OK, subject, summary, evidence)
    else:
        fix = f'policy: pfs: [{{pf: "{pf.address}", vfs: {pf.total_vfs}}}]'
        yield Finding("vfs-missing", Severity.WARNING, subject, summary, evidence, fix)
    if pf.driver is None:
        fix = "load the driver of the PF"
        no_driver = "the PF has no driver, so it cannot create VFs"
        yield Finding(
            "pf-without-driver", Severity.WARNING, subject, no_driver, "no driver link", fix
        )
    interface = host.interface_of(pf.address)
    if interface is not None and not interface.is_up:
        yield Finding(
            "pf-link-down",
            Severity.WARNING,
            subject,
            f"{interface.name} is down, so its VFs have no link",
            f"/sys/class/net/{interface.name}/flags lacks IFF_UP",
            f"link: up in the policy, or ip link set {interface.name} up",
        )
    if pf.numa_node is None and len(host.nodes) > 1:
        yield Finding(
            "numa-node-unknown",
            Severity.INFO,
            subject,
            "the firmware does not say which NUMA node the card is near",
            "numa_node is -1",
            "guests that require affinity will not get it; see the firmware's SRAT",
        )


def _groups(host: HostFacts) -> Iterator[Finding]:
    """Tell when a PF or VF shares its IOMMU group with something else than bridges."""
    sriov = {str(d.address) for d in host.devices if d.parent or d.total_vfs}
    bridges = {str(d.address) for d in host.devices if d.class_code >> 8 == 0x0604}  # noqa: PLR2004
    shared = 0
    for number, members in sorted(host.iommu_groups.items()):
        others = set(members) - bridges
        if others & sriov and len(others) > 1:
            shared += 1
            yield Finding(
                "iommu-group-shared",
                Severity.WARNING,
                f"group {number}",
                "these can only be given away together",
                f"/sys/kernel/iommu_groups/{number}/devices has {', '.join(sorted(others))}",
                "use a slot whose root port has ACS; give all of them to one guest",
            )
    vfs = sum(1 for device in host.devices if device.parent)
    if vfs and host.iommu_groups and not shared:
        evidence = "/sys/kernel/iommu_groups/*/devices"
        summary = f"each of {vfs} VFs has an IOMMU group of its own"
        yield Finding("iommu-groups", Severity.OK, "host", summary, evidence)


def _kernel_arguments(host: HostFacts) -> Iterator[Finding]:
    for wrong in ("intel_iommu=pt", "amd_iommu=pt"):
        if wrong in host.cmdline:
            yield Finding(
                "iommu-argument-unknown",
                Severity.WARNING,
                "host",
                f"the kernel does not know {wrong}",
                f"/proc/cmdline has {wrong}",
                "kernel_arguments: [intel_iommu=on, iommu=pt] in the policy",
            )
    if host.configured_cmdline is None:
        looked = ", ".join(f"/{name}" for name in host.boot_loader_files)
        yield Finding(
            "boot-loader-unknown",
            Severity.INFO,
            "host",
            "no boot loader that is known sets the kernel arguments, so no plan can",
            f"looked at {looked}",
            "see that your boot loader keeps the arguments in /proc/cmdline",
        )
        return
    missing = [word for word in host.configured_cmdline if not argument_holds(word, host.cmdline)]
    if missing:
        yield Finding(
            "reboot-pending",
            Severity.WARNING,
            "host",
            f"configured kernel arguments are not active yet: {' '.join(missing)}",
            "they stand in /etc/default/grub or /etc/default/grub.d, not in /proc/cmdline",
            "reboot",
        )


def _management(host: HostFacts) -> Iterator[Finding]:
    for interface in host.interfaces:
        if interface.is_management:
            yield Finding(
                "management-nic",
                Severity.INFO,
                f"{interface.device} ({interface.name})",
                "carries the host's own traffic; no plan touches it unless told",
                f"{interface.name}: {', '.join(interface.carries)}",
            )


def _faulty_devices(host: HostFacts) -> Iterator[Finding]:
    for name, reason in host.device_faults:
        yield Finding(
            "device-unreadable",
            Severity.ERROR,
            name,
            "this function cannot be read and is set aside",
            reason,
            "see the kernel log; reseat or replace the card",
        )


def _memory(host: HostFacts) -> Iterator[Finding]:
    for node in host.nodes:
        huge = [f"{total} of {size // 1024} MiB" for size, (total, _) in node.huge_pages.items()]
        present = [entry for entry in huge if not entry.startswith("0 ")]
        yield Finding(
            "numa-node",
            Severity.INFO,
            f"node {node.number}",
            f"{len(node.cpus)} CPUs, {node.memory_mib} MiB, huge pages: "
            f"{', '.join(present) or 'none'}",
            f"/sys/devices/system/node/node{node.number}",
        )


RULES: tuple[Rule, ...] = (
    _virtualization,
    _kvm,
    _iommu,
    _passthrough_mode,
    _interrupt_remapping,
    _vfio,
    _kernel_arguments,
    _sriov,
    _groups,
    _memory,
    _management,
    _faulty_devices,
)


def policy_findings(policy: Policy, found: Plan) -> tuple[Finding, ...]:
    """Say whether the host is as *policy* wants it, from the plan that was made of both."""
    refused = tuple(
        Finding(f"policy-{r.code}", Severity.ERROR, r.subject, r.reason, "the policy", r.fix)
        for r in found.refusals
    )
    if found.steps:
        first = f"first: {found.steps[0].do}"
        summary = f"{len(found.steps)} steps away from the policy"
        differs = Finding(
            "policy-differs", Severity.ERROR, "host", summary, first, "lanekeeper host apply"
        )
        return (*refused, differs)
    if refused:
        return refused
    wanted = sum(entry.vfs for entry in policy.pfs)
    summary = f"the host is as the policy wants it ({wanted} VFs)"
    return (Finding("policy-holds", Severity.OK, "host", summary, "the plan is empty"),)
