"""Whether interrupts of guests' devices are kept from the host, and what was done about it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lanekeeper.domain.hostplan.findings.finding import Finding, Kind, Rule, Severity
from lanekeeper.domain.hostplan.survey import Survey

ON = Kind("interrupt-remapping-on", Severity.OK, "Interrupts of guests' devices are remapped.")
UNKNOWN = Kind(
    "interrupt-remapping-unknown",
    Severity.INFO,
    "Whether interrupts are remapped cannot be told.",
    "Without remapping VFIO refuses every device; the first guest with one will tell.",
    "look for 'Enabled IRQ remapping' in the kernel log",
)
OFF = Kind(
    "interrupt-remapping-off",
    Severity.ERROR,
    "Interrupts are not remapped.",
    "A guest could make its device write any interrupt into the host (an injection attack), so "
    "VFIO refuses the device with 'No interrupt remapping for iommu group'.",
    "switch on interrupt remapping (or x2APIC) in the firmware; drop intremap=off",
)
SWITCHED_OFF = Kind(
    "interrupt-remapping-switched-off",
    Severity.ERROR,
    "A kernel argument switches interrupt remapping off.",
    "VFIO refuses every device, or, with allow_unsafe_interrupts, guests can attack the host.",
)
FIRMWARE = Kind(
    "interrupt-remapping-not-in-firmware",
    Severity.WARNING,
    "The firmware's DMAR table does not offer interrupt remapping.",
    "The kernel leaves it off even where the IOMMU could do it.",
    "switch on interrupt remapping (x2APIC, VT-d Interrupt Remapping) in the firmware",
)
X2APIC = Kind(
    "x2apic-opted-out",
    Severity.INFO,
    "The firmware asks the kernel not to use x2APIC.",
    "Interrupt remapping works in xAPIC mode only, which ends at 255 CPUs.",
    "switch on x2APIC in the firmware",
)
UNSAFE = Kind(
    "unsafe-interrupts-allowed",
    Severity.WARNING,
    "VFIO was told to go on without interrupt remapping.",
    "A guest that owns a device can inject interrupts into the host and into other guests. Only "
    "for guests that you trust as much as the host.",
)
UNSAFE_NEEDLESS = Kind(
    "unsafe-interrupts-needless",
    Severity.WARNING,
    "VFIO was told to go on without interrupt remapping, which this host has.",
    "It gives nothing now, and takes the protection away silently when remapping is lost, by a "
    "firmware update say.",
)
UNSAFE_OLD_NAME = Kind(
    "unsafe-interrupts-old-name",
    Severity.WARNING,
    "An option of the device assignment that KVM once had is set.",
    "kvm.allow_unsafe_assigned_interrupts left Linux in 4.12 with that device assignment. The "
    "kernel passes over it, so what it was meant for does not happen.",
    "take it out; where remapping is really missing: options vfio_iommu_type1 "
    "allow_unsafe_interrupts=1, and its risk",
)
NOIOMMU = Kind(
    "vfio-without-iommu",
    Severity.ERROR,
    "VFIO was told to hand out devices without any IOMMU.",
    "Who holds such a device can read and write all memory of the host. QEMU refuses it anyway.",
    "take enable_unsafe_noiommu_mode out of /etc/modprobe.d and off the kernel arguments",
)

_ENABLED = re.compile(r"Enabled IRQ remapping|Interrupt remapping enabled")
_INTR_REMAP, _X2APIC_OPT_OUT = 1, 2  # Intel VT-d specification, DMA Remapping Reporting, flags
_PARAMETERS = (
    "vfio_iommu_type1.allow_unsafe_interrupts",
    "iommufd.allow_unsafe_interrupts",
)
_OLD_NAME = "allow_unsafe_assigned_interrupts"
_YES = ("Y", "1")


def _remapping(survey: Survey) -> Iterator[Finding]:
    remapping = survey.host.interrupt_remapping
    logged = next((line for line in survey.log.lines if _ENABLED.search(line)), None)
    if remapping.holds or (remapping.holds is None and logged):
        source = f"/{survey.log.source} has {logged!r}" if logged else remapping.source
        yield ON.found("host", "interrupts of guests' devices are remapped", source)
    elif remapping.holds is None:
        yield UNKNOWN.found(
            "host",
            "whether interrupts are remapped cannot be told from here",
            remapping.source or "nothing says so",
        )
    else:
        unsafe = "; allow_unsafe_interrupts is set, so vfio goes on without" * (
            survey.host.unsafe_interrupts
        )
        yield OFF.found(
            "host",
            "interrupts are not remapped: a guest's device can inject interrupts into the host",
            remapping.source + unsafe,
            severity=Severity.WARNING if survey.host.unsafe_interrupts else Severity.ERROR,
        )


def _why_off(survey: Survey) -> Iterator[Finding]:
    for word in survey.host.cmdline:
        if word == "intremap=off":
            yield SWITCHED_OFF.found(
                "host",
                f"{word} switches interrupt remapping off",
                f"/proc/cmdline has {word}",
                f"take {word} out of the boot loader's kernel arguments, then reboot",
            )
    flags = survey.firmware.dmar_flags
    if flags is None:
        return
    source = f"/sys/firmware/acpi/tables/DMAR has flags {flags:#04x}"
    if not flags & _INTR_REMAP:
        yield FIRMWARE.found("host", "the firmware does not offer interrupt remapping", source)
    elif flags & _X2APIC_OPT_OUT:
        yield X2APIC.found("host", "the firmware opts out of x2APIC", source)


def _unsafe(survey: Survey) -> Iterator[Finding]:
    for source in _unsafe_sources(survey):
        fix = "take it out of /etc/modprobe.d and off the kernel arguments, then reboot"
        if survey.host.interrupt_remapping.holds:
            yield UNSAFE_NEEDLESS.found(
                "host", "allow_unsafe_interrupts is set, and remapping is on", source, fix
            )
        else:
            yield UNSAFE.found(
                "host", "allow_unsafe_interrupts is set: guests can attack the host", source, fix
            )
    for line in survey.modprobe:
        if _OLD_NAME in line.text:
            yield UNSAFE_OLD_NAME.found("host", f"no kernel has kvm.{_OLD_NAME} now", str(line))
    for word in survey.host.cmdline:
        if _OLD_NAME in word:
            source = f"/proc/cmdline has {word}"
            yield UNSAFE_OLD_NAME.found("host", f"no kernel has kvm.{_OLD_NAME} now", source)
    if survey.parameters.get("vfio.enable_unsafe_noiommu_mode") in _YES:
        yield NOIOMMU.found(
            "host",
            "VFIO hands out devices without an IOMMU",
            "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode is Y",
        )


def _unsafe_sources(survey: Survey) -> Iterator[str]:
    """Yield where the option is set: for the running kernel, and for the next."""
    for parameter in _PARAMETERS:
        if survey.parameters.get(parameter) in _YES:
            module, _, name = parameter.partition(".")
            yield f"/sys/module/{module}/parameters/{name} is {survey.parameters[parameter]}"
    for line in survey.modprobe:
        words = line.text.split()
        if words[0] == "options" and {"allow_unsafe_interrupts=1", "allow_unsafe_interrupts=Y"} & {
            *words
        }:
            yield str(line)


RULES: tuple[Rule, ...] = (
    Rule(_remapping, (ON, UNKNOWN, OFF)),
    Rule(_why_off, (SWITCHED_OFF, FIRMWARE, X2APIC)),
    Rule(_unsafe, (UNSAFE, UNSAFE_NEEDLESS, UNSAFE_OLD_NAME, NOIOMMU)),
)
