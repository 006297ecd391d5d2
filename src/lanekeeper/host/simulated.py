"""A machine that is a directory: a planted tree with a small kernel behind its writes.

The same code that reads and writes the real sysfs runs on it; only write(2) and netlink are
replaced. All state is in the directory, so whoever is killed finds it again as it was.
It knows what Lanekeeper asks of a kernel: VFs, drivers, their settings. The lab runs the same
scenarios against Linux, which keeps this honest.
"""

from __future__ import annotations

import errno
import os
import shlex
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.pci.address import PciAddress, vf_address
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.domain.pci.driver import is_vfio
from lanekeeper.host import simulated_grub, simulated_menu
from lanekeeper.host.attribute import link_name, names, read_text, refusals, write_text
from lanekeeper.host.facts import read_release
from lanekeeper.host.interfaces import read_interfaces
from lanekeeper.host.linux import LinuxMachine
from lanekeeper.host.modprobe import modules_listed, read_loadable
from lanekeeper.host.simulated_eswitch import SimulatedEswitch
from lanekeeper.host.simulated_fdb import SimulatedFdb
from lanekeeper.host.simulated_interface import SimulatedInterfaces
from lanekeeper.host.simulated_links import SimulatedLinks
from lanekeeper.host.simulated_switch import SimulatedSwitch
from lanekeeper.host.tree import plant
from lanekeeper.host.vf_settings import forget_settings, settings_file

Refuse = Callable[[str, str], int]
"""A disturbance: ``refuse(path, text)`` returns the errno that a write fails with, 0 for none."""

LAB_TREE, MODULES_TREE = "lab-host.tree", "lab-modules.tree"
_NATURAL = {
    **{(0x8086, 0x10CA): "igbvf", (0x8086, 0x10C9): "igb", (0x1B36, 0x0010): "nvme"},
    **{(0x8086, 0x10ED): "ixgbevf", (0x8086, 0x154C): "iavf", (0x8086, 0x1889): "iavf"},
    **{(0x15B3, 0x1018): "mlx5_core", (0x15B3, 0x101E): "mlx5_core"},
}
_VF_ATTRIBUTES = ("vendor", "class", "numa_node")


def never(_path: str, _text: str) -> int:
    """Refuse nothing."""
    return 0


def lab_tree() -> str:
    """Return the lab's host before its policy: two 82576, one NVMe with SR-IOV, no VFs."""
    return files("lanekeeper.host.data").joinpath(LAB_TREE).read_text("utf-8")


def machine_tree() -> str:
    """Return the lab's host with the list of its kernel's modules, which captures leave out."""
    return lab_tree() + files("lanekeeper.host.data").joinpath(MODULES_TREE).read_text("utf-8")


def plant_lab(directory: Path) -> Path:
    """Plant the lab's host as its policy leaves it: 7 VFs on each 82576, 4 on the NVMe drive."""
    machine = SimulatedMachine(plant(lab_tree(), directory))
    for address, count in (("0000:21:00.0", 7), ("0000:41:00.0", 7), ("0000:22:00.0", 4)):
        pf = PciAddress.parse(address)
        machine.set_autoprobe(pf, False)
        machine.create_vfs(pf, count)
        if machine.device(pf).netdev:
            machine.set_link(pf, True)
    return directory


class SimulatedMachine(LinuxMachine):
    """See ``host.machine.Machine``; *root* is a planted directory that this machine owns."""

    def __init__(self, root: Path, refuse: Refuse = never) -> None:
        self.root = root
        self.kernel = SimulatedKernel(root, refuse)
        super().__init__(
            root, write=self.kernel.write, links=SimulatedLinks(root), fdb=SimulatedFdb(root)
        )

    def bridges(self, names: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        """As captured; where Open vSwitch is not, whoever asks for a bridge has it, without ports.

        So normal ports can be tried without a capture of a host that has some.
        """
        if SimulatedSwitch(self.root).is_there:
            return super().bridges(names)
        return dict.fromkeys(names, ())

    def management(self) -> frozenset[str]:
        """The interfaces that carry its own traffic, by the routes that it was captured with."""
        found = read_interfaces(self.root).found
        return frozenset(one.name for one in found if one.is_management)

    def host_driver(self, device: PciDevice) -> str | None:
        """As this kernel would probe: by the ids that it knows, where that driver is loaded."""
        if device.driver is not None and not is_vfio(device.driver):
            return device.driver
        natural = _NATURAL.get((device.vendor_id, device.product_id))
        is_loaded = natural and (self.root / "sys/bus/pci/drivers" / natural).is_dir()
        return natural if is_loaded else None

    def run(self, arguments: Sequence[str]) -> None:
        """Stand in for programs: they change what the directory holds, update-grub is only noted.

        Raises:
            HostFault: any other program, or the directory takes nothing.
        """
        with refusals(f"run {shlex.join(arguments)}"):
            self._run(list(arguments))

    def _run(self, arguments: list[str]) -> None:
        match arguments:
            case ["modprobe", name]:
                self._require_module(name)
                (self.root / "sys/module" / name.replace("-", "_")).mkdir(exist_ok=True)
                if name in _NATURAL.values() or is_vfio(name):
                    (self.root / "sys/bus/pci/drivers" / name).mkdir(parents=True, exist_ok=True)
            case ["update-grub"]:
                (self.root / "simulated").mkdir(exist_ok=True)
                (self.root / "simulated/boot-menu-updated").touch()
            case ["devlink", "dev", "eswitch", "set", card, "mode", mode]:
                self.kernel.eswitch.set_mode(card.removeprefix("pci/"), mode)
            case ["devlink", "port", "function", "set", port, "migratable", word]:
                self.kernel.eswitch.set_migratable(port, word)
            case ["mstconfig", "-y", "-d", pf, "set", setting]:
                self.kernel.eswitch.set_firmware(pf, setting.partition("=")[2])
            case [program, *_] if program in simulated_grub.PROGRAMS:
                simulated_grub.run(self.root, arguments)
            case [program, *_] if program in simulated_menu.PROGRAMS:
                simulated_menu.run(self.root, arguments)
            case ["ovs-vsctl", *words]:
                SimulatedSwitch(self.root).run(words)
            case _:
                raise HostFault(f"a simulated machine does not run {shlex.join(arguments)}")

    def _require_module(self, name: str) -> None:
        """Know what the directory's kernel lists, has loaded or drives cards with, and no other."""
        release = read_release(self.root)
        known = {*_NATURAL.values(), *read_loadable(self.root, release)}
        known |= {*names(str(self.root / "sys/module"))}
        listed = release and (self.root / modules_listed(release)).exists()
        if name.replace("-", "_") in known or (is_vfio(name) and not listed):
            return
        raise HostFault(f"modprobe: module {name} not found in /lib/modules/{release}")


class SimulatedKernel:
    """What happens when a text is written to an attribute below *root*."""

    def __init__(self, root: Path, refuse: Refuse = never) -> None:
        self._root = root
        self._bus = root / "sys/bus/pci"
        self._refuse = refuse
        self.eswitch = SimulatedEswitch(root)
        self._interfaces = SimulatedInterfaces(root)

    def write(self, path: str, text: str) -> None:
        """Take *text* as the kernel does. Raises HostFault with the kernel's reason."""
        refused = self._refuse(path, text)
        if refused:
            raise _refusal(path, text, refused)
        with refusals(f"write {text.strip()!r} to {path}"):  # as of a full disk
            self._take(path, text)

    def _take(self, path: str, text: str) -> None:
        home, _, attribute = path.rpartition("/")
        match attribute:
            case "sriov_numvfs":
                self._set_count(Path(home).resolve(), path, int(text))
            case "unbind":
                self._unbind(self._bus / "devices" / text.strip())
            case "drivers_probe":
                self._probe((self._bus / "devices" / text.strip()).resolve(), path)
            case "nr_hugepages":
                self._keep_pages(Path(path), int(text))
            case "reset":
                pass  # VF settings belong to the PF: a function's reset leaves them
            case "driver_override":
                write_text(path, text if text.strip() else "(null)\n")
            case _:
                write_text(path, f"{text.strip()}\n")

    def _keep_pages(self, path: Path, count: int) -> None:
        free = path.with_name("free_hugepages")
        used = _number(path) - _number(free)
        path.write_text(f"{max(count, used)}\n")
        free.write_text(f"{max(count - used, 0)}\n")

    def _set_count(self, pf: Path, path: str, count: int) -> None:
        now, most = _number(pf / "sriov_numvfs"), _number(pf / "sriov_totalvfs")
        if not (pf / "driver").exists():
            raise _refusal(path, str(count), errno.ENOENT)
        if count > most:
            raise _refusal(path, str(count), errno.ERANGE)
        if now and count and now != count:
            raise _refusal(path, str(count), errno.EBUSY)
        for index in range(now if not count else 0):
            self._remove_vf(pf, index)
            self.eswitch.remove_vf(pf, index)
        try:
            for index in range(count if not now else 0):
                self._add_vf(pf, index)
                self.eswitch.add_vf(pf, index)
        except OSError:  # as sriov_enable() does: all of them or none
            for index in range(count):
                self._remove_vf(pf, index)
                self.eswitch.remove_vf(pf, index)
            raise
        (pf / "sriov_numvfs").write_text(f"{count}\n")

    def _add_vf(self, pf: Path, index: int) -> None:
        address = _vf_address(pf, index)
        vf = pf.parent / str(address)
        vf.mkdir(exist_ok=True)
        for name in _VF_ATTRIBUTES:
            shutil.copy(pf / name, vf / name)
        product = (read_text(str(pf / "sriov_vf_device")) or "0").removeprefix("0x")
        (vf / "device").write_text(f"0x{product}\n")
        ids = f"{_number(vf / 'vendor', 16):04X}:{int(product, 16):04X}"
        class_code = _number(vf / "class", 16)
        uevent = f"PCI_CLASS={class_code:X}\nPCI_ID={ids}\nPCI_SLOT_NAME={address}\n"
        (vf / "uevent").write_text(uevent)
        (vf / "driver_override").write_text("(null)\n")
        (vf / "reset").touch()
        forget_settings(self._root, pf.name, index)
        self._join_group(vf)
        _link(vf / "physfn", f"../{pf.name}")
        _link(pf / f"virtfn{index}", f"../{address}")
        _link(self._bus / "devices" / str(address), os.path.relpath(vf, self._bus / "devices"))
        if read_text(str(pf / "sriov_drivers_autoprobe")) == "1":
            self._probe(vf, str(self._bus / "drivers_probe"), quiet=True)

    def _remove_vf(self, pf: Path, index: int) -> None:
        vf = pf.parent / str(_vf_address(pf, index))
        self._unbind(vf)
        group = link_name(str(vf / "iommu_group"))
        if group:
            shutil.rmtree(self._root / "sys/kernel/iommu_groups" / group, ignore_errors=True)
        (self._bus / "devices" / vf.name).unlink(missing_ok=True)
        (pf / f"virtfn{index}").unlink(missing_ok=True)
        shutil.rmtree(vf, ignore_errors=True)
        settings_file(self._root, pf.name, index).unlink(missing_ok=True)

    def _join_group(self, vf: Path) -> None:
        """Give the VF a group of its own, if this host has groups at all."""
        groups = self._root / "sys/kernel/iommu_groups"
        taken = {int(entry.name) for entry in groups.iterdir()} if groups.is_dir() else set()
        if not taken or (vf / "iommu_group").is_symlink():
            return
        own = groups / str(max(taken) + 1)
        _link(vf / "iommu_group", os.path.relpath(own, vf))  # by which it is found and removed
        (own / "devices").mkdir(parents=True)
        (own / "type").write_text("identity\n")
        _link(own / "devices" / vf.name, os.path.relpath(vf, own / "devices"))

    def _unbind(self, device: Path) -> None:
        driver = link_name(str(device / "driver"))
        if driver:
            self._interfaces.remove(device.resolve())
            (self._bus / "drivers" / driver / device.name).unlink(missing_ok=True)
            (device.resolve() / "driver").unlink(missing_ok=True)

    def _probe(self, device: Path, path: str, *, quiet: bool = False) -> None:
        """Bind as driver_override says, else by ids; with no driver for it nothing happens."""
        wanted = read_text(str(device / "driver_override"))
        ids = _number(device / "vendor", 16), _number(device / "device", 16)
        driver = _NATURAL.get(ids) if wanted in (None, "", "(null)") else wanted
        if not driver or not (self._bus / "drivers" / driver).is_dir():
            return
        if driver == "vfio-pci" and not (device / "iommu_group").is_symlink():
            if quiet:
                return
            raise _refusal(path, device.name, errno.EINVAL)
        home = self._bus / "drivers" / driver
        _link(device / "driver", os.path.relpath(home, device))
        _link(home / device.name, os.path.relpath(device, home))
        self._interfaces.add(device, driver)


def _vf_address(pf: Path, index: int) -> PciAddress:
    first, stride = _number(pf / "sriov_offset"), _number(pf / "sriov_stride")
    address = vf_address(PciAddress.parse(pf.name), first, stride, index)
    assert address is not None
    return address


def _number(path: Path, base: int = 10) -> int:
    return int(read_text(str(path)) or "0", base)


def _link(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def _refusal(path: str, text: str, code: int) -> HostFault:
    return HostFault(f"cannot write {text.strip()!r} to {path}: {os.strerror(code)}")
