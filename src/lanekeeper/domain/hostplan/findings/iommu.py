"""Whether an IOMMU stands between devices and memory, and what the kernel was told of it."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan.boot_loader import argument_holds, argument_key
from lanekeeper.domain.hostplan.findings.finding import Finding, Kind, Rule, Severity
from lanekeeper.domain.hostplan.iommu_argument import MEANT, last_off, switches_off
from lanekeeper.domain.hostplan.survey import Survey

ON = Kind("iommu-on", Severity.OK, "The IOMMU translates.")
OFF = Kind(
    "iommu-off",
    Severity.ERROR,
    "No IOMMU translates.",
    "A device reaches all memory of the host, so none can be given to a guest: VFIO refuses.",
)
TABLE_MISSING = Kind(
    "dma-table-missing",
    Severity.ERROR,
    "The firmware has no table that describes an IOMMU (DMAR of Intel, IVRS of AMD).",
    "The kernel cannot find the IOMMU, so no kernel argument switches it on.",
    "switch on VT-d or AMD-Vi (IOMMU) in the firmware; where it is on, renew the firmware",
)
SWITCHED_OFF = Kind(
    "iommu-switched-off",
    Severity.ERROR,
    "A kernel argument switches the IOMMU off.",
    "No device can be given to a guest until the argument is gone and the host was rebooted.",
)
NOT_ASKED = Kind(
    "iommu-not-asked-for",
    Severity.ERROR,
    "The firmware has an IOMMU of Intel, and nothing asks the kernel to use it.",
    "Most kernels leave Intel's IOMMU off until they are told; iommu=pt alone does not tell them.",
    "kernel_arguments: [intel_iommu=on, iommu=pt] in the policy",
)
NOT_PASSTHROUGH = Kind(
    "iommu-not-passthrough",
    Severity.INFO,
    "Devices that the host keeps are translated too.",
    "The host's own network and disks pay for translation they do not need; guests are not "
    "concerned.",
    "kernel_arguments: [iommu=pt] in the policy",
)
ARGUMENT_UNKNOWN = Kind(
    "iommu-argument-unknown",
    Severity.WARNING,
    "A kernel argument is spelt in a way that the kernel passes over.",
    "intel_iommu=pt, as some guides have it, does nothing: Linux since 5.16 logs `DMAR: Unknown "
    "option - 'pt'`, older ones say nothing. Machines where the IOMMU is on by default seem "
    "to work with it; a PowerEdge R630, say, does not. It is two arguments.",
    "kernel_arguments: [intel_iommu=on, iommu=pt] in the policy",
)
ARGUMENT_NEEDLESS = Kind(
    "iommu-argument-needless",
    Severity.INFO,
    "A kernel argument for an IOMMU that is on without it, or that this machine does not have.",
    "It does no harm. AMD's IOMMU is on unless switched off; the kernel logs `AMD-Vi: Unknown "
    "option - 'on'`.",
    "leave it out; iommu=pt is what AMD machines can use",
)
BOOT_LOADER = Kind(
    "boot-loader-unknown",
    Severity.INFO,
    "No boot loader that is known sets the kernel arguments.",
    "Kernel arguments in a policy are refused, and whether the present ones survive a reboot is "
    "not known.",
    "see that your boot loader keeps the arguments in /proc/cmdline",
)
REBOOT = Kind(
    "reboot-pending",
    Severity.WARNING,
    "Kernel arguments are configured and not active.",
    "The host does not behave as its configuration says until it was rebooted.",
    "reboot",
)
LOST_AT_REBOOT = Kind(
    "iommu-argument-not-persistent",
    Severity.WARNING,
    "The running kernel has an IOMMU argument that the boot loader will not give the next one.",
    "After the next reboot the IOMMU may be off, and every guest with a device fails to start.",
)

_UNDONE = "intel_iommu"
_SOFT = "iommu=soft"


def _iommu(survey: Survey) -> Iterator[Finding]:
    host = survey.host
    if host.iommu_groups:
        groups = len(host.iommu_groups)
        modes = ", ".join(f"{count} {kind}" for kind, count in sorted(host.iommu_modes.items()))
        source = f"/sys/kernel/iommu_groups has {groups} groups{f' ({modes})' if modes else ''}"
        yield ON.found("host", "the IOMMU translates", source)
        return
    off = [word for word in host.cmdline if word == _SOFT or switches_off(word)]
    if last_off(_UNDONE, host.cmdline) is None:  # a later intel_iommu=on counts
        off = [word for word in off if argument_key(word) != _UNDONE]
    is_amd = "svm" in host.cpu_flags and not _is_intel(survey)
    arguments = "iommu=pt" if is_amd else "intel_iommu=on, iommu=pt"
    table = f"/sys/firmware/acpi/tables has {host.dma_table or 'neither DMAR nor IVRS'}"
    firmware = "" if host.dma_table else "switch on VT-d or AMD-Vi in the firmware; "
    yield OFF.found(
        "host",
        "no IOMMU translates: no device can be given to a guest",
        f"/sys/kernel/iommu_groups is empty; {table}"
        + (f"; /proc/cmdline has {off[0]}" if off else ""),
        f"{firmware}kernel_arguments: [{arguments}] in the policy",
    )
    yield from _why_off(survey, off)


def _why_off(survey: Survey, off: list[str]) -> Iterator[Finding]:
    host = survey.host
    if host.dma_table is None and {"vmx", "svm"} & host.cpu_flags:
        yield TABLE_MISSING.found(
            "host",
            "the firmware does not describe an IOMMU",
            "/sys/firmware/acpi/tables has neither DMAR nor IVRS",
        )
    if off:
        yield SWITCHED_OFF.found(
            "host",
            f"{off[0]} switches the IOMMU off",
            f"/proc/cmdline has {off[0]}",
            f"take {off[0]} out of the boot loader's kernel arguments, then reboot",
        )
    elif host.dma_table == "DMAR" and not argument_holds("intel_iommu=on", host.cmdline):
        machine = f" on this {survey.firmware.product}" if survey.firmware.product else ""
        yield NOT_ASKED.found(
            "host",
            f"the IOMMU is there{machine}, and the kernel was not told to use it",
            "/sys/firmware/acpi/tables has DMAR; /proc/cmdline has no intel_iommu=on",
        )


def _passthrough_mode(survey: Survey) -> Iterator[Finding]:
    host = survey.host
    if host.iommu_groups and not host.iommu_modes.get("identity"):
        yield NOT_PASSTHROUGH.found(
            "host",
            "devices that the host keeps are translated too, which costs it throughput",
            "no group in /sys/kernel/iommu_groups has type identity",
        )


def _arguments(survey: Survey) -> Iterator[Finding]:
    cmdline = survey.host.cmdline
    said = next((line for line in survey.log.lines if "Unknown option - 'pt'" in line), None)
    for wrong in MEANT:
        if wrong in cmdline:
            logged = f"; /{survey.log.source} has {said!r}" if said else ""
            yield ARGUMENT_UNKNOWN.found(
                "host", f"the kernel does not know {wrong}", f"/proc/cmdline has {wrong}{logged}"
            )
    if "svm" in survey.host.cpu_flags:
        for word in ("amd_iommu=on", "intel_iommu=on"):
            # An emulated machine may pair AMD's CPU with Intel's IOMMU.
            if word in cmdline and not (word == "intel_iommu=on" and _is_intel(survey)):
                yield ARGUMENT_NEEDLESS.found(
                    "host", f"{word} does nothing here", f"/proc/cmdline has {word}"
                )


def _is_intel(survey: Survey) -> bool:
    return survey.host.dma_table == "DMAR"


def _configured(survey: Survey) -> Iterator[Finding]:
    host = survey.host
    if host.configured_cmdline is None:
        looked = ", ".join(f"/{name}" for name in host.boot_loader_files)
        yield BOOT_LOADER.found(
            "host",
            "no boot loader that is known sets the kernel arguments, so no plan can",
            f"looked at {looked}",
        )
        return
    configured = host.configured_cmdline
    files = host.boot.entries or host.boot.texts or host.boot_loader_files
    there = ", ".join(f"/{name}" for name in files)
    counting = [word for word in configured if argument_holds(word, configured)]
    missing = [word for word in counting if not argument_holds(word, host.cmdline)]
    if missing:
        yield REBOOT.found(
            "host",
            f"configured kernel arguments are not active yet: {' '.join(missing)}",
            f"they stand in {there}, not in /proc/cmdline",
        )
    for word in ("intel_iommu=on", "iommu=pt"):
        if argument_holds(word, host.cmdline) and not argument_holds(word, configured):
            looked = ", ".join(f"/{name}" for name in host.boot_loader_files)
            yield LOST_AT_REBOOT.found(
                "host",
                f"{word} is active and will be gone after a reboot",
                f"/proc/cmdline has {word}, {looked} has not",
                f"kernel_arguments: [{word}] in the policy",
            )


RULES: tuple[Rule, ...] = (
    Rule(_iommu, (ON, OFF, TABLE_MISSING, SWITCHED_OFF, NOT_ASKED)),
    Rule(_passthrough_mode, (NOT_PASSTHROUGH,)),
    Rule(_arguments, (ARGUMENT_UNKNOWN, ARGUMENT_NEEDLESS)),
    Rule(_configured, (BOOT_LOADER, REBOOT, LOST_AT_REBOOT)),
)
