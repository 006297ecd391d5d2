"""Network cards as sysfs shows them, planted in a directory."""

from __future__ import annotations

from pathlib import Path

_CONFIG_BYTES = 64
"""As much of a function's configuration space as lspci reads by itself."""


def plant_card(root: Path, bus: int, netdev: str, vfs: int, group: int) -> list[str]:
    """Make a PF at function 0 of *bus* with its VFs behind it; return where those are, by index."""
    devices = root / "sys/bus/pci/devices"
    pf = f"0000:{bus:02x}:00.0"
    _plant_function(devices / pf, 0x1572, group)
    interface = devices / pf / "net" / netdev
    interface.mkdir(parents=True)
    (interface / "address").write_text("52:54:00:00:00:01\n")
    (devices / pf / "sriov_totalvfs").write_text(f"{vfs}\n")
    (devices / pf / "sriov_numvfs").write_text(f"{vfs}\n")
    found = [_address(bus, 8 + index) for index in range(vfs)]
    for index, vf in enumerate(found):
        _plant_function(devices / vf, 0x154C, group + 1 + index)
        (devices / vf / "physfn").symlink_to(f"../{pf}")
        (devices / pf / f"virtfn{index}").symlink_to(f"../{vf}")
    return found


def _address(bus: int, routing: int) -> str:
    """Where a function is that is so far from function 0 of *bus*."""
    return f"0000:{bus + (routing >> 8):02x}:{routing >> 3 & 0x1F:02x}.{routing & 7}"


def _plant_function(home: Path, product_id: int, group: int) -> None:
    """Make the directory of one function; *group* is its IOMMU group."""
    home.mkdir(parents=True)
    name = home.name
    texts = {
        "vendor": "0x8086",
        "device": f"0x{product_id:04x}",
        "class": "0x020000",
        "revision": "0x02",
        "irq": "0",
        "numa_node": "0",
        "resource": "\n".join(["0x0000000000000000 0x0000000000000000 0x0000000000000000"] * 7),
        "uevent": f"PCI_CLASS=20000\nPCI_ID=8086:{product_id:04X}\nPCI_SLOT_NAME={name}",
    }
    for attribute, text in texts.items():
        (home / attribute).write_text(f"{text}\n")
    head = (0x8086).to_bytes(2, "little") + product_id.to_bytes(2, "little") + bytes(4)
    head += bytes([2, 0, 0, 2])  # revision, then the class from its lowest byte
    (home / "config").write_bytes(head.ljust(_CONFIG_BYTES, b"\0"))
    (home / "iommu_group").symlink_to(f"../../../../kernel/iommu_groups/{group}")
    (home / "driver").symlink_to("../../../bus/pci/drivers/i40e")
