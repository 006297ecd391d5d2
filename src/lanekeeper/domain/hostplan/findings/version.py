"""Whether kernel, QEMU and libvirt are new enough for what this host's cards could do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lanekeeper.domain.hostplan.findings.finding import Finding, Kind, Rule, Severity
from lanekeeper.domain.hostplan.survey import Survey

KERNEL = Kind(
    "kernel-too-old",
    Severity.WARNING,
    "The kernel is too old for something that a card of this host can do.",
    "The host works without it; what is missing is named.",
    "boot a newer kernel",
)
QEMU = Kind(
    "qemu-too-old",
    Severity.WARNING,
    "QEMU is too old for something that a card of this host can do.",
    "Guests run; what is missing is named.",
    "install a newer QEMU",
)
LIBVIRT = Kind(
    "libvirt-too-old",
    Severity.WARNING,
    "libvirt is too old for something that a card of this host can do.",
    "Guests run; what is missing is named.",
    "install a newer libvirt",
)

_MELLANOX = 0x15B3
_ETHERNET = 0x0200


@dataclass(frozen=True, slots=True)
class _Need:
    """A feature, since when it is there, and whether this host has a use for it."""

    kind: Kind
    program: str
    since: tuple[int, ...]
    feature: str
    is_wanted: Callable[[Survey], bool]


def _has_pf(survey: Survey) -> bool:
    return bool(survey.host.pfs)


def _has_network_pf(survey: Survey) -> bool:
    return any(pf.class_code >> 8 == _ETHERNET for pf in survey.host.pfs)


def _has_mellanox(survey: Survey) -> bool:
    return any(pf.vendor_id == _MELLANOX for pf in survey.host.pfs)


def _has_variant(survey: Survey) -> bool:
    return bool(survey.variants) and _has_mellanox(survey)


# Since when: Linux Documentation/ABI/testing/sysfs-bus-pci and drivers/vfio/pci/mlx5; the release
# notes of QEMU and libvirt; Nova's guide to PCI passthrough for VLAN 0.
_NEEDS = (
    _Need(
        KERNEL,
        "kernel",
        (4, 12),
        "VFs that are left without a driver (sriov_drivers_autoprobe)",
        _has_pf,
    ),
    _Need(KERNEL, "kernel", (5, 15), "telling how a device can be reset (reset_method)", _has_pf),
    _Need(KERNEL, "kernel", (5, 18), "migrating a guest with a ConnectX VF", _has_mellanox),
    _Need(QEMU, "qemu", (8, 1), "migrating a guest with a VFIO device", _has_variant),
    _Need(
        LIBVIRT,
        "libvirt",
        (8, 1),
        "passing over a card's refusal to clear the VLAN of a VF",
        _has_network_pf,
    ),
    _Need(LIBVIRT, "libvirt", (10, 0), "choosing a card's own VFIO driver", _has_variant),
)


def _versions(survey: Survey) -> Iterator[Finding]:
    versions = {**survey.versions, "kernel": survey.kernel}
    for need in _NEEDS:
        version = versions.get(need.program)
        if version and version < need.since and need.is_wanted(survey):
            has, wants = (".".join(map(str, numbers)) for numbers in (version, need.since))
            yield need.kind.found(
                need.program,
                f"{need.program} {has} lacks: {need.feature}",
                f"{_SOURCES[need.program]} says {has}; it came with {wants}",
                f"{need.kind.fix} ({wants} or later)",
            )


_SOURCES = {
    "kernel": "/proc/version",
    "qemu": "qemu-system --version",
    "libvirt": "libvirtd --version",
}

RULES: tuple[Rule, ...] = (Rule(_versions, (KERNEL, QEMU, LIBVIRT)),)
