"""Everything that the doctor looks at, read in one go, each part by its kernel interface."""

from __future__ import annotations

import re
from pathlib import Path

from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.survey import (
    Firmware,
    KernelLog,
    Line,
    Survey,
    version_numbers,
)
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.host.attribute import read_lines
from lanekeeper.host.facts import read_host
from lanekeeper.host.fault import Faults, below
from lanekeeper.host.firmware import read_firmware
from lanekeeper.host.function import read_bridges, read_functions
from lanekeeper.host.initramfs import read_initramfs
from lanekeeper.host.interfaces import read_netdevs
from lanekeeper.host.kernel_log import read_kernel_log
from lanekeeper.host.modprobe import read_modprobe, read_parameters, read_variants
from lanekeeper.host.offload import read_versions
from lanekeeper.host.text_line import read_boot_lines, read_memory_limits

_NO_LINES: tuple[tuple[Line, ...], tuple[str, ...]] = ((), ())
_RESERVED = re.compile(r"\bdirect$")  # Linux drivers/iommu/iommu.c; direct-relaxable does no harm


def read_survey(root: Path, program: str = "/usr/bin/lanekeeper") -> Survey:
    """Read the host below *root*: ``/``, a planted tree, or a simulated machine.

    What cannot be read is named in the survey; the rest is read all the same.

    Raises:
        HostFault: the PCI bus itself cannot be listed.
    """
    faults = Faults(keep=True)
    host = read_host(root, program, faults)
    functions, function_faults = read_functions(root, host.devices, version_numbers(host.release))
    bridges, bridge_faults = read_bridges(root, host.devices)
    modprobe, ignored = faults.part("modprobe.d", lambda: read_modprobe(root), _NO_LINES)
    boot, boot_files = faults.part("files of the boot", lambda: read_boot_lines(root), _NO_LINES)
    return Survey(
        host=host,
        firmware=faults.part("firmware", lambda: read_firmware(root), Firmware()),
        log=faults.part("the kernel log", lambda: read_kernel_log(root), KernelLog()),
        functions=functions,
        function_faults=below(root, (*function_faults, *bridge_faults)),
        bridges=bridges,
        reserved=faults.part("IOMMU groups", lambda: _reserved(root, host), {}),
        netdevs=faults.part("interfaces", lambda: read_netdevs(root), ()),
        modprobe=modprobe,
        modprobe_ignored=ignored,
        parameters=faults.part("module parameters", lambda: read_parameters(root), {}),
        variants=faults.part("modules.alias", lambda: read_variants(root, host.release), ()),
        boot=boot,
        boot_files=boot_files,
        initramfs=faults.part(
            "initramfs",
            lambda: read_initramfs(root, host.release) if _has_options(modprobe) else None,
            None,
        ),
        memory_limits=faults.part("memory limits", lambda: read_memory_limits(root), ()),
        versions=read_versions(root, faults),
        faults=below(root, tuple(faults.found)),
    )


def _has_options(modprobe: tuple[Line, ...]) -> bool:
    """Whether there is anything to look for in an initramfs, which takes long to unpack."""
    return any(line.text.split()[0] in ("options", "blacklist") for line in modprobe)


def _reserved(root: Path, host: HostFacts) -> dict[int, Line]:
    """Find memory that the firmware keeps for what guests could have; VFs have none by nature."""
    found: dict[int, Line] = {}
    for device in host.devices:
        if device.iommu_group is None or not _could_be_given(device):
            continue
        path = f"sys/kernel/iommu_groups/{device.iommu_group}/reserved_regions"
        for number, text in enumerate(read_lines(str(root / path)), 1):
            if _RESERVED.search(text):
                found[device.iommu_group] = Line(path, number, text)
    return found


def _could_be_given(device: PciDevice) -> bool:
    return device.total_vfs > 0 or (device.parent is None and "vfio" in (device.driver or ""))
