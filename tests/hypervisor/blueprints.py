"""Guests to define, with made-up paths."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.hypervisor.driver import Blueprint, GuestFiles, HeldDevice
from lanekeeper.protocol import CellWanted, DeviceWanted, NicWanted, ServerWanted, TapWanted

ID = "5f0a6c0e-1111-4222-8333-944455566677"

PORT = "4f2d3f0c-58a1-4a5d-9a0e-6a1c6f0b7d21"
"""A port whose id has the form that libvirt asks of one on a bridge of Open vSwitch."""


def device(address: str, *, managed: bool = True) -> DeviceWanted:
    return DeviceWanted(
        device_id=f"device-{address}",
        address=address,
        vendor_id="8086",
        product_id="10ca",
        managed=managed,
    )


def nic(address: str = "0000:21:10.0", *, vlan: int = 15, vf_index: int | None = 0) -> NicWanted:
    return NicWanted(
        port_id="port",
        mac="52:54:00:15:00:0a",
        device=device(address),
        vlan=vlan,
        vf_index=vf_index,
    )


def server(**values: object) -> ServerWanted:
    fields: dict[str, object] = {
        "id": ID,
        "name": "web 1",
        "generation": 3,
        "power": "running",
        "vcpus": 2,
        "memory_mib": 192,
        "disk_gib": 1,
    }
    return ServerWanted(**(fields | values))  # type: ignore[arg-type]  # named as the fields are


def ported() -> Blueprint:
    """A guest with a port on a VLAN, a flat port, its own kernel and a config drive."""
    home = Path("/var/lib/lanekeeper/servers") / ID
    return Blueprint(
        server=server(
            nics=[nic(), nic("0000:21:10.2", vlan=0, vf_index=1)],
            kernel_arguments="console=ttyS0 quiet <&>",
            reboots=2,
            metadata={"project": "demo"},
        ),
        files=GuestFiles(
            console=home / "console.log",
            disk=home / "disk.qcow2",
            config_drive=home / "config.iso",
            kernel=Path("/var/lib/lanekeeper/images/kernel"),
            ramdisk=Path("/var/lib/lanekeeper/images/ramdisk"),
        ),
        devices=(
            HeldDevice(PciAddress.parse("0000:21:10.0"), "igbvf"),
            HeldDevice(PciAddress.parse("0000:21:10.2"), None),
        ),
    )


def aliased() -> Blueprint:
    """A guest with flavor devices, one of them not managed, and a whole PF as its port."""
    return Blueprint(
        server=server(
            name="line one\nline two\x00",
            nics=[nic("0000:41:00.0", vf_index=None)],
            devices=[device("00ff:0a:1f.7"), device("10000:e1:00.0", managed=False)],
        ),
        files=GuestFiles(console=Path("/tmp/console.log"), disk=Path("/tmp/disk.qcow2")),
    )


def macvtapped() -> Blueprint:
    """A guest with macvtaps on VFs of its host: on a VLAN, trusted and untagged, of another model.

    Between them stands a VF that it has whole.
    """
    cards = [
        replace(nic(), macvtap="virtio"),
        nic("0000:21:10.2", vf_index=1),
        replace(nic("0000:21:10.4", vlan=0, vf_index=2), macvtap="virtio", trusted=True),
        replace(nic("0000:21:10.6", vf_index=3), macvtap="e1000e"),
    ]
    named = {"0000:21:10.0": "ens1v0", "0000:21:10.4": "ens1v2", "0000:21:10.6": "ens1v3"}
    held = (
        HeldDevice(PciAddress.parse(at), "igbvf" if at in named else None, named.get(at))
        for at in (one.device.address for one in cards)
    )
    return Blueprint(
        server=server(nics=cards),
        files=GuestFiles(console=Path("/tmp/console.log"), disk=Path("/tmp/disk.qcow2")),
        devices=tuple(held),
    )


def paired() -> Blueprint:
    """A guest with a failover pair, beside a VF that has nothing that stands by."""
    alone = replace(nic("0000:21:10.2", vf_index=1), port_id="other", mac="52:54:00:15:00:0b")
    standby = TapWanted(
        port_id=PORT,
        mac=nic().mac,
        bridge="br-ex",
        physical_network="physnet1",
        vlan=15,
        failover=True,
    )
    return Blueprint(
        server=server(
            nics=[replace(nic(), port_id=PORT, failover=True), alone],
            taps=[standby],
            cards=[PORT, "other"],
        ),
        files=GuestFiles(console=Path("/tmp/console.log"), disk=Path("/tmp/disk.qcow2")),
    )


def placed() -> Blueprint:
    """A guest of two NUMA nodes, partly pinned, on huge pages, its hypervisor's threads apart."""
    return Blueprint(
        server=server(
            vcpus=4,
            memory_mib=4096,
            cells=[
                CellWanted(
                    node=1, cpus=[0, 1], memory_mib=2048, pins=[(0, 36), (1, 37)], page_kib=1048576
                ),
                CellWanted(
                    node=0,
                    cpus=[2, 3],
                    memory_mib=2048,
                    pins=[(2, 4)],
                    floating=[0, 1, 2, 3],
                    page_kib=2048,
                ),
            ],
            emulator=[38],
        ),
        files=GuestFiles(console=Path("/tmp/console.log"), disk=Path("/tmp/disk.qcow2")),
    )
