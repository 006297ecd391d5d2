"""Whether an IOMMU stands between devices and memory, and what the kernel was told of it."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan.findings.finding import Finding, Rule, Severity
from lanekeeper.domain.hostplan.observed import HostFacts, argument_holds


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


RULES: tuple[Rule, ...] = (
    _iommu,
    _passthrough_mode,
    _interrupt_remapping,
    _kernel_arguments,
)
