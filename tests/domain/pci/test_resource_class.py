import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci.device import DeviceType
from lanekeeper.domain.pci.resource_class import (
    normalize_resource_class,
    normalize_trait,
    parse_traits,
    resource_class_of,
    traits_of,
)

PLACEMENT_NAME = re.compile(r"[A-Z0-9_]{1,255}")  # placement schemas/common.py


@given(st.text(min_size=1, max_size=300))
def test_every_name_is_one_that_placement_takes_or_refused(text: str) -> None:
    for normalize in (normalize_resource_class, normalize_trait):
        try:
            name = normalize(text)
        except Invalid:
            continue
        assert PLACEMENT_NAME.fullmatch(name)
        assert normalize(name) == name


@pytest.mark.parametrize("text", ["vcpu", "PCPU", "memory_mb", "DISK_GB", "CUSTOM_", "x" * 249])
def test_a_class_that_is_no_devices_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        normalize_resource_class(text)


def test_the_class_follows_the_purpose() -> None:
    vf, pf = DeviceType.VF, DeviceType.PF
    assert resource_class_of(0x8086, 0x10CA, vf, {}) == "CUSTOM_PCI_8086_10CA"
    assert resource_class_of(0x8086, 0x10CA, vf, {"physical_network": "p"}) == "SRIOV_NET_VF"
    assert resource_class_of(0x8086, 0x10C9, pf, {"physical_network": "p"}) == "CUSTOM_SRIOV_NET_PF"
    tags = {"physical_network": "p", "resource_class": "fast nic"}
    assert resource_class_of(0x8086, 0x10CA, vf, tags) == "CUSTOM_FAST_NIC"
    assert resource_class_of(0x8086, 0x10CA, vf, {"physical_network": ""}).startswith("CUSTOM_PCI_")


def test_traits_follow_the_tags() -> None:
    assert traits_of(
        {"physical_network": "phys-net 1", "traits": "a, ,b", "one_time_use": "true"}
    ) == {
        "COMPUTE_MANAGED_PCI_DEVICE",
        "CUSTOM_A",
        "CUSTOM_B",
        "CUSTOM_PHYSNET_PHYS_NET_1",
        "HW_PCI_ONE_TIME_USE",
    }
    assert parse_traits(None) == frozenset()
