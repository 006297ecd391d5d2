"""Steps by which functions get their drivers however they come: at boot, or made by somebody.

The unit makes VFs and binds them. What is written here holds besides: no driver takes a new VF that
is to have none, and one that is for a VFIO driver is for no other; a device that is given away
whole is for its driver alone. The rules are kept out of the first root file system: where addresses
have moved, one of them could take the host's own disk there.

Source: Linux ``Documentation/ABI/testing/sysfs-bus-pci``, driver_override and
sriov_drivers_autoprobe; udev(7); modules-load.d(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lanekeeper.domain.hostplan import persistence
from lanekeeper.domain.hostplan.choice import Choice
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.device import DevicePolicy
from lanekeeper.domain.hostplan.policy.pf import PfPolicy
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.step import Step
from lanekeeper.domain.hostplan.steps.files import own_file_steps
from lanekeeper.domain.hostplan.steps.module import wanted_modules
from lanekeeper.domain.pci.address import PciAddress, vf_address
from lanekeeper.domain.pci.device import PciDevice

_ABOUT = re.compile(r'KERNEL=="([0-9a-f:.]+)"')


def module_load_steps(policy: Policy, host: HostFacts) -> Iterator[Step]:
    """Have VFIO drivers loaded at boot, before the unit asks for them."""
    wanted = wanted_modules(policy, host) if policy.persist else ()
    why = "VFIO drivers are there before VFs are"
    if policy.devices:
        why = "drivers for guests are there before the devices are asked for"
    text = "".join(f"{name}\n" for name in wanted)
    yield from own_file_steps(host, persistence.MODULES_LOAD_FILE, text, why)


def rule_steps(policy: Policy, host: HostFacts, chosen: Choice) -> Iterator[Step]:
    """Write udev rules that keep other drivers from these VFs and devices."""
    if not policy.persist:
        yield from own_file_steps(host, persistence.UDEV_FILE, "", "")
        return
    vfs = [line for entry, pf in chosen.pfs for line in _rules(entry, pf, host)]
    devices = [_device_rule(entry, device) for entry, device in chosen.devices]
    lines = [*vfs, *devices]
    if chosen.is_partial:
        lines = [*_with_those_before(lines, chosen, host)]
    why = "VFs that somebody else makes get no other driver"
    if devices:
        why = "from the start of the next boot no other driver takes these devices"
    yield from own_file_steps(host, persistence.UDEV_FILE, "".join(lines), why)


def _with_those_before(lines: list[str], chosen: Choice, host: HostFacts) -> Iterator[str]:
    """Yield *lines* and, in their old places, those of functions that are gone or left out."""
    text = host.files.get(persistence.UDEV_FILE) or ""
    before = text.splitlines(keepends=True) if persistence.SIGN in text else []
    here = {device.address for device in host.devices if not _is_left(device, chosen)}
    for _, pf in chosen.pfs:
        here |= {at for index in range(pf.total_vfs) if (at := _address(pf, index, host))}
    for line in before:
        about = _ABOUT.search(line)
        if line in lines or (about and PciAddress.parse(about[1]) not in here):
            yield line
    yield from (line for line in lines if line not in before)


def _is_left(device: PciDevice, chosen: Choice) -> bool:
    return not chosen.left.isdisjoint((device.address, device.parent or device.address))


def _rules(entry: PfPolicy, pf: PciDevice, host: HostFacts) -> Iterator[str]:
    if not entry.vfs:
        return
    if not entry.autoprobe and pf.address in host.autoprobe:
        yield _rule(pf.address, "sriov_drivers_autoprobe", "0")
    for index in range(entry.vfs):
        driver = entry.of(index).named_driver or ""
        address = _address(pf, index, host) if "vfio" in driver else None
        if address is not None:
            yield _rule(address, "driver_override", driver)


def _device_rule(entry: DevicePolicy, device: PciDevice) -> str:
    """Name the kind of device too: an address may have moved to another one by the next boot."""
    kind = (
        f'ATTR{{vendor}}=="0x{device.vendor_id:04x}", ATTR{{device}}=="0x{device.product_id:04x}"'
    )
    return _rule(device.address, "driver_override", entry.driver, kind)


def _rule(address: PciAddress, attribute: str, value: str, kind: str = "") -> str:
    match = f'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="{address}"'
    match = f"{match}, {kind}" if kind else match
    return f'{match}, ATTR{{{attribute}}}="{value}"\n'


def _address(pf: PciDevice, index: int, host: HostFacts) -> PciAddress | None:
    """Return where VF *index* is, or will be; None where the card does not say."""
    there = next((vf for vf in host.vfs_of(pf.address) if vf.vf_index == index), None)
    if there is not None:
        return there.address
    routing = host.vf_routing.get(pf.address)
    return None if routing is None else vf_address(pf.address, *routing, index)
