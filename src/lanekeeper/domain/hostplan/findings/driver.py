"""Drivers: those that hand functions to guests, and functions that none can read."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan.findings.finding import Finding, Rule, Severity
from lanekeeper.domain.hostplan.observed import HostFacts


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


RULES: tuple[Rule, ...] = (
    _vfio,
    _faulty_devices,
)
