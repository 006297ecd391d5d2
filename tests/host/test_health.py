"""What a host reads of how well its functions are."""

from dataclasses import replace
from pathlib import Path

import pytest

from host.planted import ONE_PF_TWO_VFS
from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.health import Reading
from lanekeeper.host.health import read_health
from lanekeeper.host.linux import LinuxMachine
from lanekeeper.host.tree import plant

PF = PciAddress.parse("0000:3b:00.0")
HOME = f"sys/bus/pci/devices/{PF}"
WELL = f"""
{HOME}/current_link_speed = 8.0 GT/s PCIe
{HOME}/max_link_speed = 16.0 GT/s PCIe
{HOME}/current_link_width = 8
{HOME}/max_link_width = 16
{HOME}/aer_dev_fatal = Undefined 0\\nDLP 0\\nTOTAL_ERR_FATAL 0
{HOME}/aer_dev_nonfatal = DLP 2\\nTLP 1\\nTOTAL_ERR_NONFATAL 3
{HOME}/aer_dev_correctable = RxErr 0\\nBadTLP 12\\nTOTAL_ERR_COR 12
sys/class/net/ens1f0np0/operstate = up
"""
ALL = Reading(
    carrier=True, speed_gts=8.0, width=8, fatal=0, nonfatal=3, correctable=12
)  # fmt: skip


def read(tmp_path: Path, more: str = "") -> Reading:
    root = plant(ONE_PF_TWO_VFS + WELL + more, tmp_path)
    return read_health(root, LinuxMachine(root).device(PF))


def test_everything_is_read(tmp_path: Path) -> None:
    assert read(tmp_path) == ALL


@pytest.mark.parametrize(
    ("state", "carrier"),
    [("down", False), ("lowerlayerdown", False), ("dormant", None), ("unknown", None)],
)
def test_a_link_is_down_only_when_the_kernel_says_so(
    tmp_path: Path, state: str, carrier: bool | None
) -> None:
    found = read(tmp_path, f"sys/class/net/ens1f0np0/operstate = {state}\n")
    assert found == replace(ALL, carrier=carrier)


def test_a_function_without_any_of_it_tells_nothing(tmp_path: Path) -> None:
    root = plant(ONE_PF_TWO_VFS, tmp_path)
    assert read_health(root, LinuxMachine(root).device(PF)) == Reading()


def test_a_pf_with_vfs_and_no_driver_is_not_well(tmp_path: Path) -> None:
    root = plant(ONE_PF_TWO_VFS, tmp_path)
    (root / HOME / "driver").unlink()
    assert read_health(root, LinuxMachine(root).device(PF)).driver_problem == (
        "it has VFs and no driver"
    )
    (root / HOME / "driver_override").write_text("vfio-pci\n")
    assert "driver vfio-pci" in read_health(root, LinuxMachine(root).device(PF)).driver_problem


def test_a_count_that_is_no_number_is_named(tmp_path: Path) -> None:
    with pytest.raises(HostFault, match="aer_dev_fatal is 'many', not a number"):
        read(tmp_path, f"{HOME}/aer_dev_fatal = DLP many\n")
