"""How well one PCI function is: its driver, its link, its errors.

Source: Linux ``Documentation/ABI/testing/sysfs-bus-pci``, ``sysfs-bus-pci-devices-aer`` and
``sysfs-class-net``.
"""

from __future__ import annotations

from pathlib import Path

from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.domain.pci.health import Reading
from lanekeeper.host.attribute import read_text
from lanekeeper.host.function import error_counts, link_speeds, link_widths

_CARRIER = {"up": True, "down": False, "lowerlayerdown": False}
_NOT_OVERRIDDEN = ("", "(null)")


def read_health(root: Path, device: PciDevice) -> Reading:
    """Read what can be seen of *device*, which is no VF. Raises HostFault."""
    home = f"{root}/sys/bus/pci/devices/{device.address}"
    speeds, widths = link_speeds(home), link_widths(home)
    return Reading(
        driver_problem=_driver_problem(home, device),
        carrier=_carrier(root, device),
        speed_gts=None if speeds is None else speeds[0],
        width=None if widths is None else widths[0],
        **{kind: _total(home, kind) for kind in ("fatal", "nonfatal", "correctable")},
    )


def _driver_problem(home: str, device: PciDevice) -> str:
    """A device that nobody has a driver for may be meant so; these are not."""
    if device.driver is not None:
        return ""
    wanted = read_text(f"{home}/driver_override") or ""
    if wanted not in _NOT_OVERRIDDEN:
        return f"driver {wanted}, which it is kept for, does not have it"
    return "it has VFs and no driver" if device.num_vfs else ""


def _carrier(root: Path, device: PciDevice) -> bool | None:
    if device.netdev is None:
        return None
    return _CARRIER.get(read_text(f"{root}/sys/class/net/{device.netdev}/operstate") or "")


def _total(home: str, kind: str) -> int | None:
    """None where the kernel keeps no count: no AER, or not this system's to handle."""
    if read_text(f"{home}/aer_dev_{kind}") is None:
        return None
    return sum(error_counts(home, kind).values())
