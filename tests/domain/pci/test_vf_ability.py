"""A port's wishes meet what drivers can set."""

from lanekeeper.domain.pci.request import Offered, mismatches, port_request
from lanekeeper.domain.pci.vf_ability import VfAbility, lacking


def vf(driver: str | None) -> Offered:
    tags = {"physical_network": "physnet1"}
    return Offered.from_text("8086", "10ca", "type-VF", tags, pf_driver=driver)


def test_a_vf_whose_driver_cannot_do_it_does_not_fit() -> None:
    wanted = port_request("direct", "physnet1", abilities=frozenset({VfAbility.LINK_STATE}))
    assert wanted is not None
    said = [one.reason for one in mismatches(wanted.alternatives[0], vf("igb"))]
    assert said == ["its PF's driver cannot set the link state of a VF"]
    for able in ("ixgbe", "a driver nobody knows", None):
        assert not list(mismatches(wanted.alternatives[0], vf(able)))


def test_vfs_of_different_drivers_are_of_different_shape() -> None:
    assert vf("igb").key != vf("ice").key
    assert vf("ice").key == vf(None).key


def test_a_whole_pf_needs_nothing_set_from_above() -> None:
    wanted = port_request("direct-physical", "physnet1", abilities=frozenset(VfAbility))
    assert wanted is not None
    assert wanted.alternatives[0].abilities == frozenset()


def test_what_the_82576_cannot() -> None:
    assert lacking("igb") == {VfAbility.LINK_STATE, VfAbility.MIN_RATE}
