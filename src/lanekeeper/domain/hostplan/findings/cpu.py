"""Whether the processor, its firmware and the kernel run guests at all."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lanekeeper.domain.hostplan.findings.finding import Finding, Kind, Rule, Severity
from lanekeeper.domain.hostplan.survey import Survey

VIRTUALIZATION = Kind("cpu-virtualization", Severity.OK, "The CPU runs guests itself.")
VIRTUALIZATION_MISSING = Kind(
    "cpu-virtualization-missing",
    Severity.ERROR,
    "The CPU shows neither VT-x nor SVM.",
    "Guests can only be emulated, many times slower: good for trying, not for use.",
    "switch on VT-x or SVM in the firmware's CPU settings",
)
KVM = Kind("kvm", Severity.OK, "KVM is there.")
KVM_MISSING = Kind(
    "kvm-missing",
    Severity.ERROR,
    "There is no /dev/kvm.",
    "QEMU falls back to emulation or refuses to start; VFIO devices need KVM.",
)
KVM_DISABLED = Kind(
    "kvm-disabled-by-firmware",
    Severity.ERROR,
    "The CPU can run guests, and the firmware has locked that away.",
    "KVM does not load, whatever modprobe says; only a change in the firmware helps.",
    "switch on VT-x or SVM in the firmware, then switch the machine off and on",
)
SECURE_BOOT = Kind(
    "secure-boot",
    Severity.INFO,
    "UEFI Secure Boot is on.",
    "Modules that are not signed (vendors' NIC and GPU drivers, DKMS) do not load, and the kernel "
    "locks itself down on most distributions.",
    "sign such modules and enrol the key with mokutil --import",
)
LOCKDOWN = Kind(
    "kernel-lockdown",
    Severity.WARNING,
    "The kernel is locked down.",
    "Tools that write a card's registers (mstconfig, setpci, vendors' firmware tools) are refused, "
    "even for root; VFIO and SR-IOV themselves go on.",
    "change the card's settings before Secure Boot is switched on, or through devlink",
)

# Linux arch/x86/kernel/cpu/feat_ctl.c, arch/x86/kvm/vmx/vmx.c and svm/svm.c; older: kvm_main.c
_DISABLED = re.compile(r"VMX .*disabled by BIOS|kvm: disabled by bios|SVM disabled \(by BIOS\)")


def _virtualization(survey: Survey) -> Iterator[Finding]:
    flags = sorted({"vmx", "svm"} & survey.host.cpu_flags)
    if flags:
        source = f"/proc/cpuinfo has the flag {flags[0]}"
        yield VIRTUALIZATION.found("host", "the CPU runs guests itself", source)
    elif "asimd" not in survey.host.cpu_flags:  # a 64-bit ARM processor has neither flag
        yield VIRTUALIZATION_MISSING.found(
            "host",
            "the CPU does not offer virtualisation, or the firmware hides it",
            "/proc/cpuinfo has neither vmx nor svm among the flags",
        )


def _kvm(survey: Survey) -> Iterator[Finding]:
    disabled = next((line for line in survey.log.lines if _DISABLED.search(line)), None)
    if survey.host.kvm:
        yield KVM.found("host", "KVM is there", "/dev/kvm exists")
    elif disabled:
        yield KVM_DISABLED.found(
            "host",
            "the firmware keeps virtualisation from the kernel",
            f"/{survey.log.source} has {disabled!r}",
        )
    else:
        vendor = "kvm_amd" if "svm" in survey.host.cpu_flags else "kvm_intel"
        yield KVM_MISSING.found(
            "host",
            "KVM is not there, so guests cannot be given devices",
            "/dev/kvm does not exist",
            f"modprobe {vendor}",
        )


def _locks(survey: Survey) -> Iterator[Finding]:
    if survey.firmware.secure_boot:
        yield SECURE_BOOT.found(
            "host", "Secure Boot is on", "the EFI variable SecureBoot in /sys/firmware/efi is 1"
        )
    if survey.firmware.lockdown not in (None, "none"):
        yield LOCKDOWN.found(
            "host",
            f"the kernel is locked down ({survey.firmware.lockdown})",
            f"/sys/kernel/security/lockdown has [{survey.firmware.lockdown}]",
        )


RULES: tuple[Rule, ...] = (
    Rule(_virtualization, (VIRTUALIZATION, VIRTUALIZATION_MISSING)),
    Rule(_kvm, (KVM, KVM_MISSING, KVM_DISABLED)),
    Rule(_locks, (SECURE_BOOT, LOCKDOWN)),
)
