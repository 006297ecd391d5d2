from dataclasses import replace

from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceType, PciDevice
from lanekeeper.domain.pci.unit import units


def function(address: str, group: int | None = None, **facts: object) -> PciDevice:
    plain = PciDevice(
        address=PciAddress.parse(address), vendor_id=0x10DE, product_id=0x1DB6, iommu_group=group,
        class_code=0x030200, pcie_root="0000:00:01.0",
    )  # fmt: skip
    return replace(plain, **facts)  # type: ignore[arg-type]  # named as the fields are


GPU, SOUND = function("0000:01:00.0", 9), function("0000:01:00.1", 9)


def found(*devices: PciDevice) -> list[tuple[list[str], str]]:
    return [([str(one.address) for one in unit.members], unit.tie) for unit in units(devices)]


def test_what_shares_an_iommu_group_belongs_together_bridges_apart() -> None:
    port = function("0000:00:01.0", 9, class_code=0x060400, driver="pcieport", pcie_root=None)
    lone = function("0000:02:00.0", 10)
    assert found(SOUND, lone, port, GPU) == [
        (["0000:01:00.0", "0000:01:00.1"], "IOMMU group 9"),
    ]
    assert found(function("0000:01:00.0"), function("0000:02:00.0")) == []  # no IOMMU says nothing


def test_a_function_that_is_reset_with_its_bus_takes_the_others_of_it_along() -> None:
    gpu, sound = (replace(one, iommu_group=n) for n, one in enumerate((GPU, SOUND)))
    assert found(gpu, sound) == []
    assert found(gpu, replace(sound, has_reset=False)) == [
        (["0000:01:00.0", "0000:01:00.1"], "a reset"),
    ]
    on_root = [replace(one, has_reset=False, pcie_root=None) for one in (gpu, sound)]
    assert found(*on_root) == []  # nothing above could reset that bus


def test_vfs_have_a_reset_of_their_own() -> None:
    pf = replace(GPU, dev_type=DeviceType.PF, total_vfs=2, has_reset=False, iommu_group=1)
    vf = function("0000:01:10.0", 2, dev_type=DeviceType.VF, parent=pf.address, vf_index=0)
    assert found(pf, vf) == []


def test_ties_that_overlap_are_one() -> None:
    other = function("0000:02:00.0", 9)
    far = function("0000:02:00.1", 11, has_reset=False)
    assert found(GPU, SOUND, other, far) == [
        (
            ["0000:01:00.0", "0000:01:00.1", "0000:02:00.0", "0000:02:00.1"],
            "IOMMU group 9 and a reset",
        )
    ]


def test_a_unit_of_which_the_host_uses_a_part_cannot_be_given_away() -> None:
    (unit,) = units([GPU, replace(SOUND, driver="snd_hda_intel")])
    assert "0000:01:00.1 (snd_hda_intel), which the host itself uses" in unit.obstacle(
        {GPU.address}
    )
    assert unit.obstacle({GPU.address, SOUND.address}) == ""
    for harmless in (None, "pci-stub", "vfio-pci"):
        (unit,) = units([GPU, replace(SOUND, driver=harmless)])
        assert unit.obstacle({GPU.address}) == ""


def test_a_pf_and_its_vfs_in_one_group_cannot_both_be_given_away() -> None:
    pf = replace(GPU, dev_type=DeviceType.PF, total_vfs=2)
    vf = function("0000:01:10.0", 9, dev_type=DeviceType.VF, parent=pf.address, vf_index=0)
    (unit,) = units([pf, vf])
    assert "exclude each other" in unit.obstacle({pf.address, vf.address})
    assert unit.obstacle({vf.address}) == ""
