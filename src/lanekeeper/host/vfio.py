"""Handing a PCI function from one driver to another, and what its IOMMU group has to say.

Source: Linux ``Documentation/ABI/testing/sysfs-bus-pci``, driver_override; ``Documentation/
driver-api/vfio.rst``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from lanekeeper.domain.errors import HostFault, Invalid, NotFound
from lanekeeper.domain.hostplan.isolation import HARMLESS
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host.attribute import Write, link_name, names, read_text, write_text

_DRIVER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+-]{0,63}")


class Vfio:
    """Driver control of PCI functions below *root*."""

    def __init__(self, root: Path = Path("/"), write: Write = write_text) -> None:
        self._bus = str(root / "sys/bus/pci")
        self._write = write

    def driver(self, address: PciAddress) -> str | None:
        """Return the bound driver's name, or None. Raises NotFound, HostFault."""
        home = self._home(address)
        if not os.path.lexists(home):
            raise NotFound(f"no PCI function at {address}")
        return link_name(f"{home}/driver")

    def bind(self, address: PciAddress, driver: str | None) -> None:
        """Give the function to *driver*, or to none.

        ``driver_override`` stays set for a VFIO driver, so that nothing else takes the function
        back, and is cleared for any other. Done already is done.

        Raises:
            Invalid: *driver* cannot be the name of a driver.
            NotFound: no such function.
            HostFault: the driver is not loaded, or did not take the function; it has none then.
        """
        if driver is not None and not _DRIVER.fullmatch(driver):
            raise Invalid(f"{driver!r} is not the name of a driver")
        now = self.driver(address)
        if now == driver:
            return
        if driver is not None and not os.path.lexists(f"{self._bus}/drivers/{driver}"):
            raise HostFault(
                f"driver {driver} for {address} is not loaded", hint=f"modprobe {driver}"
            )
        if now is not None:
            self._write(f"{self._home(address)}/driver/unbind", str(address))
        self._override(address, driver)
        if driver is not None:
            self._probe(address, driver)

    def _probe(self, address: PciAddress, driver: str) -> None:
        try:
            self._write(f"{self._bus}/drivers_probe", str(address))
            taken = self.driver(address)
        except HostFault:
            self._override(address, None)
            raise
        if taken != driver:
            self._override(address, None)
            raise HostFault(
                f"driver {driver} did not take {address}",
                hint="the kernel log says why; vfio-pci needs an IOMMU group, VF drivers the PF up",
            )
        if not is_vfio(driver):
            self._override(address, None)

    def _override(self, address: PciAddress, driver: str | None) -> None:
        path = f"{self._home(address)}/driver_override"
        if (read_text(path) or "(null)") != (driver or "(null)"):
            self._write(path, f"{driver or ''}\n")

    def group(self, address: PciAddress) -> tuple[PciAddress, ...]:
        """List the members of the function's IOMMU group in bus order; empty without one."""
        members = names(f"{self._home(address)}/iommu_group/devices")
        return tuple(sorted(PciAddress.parse(name) for name in members if _is_address(name)))

    def blockers(self, address: PciAddress) -> tuple[PciAddress, ...]:
        """List the members of its group that keep a guest from having the function."""
        return tuple(member for member in self.group(address) if not self._harmless(member))

    def _harmless(self, address: PciAddress) -> bool:
        driver = self.driver(address)
        if driver is None or driver in HARMLESS or is_vfio(driver):
            return True
        return (read_text(f"{self._home(address)}/class") or "").startswith("0x0604")

    def _home(self, address: PciAddress) -> str:
        return f"{self._bus}/devices/{address}"


def is_vfio(driver: str | None) -> bool:
    """Whether a driver hands functions to guests: vfio-pci or a variant such as mlx5_vfio_pci."""
    return driver is not None and "vfio" in driver


def _is_address(name: str) -> bool:
    try:
        PciAddress.parse(name)
    except Invalid:
        return False  # platform devices share groups too
    return True
