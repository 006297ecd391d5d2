from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci.alias import Alias, NumaPolicy
from lanekeeper.domain.pci.device import DeviceType
from lanekeeper.domain.pci.request import (
    COUNT_MAX,
    DeviceRequest,
    Offered,
    RequestSource,
    flavor_requests,
    matches,
    mismatches,
    parse_alias_spec,
    port_request,
)

A1 = Alias.parse(
    {"name": "a1", "vendor_id": "8086", "product_id": "10ca", "device_type": "type-VF"}
)
names = st.text(
    st.characters(exclude_characters=",:", exclude_categories=["Z", "C"]), min_size=1, max_size=20
)


@given(st.lists(st.tuples(names, st.integers(0, COUNT_MAX)), min_size=1))
def test_an_alias_spec_reads_back(units: list[tuple[str, int]]) -> None:
    text = " , ".join(f"{name}:{count}" for name, count in units)
    assert parse_alias_spec(text) == tuple(units)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        units = parse_alias_spec(text)
    except Invalid:
        return
    assert all(name and 0 <= count <= COUNT_MAX for name, count in units)


@pytest.mark.parametrize(
    "text",
    [
        *("", "a1", "a1:", ":1", "a1:x", "a1:-1", "a1:1_0", "a1:1,", ",a1:1", "a1:1:2", "a1: 2"),
        *("a1:1 ", "a1:1\n", "a1:1;b:1", "a1:65537", "a1:\u0661", " :1", "a,b:1"),
        "a1:" + "9" * 5000,
    ],
)
def test_a_wrong_alias_spec_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="is not NAME:COUNT"):
        parse_alias_spec(text)


def test_a_flavor_asks_in_the_order_of_its_extra_spec() -> None:
    nvme = Alias.parse({"name": "nvme", "vendor_id": "1b36", "product_id": "0010"})
    requests = flavor_requests([A1, nvme], "nvme:2,a1:1,nvme:1")
    assert [(one.alias_name, one.count) for one in requests] == [
        ("nvme", 2),
        ("a1", 1),
        ("nvme", 1),
    ]
    assert flavor_requests([A1], None) == ()


def test_an_alias_that_is_not_defined_is_named() -> None:
    with pytest.raises(Invalid, match="PCI alias a9 is not defined") as caught:
        flavor_requests([A1], "a1:1,a9:1")
    assert caught.value.hint == "defined are: a1; add it to [pci] alias, or use one of these"


def test_flavor_or_image_replace_the_policy_of_the_alias() -> None:
    (request,) = flavor_requests([A1], "a1:1", NumaPolicy.REQUIRED)
    assert request.numa_policy is NumaPolicy.REQUIRED


def offered(
    vendor_id: str = "8086", product_id: str = "10ca", dev_type: str = "type-VF", **tags: str
) -> Offered:
    return Offered.from_text(vendor_id, product_id, dev_type, tags)


def wanted(text: str = "a1:1", **change: Any) -> Any:
    alias = Alias.parse({"name": "a1", "vendor_id": "8086", "product_id": "10ca", **change})
    return flavor_requests([alias], text)[0].alternatives[0]


def reasons(*pair: Any) -> list[str]:
    return [one.reason for one in mismatches(*pair)]


def test_a_vf_on_a_network_serves_ports_and_no_alias() -> None:
    vf = offered(physical_network="physnet1")
    assert reasons(wanted(), vf) == [
        "it serves ports on physnet1",
        "it is counted as SRIOV_NET_VF, not CUSTOM_PCI_8086_10CA",
    ]
    port = port_request("direct", "physnet1")
    assert port is not None
    assert matches(port.alternatives[0], vf)


def test_a_vf_on_a_network_with_a_class_of_its_own_serves_both() -> None:
    vf = offered(physical_network="physnet1", resource_class="fast nic")
    port = port_request("direct", "physnet1")
    assert port is not None
    assert matches(port.alternatives[0], vf)
    assert matches(wanted(resource_class="fast nic"), vf)
    assert not matches(wanted(), vf)


def test_an_untagged_vf_serves_aliases_and_no_ports() -> None:
    assert matches(wanted(), offered())
    for network in ("physnet1", None):
        port = port_request("direct", network)
        assert port is not None
        (reason,) = reasons(port.alternatives[0], offered())
        assert "serves no ports" in reason


def test_a_vf_tagged_with_null_serves_ports_without_a_physical_network() -> None:
    port = port_request("direct", None)
    assert port is not None
    assert matches(port.alternatives[0], offered(physical_network=""))
    assert not matches(port.alternatives[0], offered(physical_network="physnet1"))


def test_a_whole_pf_is_given_only_when_asked_for() -> None:
    pf = offered(dev_type="type-PF")
    assert not matches(wanted(), pf)
    assert matches(wanted(device_type="type-PF"), pf)
    physical = port_request("direct-physical", "p")
    assert physical is not None
    assert matches(physical.alternatives[0], offered(dev_type="type-PF", physical_network="P"))
    assert not matches(physical.alternatives[0], offered(physical_network="p"))


@pytest.mark.parametrize(
    ("trusted", "tag", "fits"),
    [
        (None, None, True),
        (None, "true", True),
        ("yes", "true", True),
        (True, None, False),
        (False, None, True),
        ("false", "true", False),
    ],
)
def test_trust(trusted: object, tag: str | None, fits: bool) -> None:
    port = port_request("direct", "p", trusted=trusted)
    assert port is not None
    tags = {"physical_network": "p"} | ({"trusted": tag} if tag else {})
    assert matches(port.alternatives[0], offered(**tags)) is fits


def test_migratable_devices_are_asked_for_by_their_mark() -> None:
    yes, no = wanted(live_migratable="yes"), wanted(live_migratable="no")
    marks = (offered(live_migratable="true"), offered(live_migratable="false"), offered())
    assert [matches(yes, one) for one in marks] == [True, False, False]
    assert [matches(no, one) for one in marks] == [False, True, False]
    assert all(matches(wanted(), one) for one in marks)


def test_traits_have_to_be_there() -> None:
    alternative = wanted(traits="blue,big")
    assert reasons(alternative, offered(traits="blue")) == ["it lacks the trait CUSTOM_BIG"]
    assert matches(alternative, offered(traits="big, blue, other"))


def test_a_class_of_its_own_is_asked_for_by_it() -> None:
    vf = offered(resource_class="CUSTOM_GPU")
    assert reasons(wanted(), vf) == ["it is counted as CUSTOM_GPU, not CUSTOM_PCI_8086_10CA"]
    assert matches(wanted(resource_class="gpu"), vf)


def test_vios_alias_by_type_takes_any_vf_that_serves_aliases() -> None:
    alias = Alias.parse({"name": "v", "device_type": "type-VF"})
    (request,) = flavor_requests([alias], "v:1")
    alternative = request.alternatives[0]
    assert matches(alternative, offered("1b36", "0010"))
    assert not matches(alternative, offered(physical_network="p"))
    assert not matches(alternative, offered(dev_type="type-PCI"))


def test_remote_managed_devices_go_to_their_ports_only() -> None:
    vf = offered(remote_managed="true", physical_network="")
    remote = port_request("remote-managed", None)
    plain = port_request("direct", None)
    assert remote is not None
    assert plain is not None
    assert matches(remote.alternatives[0], vf)
    assert not matches(plain.alternatives[0], vf)
    assert not matches(wanted(), vf)


@pytest.mark.parametrize("vnic_type", ["normal", "baremetal", "smart-nic", "accelerator-direct"])
def test_other_ports_need_no_device(vnic_type: str) -> None:
    assert port_request(vnic_type, "p", trusted="true") is None


def test_a_port_request_is_one_device_by_the_ports_policy() -> None:
    port = port_request("macvtap", "p", numa_policy=NumaPolicy.SOCKET)
    assert port is not None
    assert (port.count, port.source, port.alias_name) == (1, RequestSource.PORT, None)
    assert port.numa_policy is NumaPolicy.SOCKET
    with pytest.raises(Invalid, match="trusted 'junk' is neither"):
        port_request("direct", "p", trusted="junk")


def test_a_request_survives_json() -> None:
    requests = (*flavor_requests([A1], "a1:2"), port_request("direct-physical", "p"))
    text = msgspec.json.encode(requests)
    assert msgspec.json.decode(text, type=tuple[DeviceRequest, ...]) == requests


def test_what_is_offered_comes_from_the_device_and_its_tags() -> None:
    one = offered(physical_network="p", live_migratable="true")
    assert one.dev_type is DeviceType.VF
    assert one.resource_class == "SRIOV_NET_VF"
    assert {"CUSTOM_PHYSNET_P", "HW_PCI_LIVE_MIGRATABLE"} <= one.traits


def test_a_port_of_a_vfs_kind_takes_no_plain_device() -> None:
    wanted = port_request("direct", "physnet1")
    assert wanted is not None
    offered = Offered.from_text("8086", "10ca", "type-PCI", {"physical_network": "physnet1"})
    (reason,) = reasons(wanted.alternatives[0], offered)
    assert reason == "it is no VF, and a port's MAC and VLAN are set through the PF of one"


def test_a_vdpa_device_goes_to_ports_of_type_vdpa_only() -> None:
    offered = Offered.from_text("15b3", "101e", "vdpa", {"physical_network": "physnet1"})
    vdpa, direct = port_request("vdpa", "physnet1"), port_request("direct", "physnet1")
    assert vdpa is not None
    assert direct is not None
    assert matches(vdpa.alternatives[0], offered)
    (reason,) = reasons(direct.alternatives[0], offered)
    assert "only to ports of type vdpa" in reason
