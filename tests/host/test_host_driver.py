"""By which driver a host would use a function itself."""

from dataclasses import replace
from pathlib import Path

import pytest

from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceType, PciDevice
from lanekeeper.host.host_driver import HostDrivers

RELEASE = "6.12.95+deb12-amd64"
ALIASES = """\
# Aliases
alias pci:v00008086d000010CAsv*sd*bc*sc*i* igbvf
alias pci:v000015B3d0000101Esv*sd*bc*sc*i* mlx5_core
alias vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i* mlx5_vfio_pci
alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci
alias pci:v*d*sv*sd*bc0Csc03i30* xhci_pci
"""
VF = PciDevice(
    address=PciAddress.parse("0000:21:10.0"),
    vendor_id=0x15B3,
    product_id=0x101E,
    class_code=0x020000,
    dev_type=DeviceType.VF,
    parent=PciAddress.parse("0000:21:00.0"),
    vf_index=0,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A kernel with its modules' aliases, of which three drivers are loaded."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/version").write_text(f"Linux version {RELEASE} (debian-kernel)\n")
    modules = tmp_path / "lib/modules" / RELEASE
    modules.mkdir(parents=True)
    (modules / "modules.alias").write_text(ALIASES)
    for driver in ("mlx5_core", "mlx5_vfio_pci", "virtio-pci"):
        (tmp_path / "sys/bus/pci/drivers" / driver).mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("driver", [None, "vfio-pci", "mlx5_vfio_pci"])
def test_what_is_with_a_guest_has_the_driver_that_would_take_it(
    root: Path, driver: str | None
) -> None:
    drivers = HostDrivers(root)
    assert drivers.of(replace(VF, driver=driver)) == "mlx5_core"


def test_what_has_a_driver_of_the_host_keeps_it(root: Path) -> None:
    assert HostDrivers(root).of(replace(VF, driver="other")) == "other"


def test_a_driver_that_is_not_loaded_is_none_until_it_is(root: Path) -> None:
    drivers = HostDrivers(root)
    igbvf = replace(VF, vendor_id=0x8086, product_id=0x10CA)
    assert drivers.of(igbvf) is None
    (root / "sys/bus/pci/drivers/igbvf").mkdir()
    assert drivers.of(igbvf) == "igbvf"


def test_a_module_may_spell_its_driver_otherwise(root: Path) -> None:
    drivers = HostDrivers(root)
    assert drivers.of(replace(VF, vendor_id=0x1AF4)) == "virtio-pci"


def test_a_module_may_be_for_a_class_whoever_made_the_card(root: Path) -> None:
    (root / "sys/bus/pci/drivers/xhci_pci").mkdir()
    drivers = HostDrivers(root)
    assert drivers.of(replace(VF, vendor_id=0x1B36, product_id=13, class_code=0x0C0330)) == (
        "xhci_pci"
    )
    assert drivers.of(replace(VF, vendor_id=0x1B36, product_id=13)) is None


def test_a_kernel_of_which_nothing_is_known_has_none(tmp_path: Path) -> None:
    assert HostDrivers(tmp_path).of(VF) is None
