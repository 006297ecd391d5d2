"""What of a host a reboot would take away, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lanekeeper.domain.hostplan.adoption.argument import ARGUMENTS
from lanekeeper.domain.hostplan.adoption.vf import wish_of
from lanekeeper.domain.hostplan.adoption.whole import given_away
from lanekeeper.domain.hostplan.boot_loader import argument_holds
from lanekeeper.domain.hostplan.findings.check import check
from lanekeeper.domain.hostplan.findings.persistence import NOT_PERSISTENT
from lanekeeper.domain.hostplan.kernel_risk import plain_key
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.persistence import POLICY_FILE, UNIT_LINK
from lanekeeper.domain.hostplan.policy.kernel import SIZES_KIB
from lanekeeper.domain.hostplan.policy.pf import SWITCHDEV
from lanekeeper.domain.hostplan.survey import Survey

_IDS = re.compile(r"vfio[-_]pci(?:\.| .*?\b)ids=([0-9A-Fa-f:,]+)")


@dataclass(frozen=True, slots=True)
class Lost:
    """A setting that does not survive a reboot, and why."""

    setting: str
    why: str

    def __str__(self) -> str:
        return f"{self.setting}: {self.why}"


def lost_by_a_reboot(survey: Survey) -> Iterator[Lost]:
    host = survey.host
    for argument in host.cmdline:
        configured = host.configured_cmdline
        wanted = plain_key(argument) in ARGUMENTS
        if wanted and configured is not None and not argument_holds(argument, configured):
            yield Lost(f"kernel argument {argument}", "the boot loader will not give it")
    if host.files.get(UNIT_LINK) is not None and host.files.get(POLICY_FILE) is not None:
        return  # the unit applies the policy at each boot
    unit = "no unit of Lanekeeper's applies a policy at boot"
    for finding in check(survey):
        if finding.id == NOT_PERSISTENT.id:
            yield Lost(f"VFs of {finding.subject}", f"{finding.evidence}; {unit}")
    for pf in host.pfs:
        if not pf.num_vfs:
            continue
        settings = [wish_of(vf, host, auto=True) for vf in host.vfs_of(pf.address)]
        told = sorted({key for wish in settings for key in wish if key != "vf_driver"})
        if told:
            yield Lost(
                f"{', '.join(told)} of VFs of {pf.address}",
                f"the PF's driver keeps them only; {unit}",
            )
        if host.offload.modes.get(pf.address) == SWITCHDEV:
            yield Lost(f"eswitch of {pf.address}", f"devlink keeps its mode until a reboot; {unit}")
    yield from _lost_devices(survey, unit)
    yield from _lost_pages(host, unit)


def _lost_devices(survey: Survey, unit: str) -> Iterator[Lost]:
    """Tell which functions would go back to the host's drivers."""
    words = " ".join((*survey.host.cmdline, *(line.text for line in survey.modprobe)))
    by_ids = {ids.lower() for found in _IDS.findall(words) for ids in found.split(",")}
    for device in given_away(survey.host):
        if f"{device.vendor_id:04x}:{device.product_id:04x}" not in by_ids:
            why = f"no vfio-pci.ids= or options vfio-pci ids= names its kind; {unit}"
            yield Lost(f"driver {device.driver} of {device.address}", why)


def _lost_pages(host: HostFacts, unit: str) -> Iterator[Lost]:
    at_boot = any(argument.startswith("hugepages=") for argument in host.configured_cmdline or ())
    for pool in () if at_boot else huge_pages_of(host):
        where = f"huge pages of {pool['size']} on node {pool['node']}"
        yield Lost(where, f"set in sysfs only, no hugepages= among the kernel arguments; {unit}")


def huge_pages_of(host: HostFacts) -> Iterator[dict[str, Any]]:
    """Yield the pools that have pages, as a policy has them."""
    names = {kib: name for name, kib in SIZES_KIB.items()}
    for node in host.nodes:
        for size, (pages, _) in node.huge_pages.items():
            if pages and size in names:
                yield {"node": node.number, "size": names[size], "pages": pages}
