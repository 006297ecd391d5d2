"""Which segments a network may be given."""

import pytest

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.network.segment import (
    NetworkType,
    Segment,
    SegmentRules,
    SegmentWanted,
    check_segment,
    physical_segment,
)

RULES = SegmentRules(
    network_types=("flat", "vlan"), physical_networks=frozenset({"physnet1", "physnet2"})
)


def wanted(kind: str | None, physical: str | None = None, vlan: int | None = None) -> SegmentWanted:
    return SegmentWanted(network_type=kind, physical_network=physical, segmentation_id=vlan)


@pytest.mark.parametrize(
    "segment",
    [
        wanted("vlan", "physnet1", 1),
        wanted("vlan", "physnet1", 4094),
        wanted("vlan", "physnet2"),
        wanted("vlan"),
        wanted("flat", "physnet1"),
    ],
)
def test_these_can_be_made(segment: SegmentWanted) -> None:
    check_segment(segment, RULES)


@pytest.mark.parametrize(
    ("segment", "words"),
    [
        (wanted("vlan", "physnet1", 0), r"segmentation_id 0 is not in 1\.\.4094"),
        (wanted("vlan", "physnet1", 4095), r"segmentation_id 4095 is not in 1\.\.4094"),
        (wanted("vlan", "physnet9", 15), "'physnet9' is unknown; there are: physnet1, physnet2"),
        (wanted("vlan", "Physnet1", 15), "'Physnet1' is unknown"),
        (wanted("vlan", None, 15), "needs provider:physical_network"),
        (wanted(None, "physnet1", 15), "network_type is missing; it is one of flat, vlan"),
        (wanted("vxlan", None, 15), "'vxlan' is not supported; it is one of flat, vlan"),
        (wanted("flat"), "physical_network is missing"),
        (wanted("flat", "physnet1", 15), "must be left out of a flat network"),
    ],
)
def test_these_cannot_and_say_what_would_be_right(segment: SegmentWanted, words: str) -> None:
    with pytest.raises(Invalid, match=words) as refused:
        check_segment(segment, RULES)
    assert refused.value.code == "InvalidInput"


def test_a_physical_network_may_be_closed_to_untagged_networks() -> None:
    rules = SegmentRules(
        network_types=("flat",),
        physical_networks=RULES.physical_networks,
        flat_networks=("physnet2",),
    )
    check_segment(wanted("flat", "physnet2"), rules)
    with pytest.raises(Invalid, match="flat_networks allows: physnet2"):
        check_segment(wanted("flat", "physnet1"), rules)


def test_a_vf_on_a_flat_network_has_vlan_0() -> None:
    assert Segment(id="s", network_type=NetworkType.FLAT, physical_network="p").vlan == 0
    tagged = Segment(
        id="s", network_type=NetworkType.VLAN, physical_network="p", segmentation_id=15
    )
    assert tagged.vlan == 15


def test_the_first_segment_with_a_physical_network_counts() -> None:
    tunnel = Segment(id="t", network_type=NetworkType.VXLAN, segmentation_id=1)
    first, second = (
        Segment(id=name, network_type=NetworkType.FLAT, physical_network=name) for name in "ab"
    )
    assert physical_segment([tunnel, second, first]) is second
    assert physical_segment([tunnel]) is None
    assert physical_segment([]) is None
