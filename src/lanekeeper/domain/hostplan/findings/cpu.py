"""Whether the processor and the kernel run guests at all."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan.findings.finding import Finding, Rule, Severity
from lanekeeper.domain.hostplan.observed import HostFacts


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


RULES: tuple[Rule, ...] = (
    _virtualization,
    _kvm,
)
