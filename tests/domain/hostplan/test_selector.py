"""Which PF is meant: every field by itself, all together, and what nearly was."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.hostplan.hosts import OTHER_PF, PF, host, pf_at, vfs_of
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.domain.hostplan.policy.policy import parse_policy
from lanekeeper.domain.hostplan.policy.reading import PolicyInvalid
from lanekeeper.domain.hostplan.policy.selector import FIELDS, DeviceSelector
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceType

CARD = pf_at(OTHER_PF, "ens2", vendor_id=0x15B3, product_id=0x1017, driver="mlx5_core", numa_node=1)
NAMED = host(
    devices=(pf_at(PF, "ens1", serial="00-1b-21-ff-ff-aa-01-01"), CARD),
    slots={PF: "4", OTHER_PF: "4-1"},
    serials={OTHER_PF: "MT1943X01234"},
    altnames={OTHER_PF: ("enp65s0f0np0", "enp65s0f0np0-of-a-card")},
)


def selector(value: object) -> DeviceSelector:
    return parse_policy({"version": 1, "pfs": [{"pf": value, "vfs": 0}]}).pfs[0].selector


@pytest.mark.parametrize(
    "value",
    [
        "0000:41:*.*",
        "*:41:00.0",
        "enp65s0f0np0-of-a-card",
        {"vendor": "15B3"},
        {"product": "1017"},
        {"class": "0200", "vendor": "15b3"},
        {"address": "0000:41:*.*"},
        {"altname": "enp65s0f0np0"},
        {"serial": "mt1943x01234"},
        {"slot": "4-1"},
        {"driver": "mlx5_core"},
        {"numa_node": 1},
        {"class": "02", "index": 1},
        {"netdev": "ens2", "numa_node": 1, "slot": "4-1", "driver": "mlx5_core"},
    ],
    ids=str,
)
def test_each_field_selects(value: object) -> None:
    assert selector(value).select(NAMED.pfs, NAMED) == (CARD,)


def test_a_serial_is_that_of_the_capability_too() -> None:
    (found,) = selector({"serial": "001b21ffffaa0101"}).select(NAMED.pfs, NAMED)
    assert found.address == PF


@pytest.mark.parametrize(
    ("value", "near"),
    [
        ("esn1", "0000:21:00.0 but for netdev, which is ens1 there"),
        ({"netdev": "ens1", "driver": "ixgbe"}, "0000:21:00.0 but for driver, which is igb there"),
        ({"vendor": "15b3", "slot": "9"}, "0000:41:00.0 but for slot, which is 4-1 there"),
        ({"serial": "MT1943X01235"}, "0000:41:00.0 but for serial, which is MT1943X01234 there"),
        ({"ids": "8086:10c8"}, "0000:21:00.0 but for ids, which is 8086:10c9 there"),
        ({"vendor": "8086", "index": 1}, "index 1 is beyond the 1 that the rest selects"),
        ({"driver": "igb", "altname": "x"}, "0000:21:00.0 but for altname, which is not known"),
    ],
    ids=str,
)
def test_what_nearly_was_meant_is_named(value: object, near: str) -> None:
    policy = parse_policy({"version": 1, "persist": False, "pfs": [{"pf": value, "vfs": 0}]})
    (unmet,) = plan(policy, NAMED).warnings
    assert unmet.code == "pf-not-found"
    assert unmet.fix.startswith(near)
    assert "PFs here: 0000:21:00.0 (ens1" in unmet.fix


NIC = replace(
    pf_at(PciAddress.parse("0000:21:00.1"), "ens1b"), total_vfs=0, dev_type=DeviceType.PCI
)
BRIDGE = replace(NIC, address=PciAddress.parse("0000:00:01.0"), class_code=0x060400, netdev=None)
VF = replace(vfs_of(NAMED.pfs[0], ["igbvf"] * 3)[2], netdev="ens1v2")
CROWDED = replace(NAMED, devices=(*NAMED.devices, NIC, BRIDGE, VF))


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (
            str(VF.address),
            f'{VF.address} (ens1v2, igbvf) is VF 2 of 0000:21:00.0 (ens1, igb): name the PF, pf: "',
        ),
        ("ens1v2", f"{VF.address} (ens1v2, igbvf) is VF 2 of 0000:21:00.0"),
        ("0000:21:00.1", "0000:21:00.1 (ens1b, igb) is no PF: it has no SR-IOV, or"),
        ("ens1b", "of the same card 0000:21:00.0 can have VFs"),
        ("0000:00:01.0", "0000:00:01.0 (igb) is a bridge"),
        ("0000:41:00.1", "that card has no function 1, but 0000:41:00.0"),
        ("enp65s0f0np0", "enp65s0f0np0 is another name of 0000:41:00.0: altname: enp65s0f0np0"),
        ({"altname": "ens2"}, "ens2 is the interface's own name: netdev: ens2"),
        ("enp65s0f0np1", "enp65s0f0np0 is the nearest name, that of 0000:41:00.0"),
        ({"altname": "enp65s0f0-card"}, "0000:41:00.0 but for altname, which is enp65s0f0np0"),
        ({"serial": "00-1b-21-ff-ff-aa-01-02"}, "0000:21:00.0 but for serial, which is 00-1b-21"),
        ({"slot": "7"}, "PFs here: 0000:21:00.0 (ens1, slot 4), 0000:41:00.0 (ens2, slot 4-1)"),
        ({"serial": "X"}, "0000:41:00.0 (ens2, serial MT1943X01234)"),
        ({"vendor": "1077"}, "0000:21:00.0 (ens1, vendor 8086)"),
    ],
    ids=str,
)
def test_what_is_there_instead_of_a_pf_is_told(value: object, told: str) -> None:
    policy = parse_policy({"version": 1, "persist": False, "pfs": [{"pf": value, "vfs": 0}]})
    (unmet,) = plan(policy, CROWDED).warnings
    assert unmet.code == "pf-not-found"
    assert told in unmet.fix


def test_a_bridge_and_a_function_that_is_not_there_are_told_of_whole_devices() -> None:
    devices = [{"device": "0000:00:01.0"}, {"device": "0000:41:00.3"}, {"device": str(VF.address)}]
    policy = parse_policy({"version": 1, "persist": False, "devices": devices})
    bridge, absent, vf = plan(policy, CROWDED).warnings
    assert bridge.fix.startswith("0000:00:01.0 is a bridge, which no guest can have")
    assert absent.fix.startswith("that card has no function 3, but 0000:41:00.0")
    assert vf.fix.startswith(f"{VF.address} is a VF of 0000:21:00.0; the entry of its PF")


def test_what_is_like_nothing_here_is_given_no_near_miss() -> None:
    policy = parse_policy({"version": 1, "persist": False, "pfs": [{"pf": "bond0", "vfs": 0}]})
    (unmet,) = plan(policy, NAMED).warnings
    assert unmet.fix.startswith("PFs here: ")


@pytest.mark.parametrize(
    ("value", "path", "hint"),
    [
        ({"vendor": 8086}, "pfs[0].pf.vendor", "four hexadecimal digits in quotes"),
        ({"class": "0x02"}, "pfs[0].pf.class", "two to six"),
        ({"slot": 4}, "pfs[0].pf.slot", "in quotes"),
        ({"numa_node": -1}, "pfs[0].pf.numa_node", "from 0 to 1024"),
        ({"address": "0000:4*:*.*"}, "pfs[0].pf.address", "0000:21:*.*"),
        ("zz:*.*", "pfs[0].pf", "0000:21:*.*"),
        ({"vendor_id": "8086"}, "pfs[0].pf.vendor_id", "did you mean vendor?"),
        ({"serail": "x"}, "pfs[0].pf.serail", "did you mean serial?"),
        ({"netdev": None}, "pfs[0].pf", "one of address, netdev"),
    ],
    ids=str,
)
def test_what_selects_nothing_ever_is_refused_in_its_place(
    value: object, path: str, hint: str
) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        selector(value)
    assert caught.value.path == path
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("key", "meant"),
    [("sriov_numb", "vfs"), ("sriov_numvfs", "vfs"), ("max_vfs", "vfs"), ("aliass", "alias")],
)
def test_a_name_from_elsewhere_or_misspelt_gets_its_near_miss(key: str, meant: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        parse_policy({"version": 1, "pfs": [{"pf": "ens1", "vfs": 1, key: 1}]})
    assert caught.value.path == f"pfs[0].{key}"
    assert caught.value.hint.startswith(f"did you mean {meant}?")


_values: dict[str, Any] = {
    "netdev": st.sampled_from(["ens1", "ens2"]),
    "vendor": st.sampled_from(["8086", "15b3"]),
    "class": st.sampled_from(["02", "0200", "01"]),
    "slot": st.sampled_from(["4", "4-1"]),
    "driver": st.sampled_from(["igb", "mlx5_core"]),
    "numa_node": st.integers(0, 2),
}


@given(st.fixed_dictionaries({}, optional=_values).filter(bool))
def test_more_fields_never_select_more(fields: dict[str, Any]) -> None:
    whole = set(selector(fields).select(NAMED.pfs, NAMED))
    each = [set(selector({key: value}).select(NAMED.pfs, NAMED)) for key, value in fields.items()]
    assert whole == set.intersection(*each)
    assert set(fields) <= set(FIELDS)


@given(st.fixed_dictionaries({}, optional=_values).filter(bool))
def test_a_near_miss_is_one_field_away(fields: dict[str, Any]) -> None:
    chosen = selector(fields)
    for near in chosen.near_misses(NAMED.pfs, NAMED):
        field = near.partition("but for ")[2].partition(",")[0]
        rest = {key: value for key, value in fields.items() if key != field}
        assert not rest or selector(rest).select(NAMED.pfs, NAMED)
