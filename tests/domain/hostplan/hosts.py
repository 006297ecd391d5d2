"""Hosts as values, and what each action makes of one: a model to hold plans against."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lanekeeper.domain.hostplan.action import (
    BindVf,
    Change,
    LoadModule,
    MakeDirectory,
    MakeLink,
    RemoveDirectory,
    RemoveFile,
    SetAutoprobe,
    SetLink,
    SetVfCount,
    UpdateBootLoader,
    WriteFile,
)
from lanekeeper.domain.hostplan.observed import Evidence, HostFacts, Interface, NumaNode
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceType, PciDevice

PF = PciAddress.parse("0000:21:00.0")
OTHER_PF = PciAddress.parse("0000:41:00.0")


def pf_at(address: PciAddress, netdev: str, **changed: Any) -> PciDevice:
    facts: dict[str, Any] = {
        "vendor_id": 0x8086,
        "product_id": 0x10C9,
        "class_code": 0x020000,
        "dev_type": DeviceType.PF,
        "numa_node": 0,
        "total_vfs": 7,
        "driver": "igb",
        "netdev": netdev,
    }
    return PciDevice(address=address, **(facts | changed))


def vfs_of(pf: PciDevice, drivers: list[str | None]) -> tuple[PciDevice, ...]:
    """Return one VF for each of *drivers*."""
    return tuple(
        PciDevice(
            address=replace(pf.address, slot=0x10 + index // 4, function=index % 4 * 2),
            vendor_id=0x8086,
            product_id=0x10CA,
            class_code=0x020000,
            dev_type=DeviceType.VF,
            parent=pf.address,
            vf_index=index,
            driver=driver,
        )
        for index, driver in enumerate(drivers)
    )


def host(**changed: Any) -> HostFacts:
    """Return a healthy host with two PFs and no VFs, changed as told."""
    facts: dict[str, Any] = {
        "release": "6.12",
        "cpu_flags": frozenset({"vmx"}),
        "cmdline": ("intel_iommu=on", "iommu=pt"),
        "configured_cmdline": ("intel_iommu=on", "iommu=pt"),
        "boot_loader_files": ("etc/default/grub",),
        "iommu_groups": {1: (str(PF),), 2: (str(OTHER_PF),)},
        "iommu_modes": {"identity": 2},
        "dma_table": "DMAR",
        "interrupt_remapping": Evidence(True, "/proc/interrupts has IR-PCI-MSI"),
        "modules": frozenset({"vfio_pci"}),
        "kvm": True,
        "nodes": tuple(NumaNode(number=n, cpus=(n,), memory_mib=1024) for n in (0, 1)),
        "devices": (pf_at(PF, "ens1"), pf_at(OTHER_PF, "ens2", numa_node=1)),
        "interfaces": (
            Interface(name="ens1", device=PF, is_up=True),
            Interface(name="ens2", device=OTHER_PF, is_up=True),
        ),
        "autoprobe": {PF: True, OTHER_PF: True},
        "directories": frozenset({"etc", "etc/default", "etc/systemd", "etc/systemd/system"}),
        "has_systemd": True,
    }
    return HostFacts(**(facts | changed))


def after(now: HostFacts, action: Change) -> HostFacts:  # noqa: PLR0911  # a return a kind
    """Return what *now* becomes by *action*. Refuses what the kernel would refuse."""
    match action:
        case LoadModule():
            return replace(now, modules=now.modules | {action.name.replace("-", "_")})
        case SetAutoprobe():
            known = {**now.autoprobe, PciAddress.parse(action.pf): action.enabled}
            return replace(now, autoprobe=known)
        case SetVfCount():
            return _with_vfs(now, PciAddress.parse(action.pf), action.count)
        case SetLink():
            return _with_link(now, action)
        case BindVf():
            return _with_driver(now, action)
        case MakeDirectory() | RemoveDirectory() | WriteFile() | RemoveFile() | MakeLink():
            return _with_files(now, action)
        case _:
            assert isinstance(action, UpdateBootLoader), f"these hosts do not know {action}"
            return now


def _with_vfs(now: HostFacts, address: PciAddress, count: int) -> HostFacts:
    (pf,) = (device for device in now.devices if device.address == address)
    assert pf.num_vfs == count or 0 in (pf.num_vfs, count), "the kernel says EBUSY"
    if pf.num_vfs == count:
        return now
    driver = "igbvf" if now.autoprobe[address] else None
    others = [d for d in now.devices if address not in (d.address, d.parent)]
    fresh = replace(pf, num_vfs=count)
    devices = (*others, fresh, *vfs_of(fresh, [driver] * count))
    return replace(now, devices=tuple(sorted(devices, key=lambda device: device.address)))


def _with_link(now: HostFacts, action: SetLink) -> HostFacts:
    pf = PciAddress.parse(action.pf)
    changed = (replace(i, is_up=action.up) if i.device == pf else i for i in now.interfaces)
    return replace(now, interfaces=tuple(changed))


def _with_driver(now: HostFacts, action: BindVf) -> HostFacts:
    where = (PciAddress.parse(action.pf), action.index)
    assert action.driver is None or where in {(d.parent, d.vf_index) for d in now.devices}
    changed = (
        replace(device, driver=action.driver)
        if (device.parent, device.vf_index) == where
        else device
        for device in now.devices
    )
    return replace(now, devices=tuple(changed))


def _with_files(
    now: HostFacts, action: MakeDirectory | RemoveDirectory | WriteFile | RemoveFile | MakeLink
) -> HostFacts:
    match action:
        case MakeDirectory():
            assert action.path.rpartition("/")[0] in now.directories | {""}
            return replace(now, directories=now.directories | {action.path})
        case RemoveDirectory():
            return replace(now, directories=now.directories - {action.path})
        case RemoveFile():
            files = {path: text for path, text in now.files.items() if path != action.path}
            return replace(now, files=files)
        case WriteFile(path=path, text=text) | MakeLink(path=path, target=text):
            assert path.rpartition("/")[0] in now.directories
            if now.files.get(path) == text:
                return now
            changed = replace(now, files={**now.files, path: text})
            return _with_arguments(changed, path, text)


def _with_arguments(now: HostFacts, path: str, text: str) -> HostFacts:
    """Let GRUB read its drop-in."""
    if not path.startswith("etc/default/grub.d/"):
        return now
    added = text.rpartition("$GRUB_CMDLINE_LINUX_DEFAULT ")[2].partition('"')[0].split()
    configured = now.configured_cmdline or ()
    return replace(now, configured_cmdline=(*configured, *added))
