"""What flavor and image say of a server's cards."""

import pytest

from lanekeeper.domain.errors import Forbidden, Invalid
from lanekeeper.domain.network.binding import CARRIED
from lanekeeper.domain.network.card import (
    MADE,
    VifModel,
    is_hot_pluggable,
    made_vnic_type,
    vif_model,
)
from lanekeeper.domain.network.port import VnicType

SPEC, PROPERTY = "hw:vif_vnic_type", "hw_vif_vnic_type"


@pytest.mark.parametrize(
    ("flavor", "image", "made"),
    [
        (None, None, "direct-physical"),
        ("normal", None, "normal"),
        (None, "direct", "direct"),
        ("direct", "direct", "direct"),
    ],
)
def test_flavor_or_image_say_which_kind_is_made(
    flavor: str | None, image: str | None, made: str
) -> None:
    specs = {} if flavor is None else {SPEC: flavor}
    properties = {} if image is None else {PROPERTY: image}
    assert made_vnic_type(specs, properties, VnicType.DIRECT_PHYSICAL) == made


def test_flavor_and_image_that_differ_are_refused() -> None:
    with pytest.raises(Forbidden, match=f"{PROPERTY} 'direct' .* {SPEC} 'normal' differ"):
        made_vnic_type({SPEC: "normal"}, {PROPERTY: "direct"}, VnicType.DIRECT)


@pytest.mark.parametrize("text", ["vdpa", "Direct", "", "vf", "remote-managed"])
def test_a_kind_that_no_host_carries_is_refused(text: str) -> None:
    with pytest.raises(
        Invalid, match=f"{SPEC} '{text}' is none of normal, direct, macvtap, direct-phys"
    ):
        made_vnic_type({SPEC: text}, {}, VnicType.DIRECT)
    with pytest.raises(Invalid, match=f"{PROPERTY} '{text}' is none of"):
        made_vnic_type({}, {PROPERTY: text}, VnicType.DIRECT)


def test_what_is_made_is_what_hosts_carry() -> None:
    assert set(MADE) == CARRIED


@pytest.mark.parametrize(
    ("text", "model"),
    [
        (None, "virtio"),
        ("rtl8139", "rtl8139"),
        ("E1000E", "e1000e"),
        ("VirtualE1000", "e1000"),
        ("VirtualPCNet32", "pcnet"),
        ("VirtualVmxnet3", "vmxnet3"),
    ],
)
def test_a_model_is_taken_in_qemus_or_vspheres_name(text: str | None, model: str) -> None:
    assert vif_model({} if text is None else {"hw_vif_model": text}) == model


@pytest.mark.parametrize("text", ["e1001", "", "netfront", "spapr-vlan", "VirtualVmxnet", "sriov"])
def test_a_model_that_no_guest_here_has_is_refused_by_name(text: str) -> None:
    with pytest.raises(Invalid, match=f"hw_vif_model='{text}'.* none of virtio, e1000, e1000e"):
        vif_model({"hw_vif_model": text})


def test_only_pcie_cards_go_into_the_spare_slots() -> None:
    assert {one for one in VifModel if is_hot_pluggable(one)} == {"virtio", "e1000e", "igb"}
