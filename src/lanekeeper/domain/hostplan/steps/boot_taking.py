"""What a policy would take from the host at the next boot by its words to the kernel alone.

A device named by its ids is taken wherever it is, and a module that does not load takes its
devices along; neither names an address, so nothing else in the policy speaks of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan.management import management_code
from lanekeeper.domain.hostplan.observed import HostFacts, Interface
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.step import Refusal
from lanekeeper.domain.pci.device import PciDevice

_IDS = "ids"
_BLACKLIST = "module_blacklist"
_VFIO = "vfio_pci"
_DIGITS = 4


def boot_taking_refusals(policy: Policy, host: HostFacts) -> Iterator[Refusal]:
    """Refuse to take the interfaces that carry the way to the host, unless that is told."""
    if policy.manage_management:
        return
    kept = [one for one in host.interfaces if one.is_management]
    devices = {device.address: device for device in host.devices}
    for interface in kept:
        device = devices.get(interface.device)
        if device is None:
            continue
        for subject, what in _takers(policy, device):
            yield _refusal(subject, what, interface)


def _takers(policy: Policy, device: PciDevice) -> Iterator[tuple[str, str]]:
    """Each place of the policy that takes *device* from its driver, and how."""
    for at, argument in enumerate(policy.kernel_arguments):
        name, _, value = argument.replace("-", "_").partition("=")
        subject = f"kernel_arguments[{at}]"
        if name == f"{_VFIO}.{_IDS}" and _has_id(value, device):
            yield subject, f"{argument} gives vfio-pci every {_ids(device)}"
        elif name == _BLACKLIST and _module_of(device) in value.split(","):
            yield subject, f"{argument} keeps {device.driver} from loading"
    for options in policy.module_options:
        for option in options.options:
            name, _, value = option.partition("=")
            if _plain(options.module) == _VFIO and name == _IDS and _has_id(value, device):
                subject = f"module_options: {options.module}"
                yield subject, f"{option} gives vfio-pci every {_ids(device)}"
    for at, module in enumerate(policy.blacklist):
        if _plain(module) == _module_of(device):
            yield f"blacklist[{at}]", f"{module} would not load at boot"


def _refusal(subject: str, what: str, interface: Interface) -> Refusal:
    reason = f"{what}, {interface.device} with it: {interface.duty}"
    fix = (
        "name devices by address in pfs instead of by ids, and leave its driver alone; "
        "manage_management: true allows it"
    )
    return Refusal(management_code(interface), subject, reason, fix)


def _has_id(value: str, device: PciDevice) -> bool:
    """Whether a list of ``vendor:device[:…]`` names the device; what has more fields may."""
    wanted = _ids(device)
    return any(one.lower().split(":")[:2] == wanted.split(":") for one in value.split(","))


def _ids(device: PciDevice) -> str:
    return f"{device.vendor_id:0{_DIGITS}x}:{device.product_id:0{_DIGITS}x}"


def _module_of(device: PciDevice) -> str | None:
    return _plain(device.driver) if device.driver else None


def _plain(name: str) -> str:
    return name.replace("-", "_")
