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


def test_a_macvtap_takes_a_vf_that_its_host_has_a_driver_for() -> None:
    tags = {"physical_network": "physnet1"}
    bare, able = (
        Offered.from_text("8086", "10ca", "type-VF", tags, interface=one) for one in (False, True)
    )
    macvtap, direct = (port_request(kind, "physnet1") for kind in ("macvtap", "direct"))
    assert macvtap is not None
    assert direct is not None
    (said,) = mismatches(macvtap.alternatives[0], bare)
    assert "no driver for it loaded" in said.reason.replace("the host has ", "")
    assert "modprobe igbvf" in said.remedy
    assert not list(mismatches(macvtap.alternatives[0], able))
    assert not list(mismatches(direct.alternatives[0], bare))
    assert bare.key != able.key
    pf = Offered.from_text("8086", "10c9", "type-PF", tags)
    assert "whole PF" in next(mismatches(macvtap.alternatives[0], pf)).reason


def test_what_the_82576_cannot() -> None:
    assert lacking("igb") == {VfAbility.LINK_STATE, VfAbility.MIN_RATE}
