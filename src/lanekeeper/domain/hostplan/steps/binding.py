"""Steps by which VFs get their drivers however they come: at boot, or made by somebody else.

The unit makes VFs and binds them. What is written here holds besides: no driver takes a new VF that
is to have none, and one that is for a VFIO driver is for no other.

Source: Linux ``Documentation/ABI/testing/sysfs-bus-pci``, driver_override and
sriov_drivers_autoprobe; udev(7); modules-load.d(5).
"""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan import persistence
from lanekeeper.domain.hostplan.choice import Chosen
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.pf import PfPolicy
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.step import Step
from lanekeeper.domain.hostplan.steps.files import own_file_steps
from lanekeeper.domain.hostplan.steps.module import wanted_modules
from lanekeeper.domain.pci.address import PciAddress, vf_address
from lanekeeper.domain.pci.device import PciDevice


def module_load_steps(policy: Policy, host: HostFacts) -> Iterator[Step]:
    """Have VFIO drivers loaded at boot, before the unit asks for them."""
    if policy.persist:
        text = "".join(f"{name}\n" for name in wanted_modules(policy, host))
        why = "VFIO drivers are there before VFs are"
        yield from own_file_steps(host, persistence.MODULES_LOAD_FILE, text, why)


def rule_steps(policy: Policy, host: HostFacts, chosen: Chosen) -> Iterator[Step]:
    """Write udev rules that keep other drivers from these VFs."""
    if policy.persist:
        lines = (line for entry, pf in chosen for line in _rules(entry, pf, host))
        why = "VFs that somebody else makes get no other driver"
        yield from own_file_steps(host, persistence.UDEV_FILE, "".join(lines), why)


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


def _rule(address: PciAddress, attribute: str, value: str) -> str:
    match = f'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="{address}"'
    return f'{match}, ATTR{{{attribute}}}="{value}"\n'


def _address(pf: PciDevice, index: int, host: HostFacts) -> PciAddress | None:
    """Return where VF *index* is, or will be; None where the card does not say."""
    there = next((vf for vf in host.vfs_of(pf.address) if vf.vf_index == index), None)
    if there is not None:
        return there.address
    routing = host.vf_routing.get(pf.address)
    return None if routing is None else vf_address(pf.address, *routing, index)
