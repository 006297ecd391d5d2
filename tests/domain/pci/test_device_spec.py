import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceType, PciDevice
from lanekeeper.domain.pci.device_spec import DeviceSpec, match, parse_option

PF = PciDevice(
    address=PciAddress.parse("0000:3b:00.0"),
    vendor_id=0x15B3,
    product_id=0x1017,
    dev_type=DeviceType.PF,
    total_vfs=8,
    netdev="ens1",
)
VF = PciDevice(
    address=PciAddress.parse("0000:3b:00.2"),
    vendor_id=0x15B3,
    product_id=0x1018,
    dev_type=DeviceType.VF,
    parent=PF.address,
    vf_index=0,
)


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"vendor_id": "15b3", "product_id": "1018"},
        {"vendor_id": "0x15B3", "product_id": " * "},
        {"address": "*:3b:*.*"},
        {"address": "3b:00."},
        {"address": {"bus": "3[a-c]", "function": "[1-7]"}},
        {"address": "0000:3b:00.0", "physical_network": "physnet1"},  # its PF, exactly
        {"address": {"domain": "0000", "bus": "3b", "slot": "00", "function": "0"}},
        {"devname": "ens1"},  # its PF's
        {"devname": ""},
    ],
)
def test_selected(entry: dict[str, Any]) -> None:
    assert list(DeviceSpec.parse(entry).mismatches(VF, PF)) == []


@pytest.mark.parametrize(
    ("entry", "reasons"),
    [
        ({"vendor_id": "8086"}, ["vendor_id is 15b3, not 8086"]),
        ({"address": "*:3b:00.0"}, ["address 0000:3b:00.2 is not covered"]),  # not exact
        (
            {"product_id": "1017", "address": "af:*.*"},
            ["product_id is 1018, not 1017", "address 0000:3b:00.2 is not covered"],
        ),
        (
            {"devname": "ens2"},
            ["neither it nor its PF has the network interface ens2"],
        ),
        (
            {"remote_managed": "yes"},
            ["remote_managed needs a card serial number, and the device shows none"],
        ),
    ],
)
def test_left_out_with_every_reason(entry: dict[str, Any], reasons: list[str]) -> None:
    assert list(DeviceSpec.parse(entry).mismatches(VF, PF)) == reasons


@pytest.mark.parametrize(
    ("entry", "message", "hint"),
    [
        ({"vendr_id": "15b3"}, "no key 'vendr_id'", "did you mean 'vendor_id'?"),
        ({"physical_netwrk": "p"}, "no key 'physical_netwrk'", "did you mean 'physical_network'?"),
        ({"Vendor_Id": "15b3"}, "no key 'Vendor_Id'", "did you mean 'vendor_id'?"),
        ({"vendor-id": "15b3"}, "no key 'vendor-id'", "did you mean 'vendor_id'?"),
        ({"trait": "a"}, "no key 'trait'", "did you mean 'traits'?"),
        ({"physnet": "p"}, "no key 'physnet'", "did you mean 'physical_network'?"),
        ({"addr": "21:00.0"}, "no key 'addr'", "did you mean 'address'?"),
        ({"trust": "true"}, "no key 'trust'", "did you mean 'trusted'?"),
        ({"phys_network": "p"}, "no key 'phys_network'", "did you mean 'physical_network'?"),
        ({"Phys-Net": "p"}, "no key 'Phys-Net'", "did you mean 'physical_network'?"),
        ({"prod_id": "10ca"}, "no key 'prod_id'", "did you mean 'product_id'?"),
        ({"live": "yes"}, "no key 'live'", "A tag of your own is called x_live"),
        ({"device_id": "10ca"}, "no key 'device_id'", "the device's is 'product_id'"),
        ({"vendor_id": 8086}, "vendor_id 8086 must be four hexadecimal digits", ""),
        ({"vendor_id": None}, "vendor_id None must be", ""),
        ({"vendor_id": "15b3x"}, "vendor_id '15b3x' is neither", ""),
        ({"product_id": "10000"}, "product_id '10000' is neither", ""),
        ({"address": 5}, "address 5 must be text", ""),
        ({"address": []}, r"address \[\] must be text", ""),
        ({"address": {"bus": "(.)\\1"}}, "which is not taken in expressions here", ""),
        ({"address": {"slot": "0" * 300}}, "address: slot .* is longer than 256", ""),
        ({"address": "1.1", "devname": "e"}, "devname or address, not both", ""),
        ({"managed": "perhaps"}, "managed 'perhaps' is neither true nor false", ""),
        ({"one_time_use": 2}, "one_time_use 2 is neither", ""),
        ({"physical_network": 1}, "physical_network 1 must be text", ""),
        ({"resource_class": "VCPU"}, "what a host counts of itself", "class of its own"),
        ({"traits": "x" * 300}, "longer than 255", ""),
        ("8086", "not a JSON object", ""),
    ],
)
def test_refused_with_what_would_be_right(entry: Any, message: str, hint: str) -> None:
    before = json.dumps(entry)
    with pytest.raises(Invalid, match=message) as caught:
        DeviceSpec.parse(entry)
    assert hint in caught.value.hint
    assert json.dumps(entry) == before


@pytest.mark.parametrize("key", ["nic_speed", "rack", "group", "class", "network", "res", "id"])
def test_what_is_no_short_form_stays_a_tag(key: str) -> None:
    (caution,) = DeviceSpec.parse({"vendor_id": "15b3", key: "1"}).cautions
    assert f"key {key!r} selects nothing" in caution


def test_what_is_read_of_ports_devices_alone_is_told() -> None:
    (caution,) = DeviceSpec.parse({"vendor_id": "15b3", "trusted": "yes"}).cautions
    assert "'trusted' is read of devices for ports alone" in caution
    for network in ("physnet1", None):
        entry = {"vendor_id": "15b3", "trusted": "yes", "physical_network": network}
        assert DeviceSpec.parse(entry).cautions == ()


def test_a_tag_of_ones_own_may_look_like_a_key() -> None:
    spec = DeviceSpec.parse({"vendor_id": "15b3", "x_addr": "shelf 3", "x_trust": 1})
    assert (spec.tags, spec.cautions) == ({"x_addr": "shelf 3", "x_trust": "1"}, ())
    with pytest.raises(Invalid, match="no key 'x_addr'"):
        DeviceSpec.parse({"x_addr": "shelf 3"}, strict=True)


def test_the_switch_of_a_pf_is_a_tag_that_is_known() -> None:
    for strict in (True, False):
        spec = DeviceSpec.parse({"vendor_id": "8086", "x_switch": "leaf-1"}, strict=strict)
        assert (spec.tags["x_switch"], spec.cautions) == ("leaf-1", ())


def test_an_unknown_key_is_a_tag_with_a_caution_or_refused_when_strict() -> None:
    entry = {"vendor_id": "15b3", "rack": {"row": 7}, "device_type": "type-VF"}
    spec = DeviceSpec.parse(entry)
    assert spec.tags == {"rack": '{"row": 7}', "device_type": "type-VF"}
    rack, device_type = spec.cautions
    assert "'rack' selects nothing" in rack
    assert "belongs into an alias" in device_type
    with pytest.raises(Invalid, match="no key 'rack'"):
        DeviceSpec.parse(entry, strict=True)


@pytest.mark.parametrize("key", ["rack", "group", "mac_address", "ip_address", "nic_speed", "x"])
def test_hole_11_other_keys_stay_tags(key: str) -> None:
    assert DeviceSpec.parse({key: "1"}).tags == {key: "1"}


def test_flags_become_words_and_null_is_absent() -> None:
    entry = {"managed": False, "trusted": "Yes", "live_migratable": None, "physical_network": None}
    spec = DeviceSpec.parse(entry)
    assert spec.tags == {"managed": "false", "trusted": "true", "physical_network": ""}


def test_the_first_entry_wins_for_tags_too() -> None:
    specs = [
        DeviceSpec.parse({"product_id": "1017"}),
        DeviceSpec.parse({"vendor_id": "15b3", "physical_network": "physnet1"}),
        DeviceSpec.parse({"product_id": "1018", "physical_network": "physnet2"}),
    ]
    assert match(specs, VF, PF) == (1, {"physical_network": "physnet1"})
    assert match(specs, PF) == (0, {})
    assert match(specs[2:], PF) is None


def test_an_address_reaches_vfs_only_through_a_pf_that_is_there() -> None:
    spec = DeviceSpec.parse({"address": "0000:3b:00.0"})
    assert spec.selects(VF, PF)
    assert not spec.selects(VF, None)


def test_a_list_names_the_entry_that_is_wrong() -> None:
    assert len(parse_option('[{"vendor_id": "8086"}, {}]')) == 2
    with pytest.raises(Invalid, match="entry 2: vendor_id 7 must be"):
        parse_option('[{"vendor_id": "8086"}, {"vendor_id": 7}]')


def test_single_quotes_are_named() -> None:
    with pytest.raises(Invalid, match="is not JSON") as caught:
        parse_option("{'vendor_id': '8086'}")
    assert caught.value.hint == "JSON wants double quotes"


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_any_json_is_read_or_refused(value: Any) -> None:
    keys = ("vendor_id", "address", "devname", "managed", "traits", "resource_class", "rack")
    for entry in (value, *({key: value} for key in keys)):
        with suppress(Invalid):
            for spec in parse_option(json.dumps(entry)):
                list(spec.mismatches(VF, PF))
