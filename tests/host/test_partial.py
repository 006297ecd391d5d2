"""At boot an entry that is refused, or whose card is gone, keeps no other from its VFs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from host.planted import NVME, OTHER_PF, PF, simulated
from host.test_replaced import exchange
from lanekeeper.domain.hostplan.persistence import MODPROBE_FILE, UDEV_FILE, UNIT_FILE
from lanekeeper.host.simulated import SimulatedMachine
from lanekeeper.host.sysfs import PciSysfs
from lanekeeper.main import main

PFS = f"""version: 1
pfs:
  - {{pf: "{PF}", vfs: 2, vf_driver: vfio-pci}}
  - {{pf: "{OTHER_PF}", vfs: 1, vf_driver: vfio-pci}}
"""
POLICY = f'{PFS}devices: [{{device: "{NVME}", alias: disk}}]\n'
OWN = (UDEV_FILE, MODPROBE_FILE)


def call(root: Path, verb: str, *words: str, policy: str = "") -> int:
    kept = root / "etc/lanekeeper/host-policy.yaml"
    if policy:
        kept = root / "policy.yaml"
        kept.write_text(policy)
    return main(["host", verb, "--simulate", str(root), "--policy", str(kept), *words])


def boot(root: Path) -> int:
    """What the kernel forgets, and then the unit's own command."""
    for pf in (PF, OTHER_PF):
        if (root / "sys/bus/pci/devices" / str(pf)).exists():
            _forget_vfs(root, pf)
    (line,) = [
        each
        for each in (root / UNIT_FILE).read_text().splitlines()
        if each.startswith("ExecStart=")
    ]
    options = line.partition("/host-policy.yaml ")[2].split()
    return call(root, "apply", *options)


def _forget_vfs(root: Path, pf: object) -> None:
    numvfs = root / "sys/bus/pci/devices" / str(pf) / "sriov_numvfs"
    SimulatedMachine(root).kernel.write(str(numvfs), "0")


def gone(root: Path, address: object) -> None:
    link = root / "sys/bus/pci/devices" / str(address)
    home = link.resolve()
    link.unlink() if link.is_symlink() else shutil.rmtree(link)
    shutil.rmtree(home, ignore_errors=True)


def text(root: Path) -> list[str]:
    return [(root / path).read_text() for path in OWN]


@pytest.fixture
def applied(tmp_path: Path) -> Path:
    simulated(tmp_path)
    assert call(tmp_path, "apply", policy=POLICY) == 0
    return tmp_path


def test_a_replaced_device_is_left_out_and_the_rest_is_there(
    applied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = text(applied)
    exchange(applied, NVME, "144d:a80a")
    (applied / "sys/bus/pci/devices" / str(NVME) / "driver").unlink()
    assert call(applied, "apply") == 1
    capsys.readouterr()
    assert boot(applied) == 1
    said = capsys.readouterr().out
    assert f"devices[0] ({NVME}): 144d:a80a is at {NVME}" in said
    assert "(device-replaced)" in said
    assert PciSysfs(applied).device(PF).num_vfs == 2
    assert not (applied / "sys/bus/pci/devices" / str(NVME) / "driver").exists()
    assert text(applied) == before
    assert call(applied, "apply") == 1, "it is known still that it was replaced"
    assert "device-replaced" in capsys.readouterr().out


def test_lines_of_a_card_that_is_gone_stay(applied: Path) -> None:
    before = text(applied)
    gone(applied, OTHER_PF)
    assert boot(applied) == 0
    assert PciSysfs(applied).device(PF).num_vfs == 2
    assert text(applied) == before
    assert call(applied, "plan") == 0


def test_another_card_in_the_place_of_one_that_was_gone_is_noticed(
    applied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = (applied / "sys/bus/pci/devices" / str(NVME)).resolve()
    kept = applied / "shelf"
    link = applied / "sys/bus/pci/devices" / str(NVME)
    way = link.readlink() if link.is_symlink() else None
    shutil.move(home, kept)
    if way is not None:
        link.unlink()
    assert boot(applied) == 0
    shutil.move(kept, home)
    if way is not None:
        link.symlink_to(way)
    exchange(applied, NVME, "144d:a80a")
    capsys.readouterr()
    assert call(applied, "plan") == 1
    assert "device-replaced" in capsys.readouterr().out


def test_lines_of_an_entry_that_is_dropped_go_though_another_card_is_gone(applied: Path) -> None:
    gone(applied, OTHER_PF)
    assert call(applied, "apply", policy=PFS) == 0
    rules = (applied / UDEV_FILE).read_text()
    assert str(NVME) not in rules
    assert "0000:41:" in rules


def test_a_card_that_cannot_be_read_is_left_out_at_boot_alone(
    applied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = text(applied)
    _forget_vfs(applied, OTHER_PF)
    (applied / "sys/bus/pci/devices" / str(OTHER_PF) / "sriov_offset").write_text("far\n")
    assert call(applied, "plan") == 1
    assert "pfs[1]: no PF has address" in capsys.readouterr().out
    assert boot(applied) == 1
    assert "pfs[1]: no PF has address" in capsys.readouterr().out
    assert PciSysfs(applied).device(PF).num_vfs == 2
    assert text(applied) == before


def test_what_is_refused_for_the_whole_host_is_refused_at_boot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulated(tmp_path)
    policy = f"{PFS}huge_pages: [{{node: 7, size: 2M, pages: 3}}]\n"
    assert call(tmp_path, "apply", "--leave-refused", policy=policy) == 1
    assert "huge_pages[0]" in capsys.readouterr().out
    assert PciSysfs(tmp_path).device(PF).num_vfs == 0


@pytest.mark.parametrize(("spoiled", "refused"), [(OTHER_PF, False), (PF, True)])
def test_a_card_behind_the_one_that_an_index_means_is_not_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spoiled: object, refused: bool
) -> None:
    simulated(tmp_path)
    (tmp_path / "sys/bus/pci/devices" / str(spoiled) / "sriov_offset").write_text("far\n")
    first = "version: 1\npfs: [{pf: {driver: igb, index: 0}, vfs: 2}]\n"
    assert call(tmp_path, "plan", policy=first) == 1
    assert ("pf-order-unknown" in capsys.readouterr().out) is refused
