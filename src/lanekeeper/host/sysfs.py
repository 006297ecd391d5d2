"""PCI functions of this host, read from and written to sysfs.

A scan costs about eight system calls a function and reads no configuration space, except once
for the serial number of what is not a VF: a read there wakes a device that sleeps.

Source: Linux ``Documentation/ABI/testing/sysfs-bus-pci``.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from lanekeeper.domain.errors import Conflict, Error, HostFault, Invalid, NotFound
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceType, PciDevice
from lanekeeper.host.attribute import (
    Write,
    link_name,
    link_target,
    names,
    read_text,
    whole,
    write_text,
)
from lanekeeper.host.function_file import (
    driver_of,
    identity,
    number,
    read_autoprobe,
    require_ids,
)
from lanekeeper.host.scan import DeviceFault, Scan
from lanekeeper.host.slot import read_slots

_REPRESENTOR = re.compile(r"(c\d+)?pf\d+(vf|sf)\d+")
_BRIDGE = 0x06  # base class; PCI Code and ID Assignment Specification
_SERIAL_CAPABILITY = 0x0003  # Linux include/uapi/linux/pci_regs.h, PCI_EXT_CAP_ID_DSN
_EXTENDED_AT = 0x100
_CONFIG_BYTES = 4096
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2})*", re.IGNORECASE)
_VFS_MAX = 0xFFFF  # PCI Express Base Specification, SR-IOV capability: TotalVFs has 16 bits
_NODE_MAX = 1023  # Linux include/linux/numa.h, with the largest CONFIG_NODES_SHIFT


@dataclass(frozen=True, slots=True)
class _Family:
    """What a PF and its VFs share: read once, however many VFs there are.

    Attributes:
        root: the PF's root port. VFs hang below the same, also those on a bus of their own.
        indices: of the VFs, by name.

    Source: Linux drivers/pci/iov.c, virtfn_add_bus().
    """

    pf: PciAddress
    root: str | None
    indices: dict[str, int]


class PciSysfs:
    """The PCI bus below *root*: ``/`` in production, a planted directory in tests.

    Args:
        root: where ``sys`` is.
        write: how the kernel is given a text; the simulated machine gives its own.
    """

    def __init__(self, root: Path = Path("/"), write: Write = write_text) -> None:
        self._root = root
        self._devices = str(root / "sys/bus/pci/devices")
        self._interfaces = str(root / "sys/class/net")
        self._write = write
        self._serials: dict[tuple[str, int], str | None] = {}

    def scan(self) -> Scan:
        """Read every function, in bus order.

        One unplugged meanwhile is left out; one that cannot be read is set aside and named.

        Raises:
            HostFault: the bus itself cannot be listed.
        """
        found: list[PciDevice] = []
        faults: list[DeviceFault] = []
        families: dict[str, _Family] = {}
        for name in names(self._devices):
            try:
                found.append(self._read(name, PciAddress.parse(name), families))
            except NotFound as error:
                if os.path.lexists(self._home(name)):
                    faults.append(DeviceFault(name, str(error)))
            except Error as error:
                faults.append(DeviceFault(name, str(error)))
        found.sort(key=_position)
        return Scan(tuple(found), tuple(faults), self._slots(found))

    def _slots(self, devices: list[PciDevice]) -> dict[PciAddress, str]:
        """Slots tell more of cards; without them, or where they cannot be read, all else holds."""
        try:
            return read_slots(self._root, (one for one in devices if one.parent is None))
        except HostFault:
            return {}

    def device(self, address: PciAddress) -> PciDevice:
        """Read one function.

        Raises:
            NotFound: no function sits at *address*.
            HostFault: the kernel refused a read, or said what makes no sense.
        """
        return self._read(str(address), address, {})

    def vf_addresses(self, pf: PciAddress) -> dict[int, PciAddress]:
        """Return where each VF of *pf* sits, by index. Raises HostFault."""
        found = self._virtfns(str(pf)).items()
        return {index: PciAddress.parse(name) for name, index in found}

    def interface(self, address: PciAddress) -> tuple[str, int]:
        """Return name and index of the function's network interface.

        Raises:
            NotFound: it has none; a network function without one has no driver.
        """
        home = self._home(str(address))
        name = _netdev(home, driver_of(home))
        index = name and self._of_interface(home, name, "ifindex")
        if not name or not index:
            raise NotFound(f"{address} has no network interface", hint="is its driver loaded?")
        return name, whole(index, "ifindex")

    def create_vfs(self, pf: PciAddress, count: int) -> None:
        """Make *pf* have exactly *count* VFs, or none when 0.

        The kernel allows 0 -> n and n -> 0 but no direct n -> m, and destroys every VF
        on the way to 0. So a PF that already has another number of VFs is left alone.

        Raises:
            NotFound: no function sits at *pf*.
            Invalid: *count* is not in 0..sriov_totalvfs.
            Conflict: *pf* has VFs already, of another number.
            HostFault: the PF driver refused, or made fewer VFs than asked.

        Source: Linux ``drivers/pci/pci-sysfs.c``, sriov_numvfs_store().
        """
        device = self.device(pf)
        if not 0 <= count <= device.total_vfs:
            raise Invalid(f"{pf} can have 0 to {device.total_vfs} VFs, not {count}")
        if device.num_vfs == count:
            return
        if device.num_vfs and count:
            raise Conflict(f"{pf} has {device.num_vfs} VFs; remove them before asking for {count}")
        self._write(f"{self._home(str(pf))}/sriov_numvfs", str(count))
        made = int(read_text(f"{self._home(str(pf))}/sriov_numvfs") or 0)
        if made != count:
            raise HostFault(f"{pf} made {made} VFs of {count}")

    def set_autoprobe(self, pf: PciAddress, enabled: bool) -> None:
        """Say whether drivers may take VFs of *pf* as they appear. Raises NotFound, HostFault."""
        if self.autoprobe(pf) != enabled:
            path = f"{self._home(str(pf))}/sriov_drivers_autoprobe"
            self._write(path, str(int(enabled)))

    def autoprobe(self, pf: PciAddress) -> bool:
        """Return whether drivers take VFs of *pf* as they appear. Raises NotFound, HostFault."""
        enabled = read_autoprobe(self._home(str(pf)))
        if enabled is None:
            raise NotFound(f"{pf} is no PF")
        return enabled

    def reset(self, address: PciAddress) -> None:
        """Reset the function by the method that the kernel prefers, FLR where it has that.

        Raises:
            NotFound: no function sits at *address*.
            HostFault: the kernel knows no way to reset it, or the reset failed.
        """
        path = f"{self._home(str(address))}/reset"
        if not os.path.lexists(path):
            self.device(address)
            raise HostFault(f"the kernel knows no way to reset {address}")
        self._write(path, "1")

    def serial(self, address: PciAddress) -> str | None:
        """Return the card's serial number, as ``00-1b-21-ff-ff-aa-01-01``.

        None when the card has none, or the reader may not see it (only root may).

        Source: PCI Express Base Specification, Device Serial Number capability.
        """
        path = f"{self._home(str(address))}/config"
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise HostFault(f"cannot read {path}: {error.strerror}") from error
        try:
            return _serial_number(descriptor)
        except OSError as error:
            raise HostFault(f"cannot read {path}: {error.strerror}") from error
        finally:
            os.close(descriptor)

    def _home(self, name: str) -> str:
        return f"{self._devices}/{name}"

    def _read(self, name: str, address: PciAddress, families: dict[str, _Family]) -> PciDevice:
        """Read one function; *families* remembers the PFs of VFs met on the way."""
        home = self._home(name)
        vendor_id, product_id, class_code = identity(home, name)
        parent = link_name(f"{home}/physfn")
        if parent is None:  # of a VF the kernel takes them from its PF, and there are many
            require_ids(home)
        total_vfs = 0 if parent else number(home, "sriov_totalvfs", 0, _VFS_MAX)
        numa_node = number(home, "numa_node", -1, _NODE_MAX, absent=-1)
        if total_vfs:
            read_autoprobe(home)
        driver = driver_of(home)
        netdev = _netdev(home, driver) if class_code >> 16 in (0x00, 0x02) else None
        family = self._family(parent, families) if parent else None
        if family and name not in family.indices:
            raise HostFault(f"no virtfn link of its PF {parent} leads to it")
        group = link_name(f"{home}/iommu_group")
        return PciDevice(
            address=address,
            vendor_id=vendor_id,
            product_id=product_id,
            class_code=class_code,
            dev_type=_dev_type(parent, total_vfs),
            parent=family.pf if family else None,
            vf_index=family.indices[name] if family else None,
            numa_node=None if numa_node < 0 else numa_node,
            pcie_root=family.root if family else _root_port(home),
            iommu_group=whole(group, "iommu_group") if group else None,
            has_reset=parent is not None or os.path.lexists(f"{home}/reset"),
            total_vfs=total_vfs,
            num_vfs=number(home, "sriov_numvfs", 0, total_vfs) if total_vfs else 0,
            driver=driver,
            netdev=netdev,
            mac=self._mac(home, netdev) if netdev else None,
            serial=None if parent or class_code >> 16 == _BRIDGE else self._serial_once(address),
        )

    def _family(self, pf: str, families: dict[str, _Family]) -> _Family:
        if pf not in families:
            root = _root_port(self._home(pf))
            families[pf] = _Family(PciAddress.parse(pf), root, self._virtfns(pf))
        return families[pf]

    def _of_interface(self, home: str, netdev: str, attribute: str) -> str | None:
        text = read_text(f"{home}/net/{netdev}/{attribute}")
        return text or read_text(f"{self._interfaces}/{netdev}/{attribute}")

    def _mac(self, home: str, netdev: str) -> str | None:
        """Return the address, of an Ethernet interface or a longer one."""
        text = self._of_interface(home, netdev, "address")
        if text and not _MAC.fullmatch(text):
            raise HostFault(f"address of {netdev} is {text[:40]!r}, no hardware address")
        return text

    def _virtfns(self, pf: str) -> dict[str, int]:
        home = self._home(pf)
        links = [name for name in names(home) if name.startswith("virtfn")]
        return {link_name(f"{home}/{link}") or "": whole(link[6:], "virtfn") for link in links}

    def _serial_once(self, address: PciAddress) -> str | None:
        """Remember the number for as long as the kernel keeps this device object."""
        key = str(address), os.stat(self._home(str(address))).st_ino  # noqa: PTH116  # hot path
        if key not in self._serials:
            self._serials[key] = self.serial(address)
        return self._serials[key]


def _netdev(home: str, driver: str | None) -> str | None:
    """Return the function's own interface; ports of an eswitch (representors) are passed over."""
    if driver is None:
        return None
    found = names(f"{home}/net")
    if not found and driver == "virtio-pci":
        return _virtio_netdev(home)
    if len(found) > 1:
        ports = {name: read_text(f"{home}/net/{name}/phys_port_name") or "" for name in found}
        found = [name for name in found if not _REPRESENTOR.fullmatch(ports[name])]
    return found[0] if found else None


def _virtio_netdev(home: str) -> str | None:
    """A virtio NIC's interface hangs below the virtio device, one step down."""
    children = [name for name in names(home) if name.startswith("virtio")]
    found = [name for child in children for name in names(f"{home}/{child}/net")]
    return found[0] if found else None


def _root_port(home: str) -> str | None:
    """The first bridge on the way ``devices/pciDDDD:BB/BRIDGE/.../FUNCTION``."""
    _, _, way = (link_target(home) or "").partition("/pci")
    _, *bridges = way.split("/")
    return bridges[0] if len(bridges) > 1 else None


def _dev_type(parent: str | None, total_vfs: int) -> DeviceType:
    if parent is not None:
        return DeviceType.VF
    return DeviceType.PF if total_vfs else DeviceType.PCI


def _position(device: PciDevice) -> PciAddress:
    return device.address


def _serial_number(config: int) -> str | None:
    """Follow the chain of extended capabilities, reading no register that is not part of it."""
    at = _EXTENDED_AT
    for _ in range(_CONFIG_BYTES // 8):  # a broken chain may loop
        header = int.from_bytes(os.pread(config, 4, at), "little")
        if header & 0xFFFF == _SERIAL_CAPABILITY:
            number = os.pread(config, 8, at + 4)
            return number[::-1].hex("-") if any(number) else None
        at = header >> 20
        if at < _EXTENDED_AT:
            break
    return None
