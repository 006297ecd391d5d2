"""The policy that describes a host as it is, and what of it a reboot would take away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lanekeeper.domain.hostplan.findings.check import check
from lanekeeper.domain.hostplan.findings.persistence import NOT_PERSISTENT
from lanekeeper.domain.hostplan.observed import HostFacts, argument_holds
from lanekeeper.domain.hostplan.persistence import POLICY_FILE, UNIT_LINK
from lanekeeper.domain.hostplan.policy.kernel import SIZES_KIB, last_words
from lanekeeper.domain.hostplan.policy.pf import MIGRATION_DRIVER, SWITCHDEV
from lanekeeper.domain.hostplan.policy.policy import VERSION
from lanekeeper.domain.hostplan.policy.vf import VfDriver
from lanekeeper.domain.hostplan.steps.vf import may_be_in_a_guest
from lanekeeper.domain.hostplan.survey import Survey
from lanekeeper.domain.pci.device import PciDevice

_IDS = re.compile(r"vfio[-_]pci(?:\.| .*?\b)ids=([0-9A-Fa-f:,]+)")
_ARGUMENTS = frozenset(
    (
        *("intel_iommu", "amd_iommu", "iommu", "iommu.passthrough", "intremap", "vfio-pci.ids"),
        *("pci", "pcie_acs_override", "hugepagesz", "hugepages", "default_hugepagesz"),
    )
)
"""Kernel arguments that decide what can be given to guests."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A setting that does not survive a reboot, and why."""

    setting: str
    why: str

    def __str__(self) -> str:
        return f"{self.setting}: {self.why}"


def adopt(survey: Survey) -> tuple[dict[str, Any], tuple[Lost, ...]]:
    """Return the policy as a reader of YAML gives it, and what a reboot would take away.

    A plan for this policy on this host changes no device. Whom VFs serve no host knows: physical
    networks and aliases are the operator's to add. What a guest has is that guest's.
    """
    host = survey.host
    with_vfs = [pf for pf in host.pfs if pf.num_vfs]
    arguments = [a for a in last_words(host.cmdline) if a.partition("=")[0] in _ARGUMENTS]
    document = {
        "version": VERSION,
        "kernel_arguments": arguments,
        "huge_pages": list(_huge_pages(host)),
        "pfs": [_entry(pf, host) for pf in with_vfs],
        "devices": [_device(device) for device in _given_away(host)],
        "ovs": dict(_switch(host)),
    }
    return {key: value for key, value in document.items() if value}, tuple(_lost(survey))


def _entry(pf: PciDevice, host: HostFacts) -> dict[str, Any]:
    interface = host.interface_of(pf.address)
    auto = host.autoprobe.get(pf.address, True)
    common = VfDriver.AUTO if auto else VfDriver.NONE
    entry: dict[str, Any] = {"pf": str(pf.address), "vfs": pf.num_vfs}
    if _migrates(pf, host):
        entry["live_migration"] = True
        common_driver = MIGRATION_DRIVER
    else:
        common_driver = str(common)
        entry["vf_driver"] = common_driver
        if host.offload.modes.get(pf.address) == SWITCHDEV:
            entry["eswitch"] = SWITCHDEV
    if interface is not None and not interface.is_up:
        entry["link"] = "leave"
    bridge = _bridge(pf, host)
    if bridge is not None:
        entry["ovs_bridge"] = bridge
    wishes = [(vf.vf_index or 0, _wish(vf, host, auto=auto)) for vf in host.vfs_of(pf.address)]
    ranges = list(_ranges(wishes, common_driver))
    return {**entry, "ranges": ranges} if ranges else entry


def _given_away(host: HostFacts) -> Iterator[PciDevice]:
    """Yield the functions that wait for guests whole; one that a guest has is that guest's."""
    for device in host.whole:
        is_for_guests = device.driver is not None and "vfio" in device.driver
        if is_for_guests and not device.num_vfs and device.address not in host.holders:
            yield device


def _device(device: PciDevice) -> dict[str, Any]:
    return {"device": str(device.address), "driver": device.driver}


def _wish(vf: PciDevice, host: HostFacts, *, auto: bool) -> dict[str, Any]:
    """Say what one VF is; settings that a guest brought with it are not the host's."""
    is_kernels = auto and vf.driver is not None and "vfio" not in vf.driver
    driver = str(VfDriver.AUTO if is_kernels else vf.driver or VfDriver.NONE)
    wish: dict[str, Any] = {"vf_driver": driver}
    assert vf.parent is not None
    now = host.vf_settings.get(vf.parent, {}).get(vf.vf_index or 0)
    if now is None or may_be_in_a_guest(vf, host):
        return wish
    if now.mac is not None:
        wish["mac"] = now.mac
    if now.trust:
        wish["trust"] = True
    if now.spoofchk is False:
        wish["spoofchk"] = False
    return wish


def _ranges(wishes: list[tuple[int, dict[str, Any]]], common: str) -> Iterator[dict[str, Any]]:
    """Put neighbours that are alike into one range; what the PF's entry says needs none."""
    runs: list[tuple[int, int, dict[str, Any]]] = []
    for index, wish in wishes:
        plain = {k: v for k, v in wish.items() if (k, v) != ("vf_driver", common)}
        if runs and runs[-1][1] == index - 1 and runs[-1][2] == plain:
            runs[-1] = (runs[-1][0], index, plain)
        else:
            runs.append((index, index, plain))
    for first, last, wish in runs:
        if wish:
            yield {"vfs": f"{first}-{last}", **wish}


def _migrates(pf: PciDevice, host: HostFacts) -> bool:
    return host.vfs_of(pf.address) != () and all(
        vf.driver == MIGRATION_DRIVER
        and host.offload.migratable.get((pf.address, vf.vf_index or 0), False)
        for vf in host.vfs_of(pf.address)
    )


def _bridge(pf: PciDevice, host: HostFacts) -> str | None:
    """Return the bridge that has the PF and the representors of all its VFs."""
    names = {pf.netdev, *(name for (at, _), name in host.representors.items() if at == pf.address)}
    bridges = host.offload.ovs.bridges.items() if host.offload.ovs else ()
    whole = len(names) == pf.num_vfs + 1
    return next((name for name, ports in bridges if whole and names <= set(ports)), None)


def _huge_pages(host: HostFacts) -> Iterator[dict[str, Any]]:
    names = {kib: name for name, kib in SIZES_KIB.items()}
    for node in host.nodes:
        for size, (pages, _) in node.huge_pages.items():
            if pages and size in names:
                yield {"node": node.number, "size": names[size], "pages": pages}


def _switch(host: HostFacts) -> Iterator[tuple[str, Any]]:
    settings = host.offload.ovs.settings if host.offload.ovs else {}
    if settings.get("hw-offload") in ("true", "false"):
        yield "hw_offload", settings["hw-offload"] == "true"
    if settings.get("max-idle", "").isdecimal():
        yield "max_idle_ms", int(settings["max-idle"])


def _lost(survey: Survey) -> Iterator[Lost]:
    host = survey.host
    for argument in host.cmdline:
        configured = host.configured_cmdline
        wanted = argument.partition("=")[0] in _ARGUMENTS
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
        settings = [_wish(vf, host, auto=True) for vf in host.vfs_of(pf.address)]
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
    for device in _given_away(survey.host):
        if f"{device.vendor_id:04x}:{device.product_id:04x}" not in by_ids:
            why = f"no vfio-pci.ids= or options vfio-pci ids= names its kind; {unit}"
            yield Lost(f"driver {device.driver} of {device.address}", why)


def _lost_pages(host: HostFacts, unit: str) -> Iterator[Lost]:
    at_boot = any(argument.startswith("hugepages=") for argument in host.configured_cmdline or ())
    for pool in () if at_boot else _huge_pages(host):
        where = f"huge pages of {pool['size']} on node {pool['node']}"
        yield Lost(where, f"set in sysfs only, no hugepages= among the kernel arguments; {unit}")
