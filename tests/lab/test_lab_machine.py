"""The emulated machine, as QEMU is told about it."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from pathlib import Path

import pytest

from lanekeeper.domain.errors import Conflict, HostFault, Invalid, Unavailable
from lanekeeper.lab import emulator
from lanekeeper.lab.acceleration import ENVIRONMENT, Acceleration, choose
from lanekeeper.lab.cable import check_cable
from lanekeeper.lab.folder import LabFolder, Running
from lanekeeper.lab.machine import LabSpec, arguments

SPEC = LabSpec(
    name="h1",
    kernel=Path("/cache/vmlinuz"),
    initramfs=Path("/run/h1/initramfs.img"),
    tree=Path("/run/h1/tree"),
    folder=Path("/run/h1"),
    busybox=Path("/cache/tools/busybox"),
    disk=Path("/run/h1/disk.img"),
    drive=Path("/run/h1/drive.img"),
    controller_port=8443,
)


def values(option: str, spec: LabSpec = SPEC) -> list[str]:
    """All values of one option, in order."""
    words = arguments(spec)
    return [value for name, value in itertools.pairwise(words) if name == option]


def test_each_numa_node_has_half_the_memory_and_a_card() -> None:
    assert values("-m") == ["3072M"]
    assert values("-numa")[:2] == [
        "node,nodeid=0,cpus=0-1,memdev=memory0",
        "node,nodeid=1,cpus=2,memdev=memory1",
    ]
    cards = [value for value in values("-device") if value.startswith("igb,")]
    assert [value.split(",")[1] for value in cards] == ["bus=slot1", "bus=slot2"]
    assert "pcie-root-port,id=slot2,bus=node1,chassis=2,slot=2" in values("-device")
    assert "pxb-pcie,id=node1,bus=pcie.0,bus_nr=64,numa_node=1" in values("-device")


def test_the_nvme_drive_has_virtual_functions() -> None:
    (drive,) = [value for value in values("-device") if value.startswith("nvme,")]
    assert "sriov_max_vfs=4" in drive


def test_interrupts_are_remapped() -> None:
    vtd = "intel-iommu,intremap=on,caching-mode=on,device-iotlb=on"
    assert f"{vtd},eim=on" in values("-device")
    assert vtd in values("-device", replace(SPEC, has_x2apic=False))
    assert values("-machine") == ["q35,kernel-irqchip=split"]


@pytest.mark.parametrize(
    ("said", "has"),
    [
        ("QEMU emulator version 8.2.2 (Debian 1:8.2.2+ds-0ubuntu1.10)", False),
        ("QEMU emulator version 9.0.0", True),
        ("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2+deb13u1)\nCopyright", True),
    ],
)
def test_x2apics_are_emulated_since_9(said: str, has: bool) -> None:
    assert (emulator.parse_release(said) >= emulator.X2APIC_SINCE) is has


def test_a_qemu_without_a_release_is_told() -> None:
    with pytest.raises(HostFault, match="says no release: 'no such thing'"):
        emulator.parse_release("no such thing")


@pytest.mark.parametrize("acceleration", list(Acceleration))
def test_address_bits_stay_few_for_the_sake_of_vf_bars(acceleration: Acceleration) -> None:
    (processor,) = values("-cpu", replace(SPEC, acceleration=acceleration))
    limit = "host-phys-bits-limit=36" if acceleration is Acceleration.KVM else "phys-bits=36"
    assert limit in processor.split(",")


def test_the_network_leads_to_the_controller_and_nowhere_else() -> None:
    (management,) = [value for value in values("-netdev") if value.startswith("user,")]
    assert ",restrict=on," in management
    assert management.endswith(
        "guestfwd=tcp:10.0.2.100:8443-cmd:/cache/tools/busybox nc 127.0.0.1 8443"
    )
    assert "hostfwd" not in management


def test_no_port_of_the_outer_machine_is_opened() -> None:
    assert values("-monitor") == ["none"]
    sockets = [value for value in values("-chardev") if value.startswith("socket,")]
    assert sockets
    assert all("path=/run/h1/port" in value for value in sockets)


def test_paths_may_hold_spaces_and_commas() -> None:
    odd = replace(SPEC, tree=Path("/a, b/tree"), busybox=Path("/a, b/busybox"))
    assert "path=/a,, b/tree," in values("-fsdev", odd)[0]
    assert "-cmd:'/a,, b/busybox' nc " in values("-netdev", odd)[0]


def test_labs_side_by_side_differ_and_stay_what_they_are() -> None:
    other = replace(SPEC, name="h2")
    assert other.mac(1) != SPEC.mac(1)
    assert other.machine_id != SPEC.machine_id
    assert SPEC.mac(1) == replace(SPEC).mac(1)
    assert len(SPEC.machine_id) == 32


@pytest.mark.parametrize("name", ["", "H1", "1h", "a/b", "..", "a" * 32, "h1\n"])
def test_a_name_that_is_no_host_name_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match="lab name"):
        LabFolder(name)


def test_a_folder_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="too long for a Unix socket"):
        LabFolder("h1", tmp_path / ("x" * 90))


def test_a_folder_is_for_its_owner_and_made_once(tmp_path: Path) -> None:
    folder = LabFolder("h1", tmp_path)
    folder.create()
    assert folder.path.stat().st_mode & 0o777 == 0o700
    with pytest.raises(Conflict, match="is there already"):
        folder.create()


def test_what_runs_is_remembered(tmp_path: Path) -> None:
    folder = LabFolder("h1", tmp_path)
    folder.create()
    assert folder.running() is None
    running = Running(
        name="h1", pid=1, acceleration="tcg", controller_port=1, memory_mib=1, boot_s=1.5
    )
    folder.remember(running)
    assert folder.running() == running


def test_the_folder_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    folder = LabFolder("h1", tmp_path)
    folder.create()
    with folder.locked():  # noqa: SIM117 - the second is refused while the first lasts
        with pytest.raises(Conflict, match="being started or ended"), folder.locked():
            pass
    with folder.locked():
        pass


def test_the_environment_chooses_the_acceleration(tmp_path: Path) -> None:
    assert choose({ENVIRONMENT: "kvm"}) is Acceleration.KVM
    assert choose({ENVIRONMENT: "tcg"}) is Acceleration.TCG
    assert choose({}, tmp_path / "no-kvm") is Acceleration.TCG
    with pytest.raises(Invalid, match="tcg or kvm, not 'xen'"):
        choose({ENVIRONMENT: "xen"})


def test_a_lab_waits_for_one_that_is_cabled_to_it() -> None:
    outside = [value for value in values("-netdev") if value.startswith("stream,")]
    assert outside == [
        "stream,id=outside1,server=on,addr.type=unix,addr.path=/run/h1/cable1",
        "stream,id=outside2,server=on,addr.type=unix,addr.path=/run/h1/cable2",
    ]
    spec = replace(SPEC, name="h2", folder=Path("/run/h2"), other=Path("/run/h1"))
    outside = [value for value in values("-netdev", spec) if value.startswith("stream,")]
    assert outside == [
        "stream,id=outside1,server=off,addr.type=unix,addr.path=/run/h1/cable1,reconnect=1",
        "stream,id=outside2,server=off,addr.type=unix,addr.path=/run/h1/cable2,reconnect=1",
    ]


def lab_that_runs(state: Path, name: str, cabled_to: str | None = None, pid: int = 0) -> None:
    folder = LabFolder(name, state)
    folder.create()
    folder.remember(
        Running(
            name=name, pid=pid or os.getpid(), acceleration="tcg", controller_port=1,
            memory_mib=1024, boot_s=1.0, cabled_to=cabled_to,
        )
    )  # fmt: skip


def test_a_cable_leads_to_a_lab_that_runs_and_is_free(tmp_path: Path) -> None:
    check_cable("h1", None, tmp_path)
    with pytest.raises(Invalid, match="to itself"):
        check_cable("h1", "h1", tmp_path)
    with pytest.raises(Unavailable, match="lab h1, to be cabled to, does not run") as error:
        check_cable("h2", "h1", tmp_path)
    assert error.value.hint == "run: lanekeeper lab up --name h1"
    lab_that_runs(tmp_path, "h0", pid=2**22 + 1)
    with pytest.raises(Unavailable, match="h0"):
        check_cable("h2", "h0", tmp_path)
    lab_that_runs(tmp_path, "h1")
    check_cable("h2", "h1", tmp_path)
    lab_that_runs(tmp_path, "h2", cabled_to="h1")
    check_cable("h2", "h1", tmp_path)
    for name in ("h1", "h2"):
        with pytest.raises(Conflict, match=r"cabled to those of lab h[12] already"):
            check_cable("h3", name, tmp_path)


def test_an_emulated_processor_has_not_what_emulation_is_slow_at() -> None:
    (emulated,) = values("-cpu")
    assert "erms=off" in emulated.split(",")
    (real,) = values("-cpu", replace(SPEC, acceleration=Acceleration.KVM))
    assert "=off" not in real
