"""Ranges of VFs: what each VF is to be, and ranges that cannot be."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.hostplan.hosts import OTHER_PF, PF, host, pf_at, vfs_of
from lanekeeper.domain.hostplan.nova_conf import nova_conf
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.domain.hostplan.policy.pf import PfPolicy
from lanekeeper.domain.hostplan.policy.policy import Policy, parse_policy
from lanekeeper.domain.hostplan.policy.reading import PolicyInvalid
from lanekeeper.domain.hostplan.policy.vf import STABLE, mac_of


def policy(entry: dict[str, Any]) -> Policy:
    return parse_policy({"version": 1, "persist": False, "pfs": [{"pf": "ens1", **entry}]})


def entry_of(entry: dict[str, Any]) -> PfPolicy:
    return policy(entry).pfs[0]


def test_a_range_says_what_its_vfs_are_and_leaves_the_rest_to_the_pf() -> None:
    found = entry_of(
        {
            "vfs": 7,
            "alias": "a1",
            "trust": True,
            "tags": {"trusted": "true"},
            "ranges": [
                {"vfs": "0-2", "physical_network": "physnet1", "tags": {"traits": ["CUSTOM_X"]}},
                {"vfs": 6, "vf_driver": "vfio-pci", "trust": False},
            ],
        }
    )
    drivers = [found.of(index).vf_driver for index in range(7)]
    assert drivers == ["none"] * 6 + ["vfio-pci"]
    purposes = [str(found.of(index).purpose) for index in range(7)]
    assert purposes == ["physical_network physnet1"] * 3 + ["alias a1"] * 4
    assert [found.of(index).trust for index in range(7)] == [True] * 6 + [False]
    assert dict(found.of(0).tags) == {"trusted": "true", "traits": "CUSTOM_X"}
    assert dict(found.of(6).tags) == {"trusted": "true"}


@pytest.mark.parametrize(
    ("ranges", "path", "message"),
    [
        (["0-3", "3-5"], "pfs[0].ranges[1].vfs", "3-5 overlaps 0-3 of pfs[0].ranges[0]"),
        (["4-5", "0-6"], "pfs[0].ranges[1].vfs", "0-6 overlaps 4-5 of pfs[0].ranges[0]"),
        ([2, 2], "pfs[0].ranges[1].vfs", "2 overlaps 2 of pfs[0].ranges[0]"),
        (["5-7"], "pfs[0].ranges[0].vfs", "5-7 is beyond the PF's 7 VFs"),
        (["3-1"], "pfs[0].ranges[0].vfs", "ends before it begins"),
        (["all"], "pfs[0].ranges[0].vfs", "is 'all'"),
        ([True], "pfs[0].ranges[0].vfs", "is True"),
    ],
    ids=str,
)
def test_ranges_that_cannot_be_are_refused_naming_both(
    ranges: list[Any], path: str, message: str
) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        policy({"vfs": 7, "ranges": [{"vfs": each} for each in ranges]})
    assert caught.value.path == path
    assert message in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        ({"mac": "01:00:00:00:00:00"}, "pfs[0].mac"),
        ({"mac": "02:00:00:ff:ff:fe"}, "pfs[0].mac"),
        ({"mac": "00:00:00:00:00:00"}, "pfs[0].mac"),
        ({"mac": "random"}, "pfs[0].mac"),
        ({"tags": {"vendor_id": "8086"}}, "pfs[0].tags.vendor_id"),
        ({"tags": {"trusted": "maybe"}}, "pfs[0].tags"),
        ({"eswitch": "legacy", "ovs_bridge": "br0"}, "pfs[0].eswitch"),
        ({"live_migration": True, "vf_driver": "vfio-pci"}, "pfs[0].vf_driver"),
        ({"ovs_bridge": "br 0"}, "pfs[0].ovs_bridge"),
    ],
    ids=str,
)
def test_what_contradicts_itself_is_refused_in_its_place(entry: dict[str, Any], path: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        policy({"vfs": 7, **entry})
    assert caught.value.path == path


@given(st.integers(0, 2**48 - 1), st.integers(0, 255))
def test_a_stable_address_is_local_and_of_one_station(number: int, index: int) -> None:
    pf_mac = number.to_bytes(6, "big").hex(":")
    found = mac_of(STABLE, pf_mac, index, 0)
    assert found == mac_of(STABLE, pf_mac.upper(), index, 3)
    assert found is not None
    assert int(found[:2], 16) & 0b11 == 0b10


def test_stable_addresses_of_a_cards_ports_do_not_meet() -> None:
    ports = [f"b8:ce:f6:00:00:{port:02x}" for port in range(4)]
    made = [mac_of(STABLE, port, index, index) for port in ports for index in range(256)]
    assert len(set(made)) == len(made)
    assert mac_of(STABLE, None, 0, 0) is None


def test_a_first_address_counts_up_within_its_range() -> None:
    found = entry_of({"vfs": 7, "ranges": [{"vfs": "3-5", "mac": "02:00:00:00:10:ff"}]})
    pf = pf_at(PF, "ens1")
    macs = [found.mac(pf, index) for index in range(7)]
    assert macs[2:6] == [None, "02:00:00:00:10:ff", "02:00:00:00:11:00", "02:00:00:00:11:01"]


def test_nova_is_told_of_each_vf_where_ranges_differ() -> None:
    pf = pf_at(PF, "ens1", num_vfs=2)
    facts = host(devices=(pf, *vfs_of(pf, [None, None]), pf_at(OTHER_PF, "ens2")))
    ranges = [{"vfs": 1, "alias": "fast", "tags": {"resource_class": "CUSTOM_FAST"}}]
    found = policy({"vfs": 2, "physical_network": "physnet1", "ranges": ranges})
    ids = '"vendor_id": "8086", "product_id": "10ca"'
    fast = '"resource_class": "CUSTOM_FAST"'
    assert nova_conf(found, facts) == (
        f'device_spec = {{{ids}, "address": "0000:21:10.0", "physical_network": "physnet1"}}',
        f'device_spec = {{{ids}, "address": "0000:21:10.2", {fast}}}',
        f'alias = {{{ids}, "device_type": "type-VF", "name": "fast", {fast}}}',
    )


def test_settings_that_cannot_be_read_could_not_be_given_back() -> None:
    pf = pf_at(PF, "ens1", num_vfs=1)
    facts = host(devices=(pf, *vfs_of(pf, [None])), autoprobe={PF: False})
    (refusal,) = plan(policy({"vfs": 1, "trust": True}), facts).refusals
    assert refusal.code == "vf-settings-unknown"
    (refusal,) = plan(policy({"vfs": 2, "mac": "stable"}), facts).refusals
    assert refusal.code == "pf-without-mac"
