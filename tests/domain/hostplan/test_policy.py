import json
from dataclasses import replace

import pytest

from domain.hostplan.hosts import OTHER_PF, PF, host, pf_at, vfs_of
from lanekeeper.domain.hostplan.choice import choose
from lanekeeper.domain.hostplan.nova_conf import nova_conf, sriov_nic
from lanekeeper.domain.hostplan.policy.policy import parse_policy
from lanekeeper.domain.hostplan.policy.purpose import Purpose
from lanekeeper.domain.hostplan.policy.reading import PolicyInvalid
from lanekeeper.domain.hostplan.policy.selector import DeviceSelector
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device_spec import DeviceSpec
from lanekeeper.domain.pci.listing import list_devices


def selector(value: object) -> DeviceSelector:
    return parse_policy({"version": 1, "pfs": [{"pf": value, "vfs": 0}]}).pfs[0].selector


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("0000:21:00.0", DeviceSelector(address=PF)),
        ("21:00.0", DeviceSelector(address=PF)),
        ("ens1", DeviceSelector(netdev="ens1")),
        ({"address": "21:00.0"}, DeviceSelector(address=PF)),
        ({"netdev": "ens1"}, DeviceSelector(netdev="ens1")),
        ({"ids": "8086:10C9", "index": 1}, DeviceSelector(ids=(0x8086, 0x10C9), index=1)),
        ({"index": 0}, DeviceSelector(index=0)),
    ],
)
def test_a_pf_is_chosen_by_address_name_ids_or_place(value: object, found: DeviceSelector) -> None:
    assert selector(value) == found


@pytest.mark.parametrize(
    ("value", "chosen"),
    [
        ("0000:21:00.0", [PF]),
        ("ens2", [OTHER_PF]),
        ({"ids": "8086:10c9"}, [PF, OTHER_PF]),
        ({"ids": "8086:10c9", "index": 1}, [OTHER_PF]),
        ({"index": 2}, []),
        ({"ids": "15b3:1017"}, []),
        ({"address": "0000:21:00.0", "netdev": "ens2"}, []),
    ],
)
def test_all_that_is_given_must_hold(value: object, chosen: list[PciAddress]) -> None:
    assert [pf.address for pf in selector(value).select(host().pfs, host())] == chosen


def test_a_vf_is_never_chosen() -> None:
    pf = pf_at(PF, "ens1", num_vfs=1)
    (vf,) = vfs_of(pf, [None])
    facts = host(devices=(pf, vf))
    assert DeviceSelector(address=vf.address).select(facts.pfs, facts) == ()


def test_what_is_left_out_has_a_safe_default() -> None:
    policy = parse_policy({"version": 1, "pfs": [{"pf": "ens1", "vfs": 4}]})
    (entry,) = policy.pfs
    assert (entry.vf_driver, entry.link_up, entry.purpose) == ("none", True, None)
    assert not entry.autoprobe
    assert entry.named_driver is None
    assert (policy.persist, policy.manage_management) == (True, False)
    assert parse_policy({"version": 1}).pfs == ()


@pytest.mark.parametrize(
    ("given", "autoprobe", "named"),
    [("none", False, None), (None, False, None), ("auto", True, None), ("igbvf", False, "igbvf")],
)
def test_who_takes_the_vfs(given: str | None, autoprobe: bool, named: str | None) -> None:
    entry = {"pf": "ens1", "vfs": 1, "vf_driver": given}
    (found,) = parse_policy({"version": 1, "pfs": [entry]}).pfs
    assert (found.autoprobe, found.named_driver) == (autoprobe, named)


def test_an_error_has_the_path_of_its_field() -> None:
    with pytest.raises(PolicyInvalid) as caught:
        parse_policy({"version": 1, "pfs": [{"pf": "a", "vfs": 1}, {"pf": "b", "vfs": "x"}]})
    assert caught.value.path == "pfs[1].vfs"
    with pytest.raises(PolicyInvalid, match="has 300 entries"):
        parse_policy({"version": 1, "pfs": [{}] * 300})


def test_a_purpose_reads_as_in_the_file() -> None:
    assert str(Purpose(physical_network="physnet1")) == "physical_network physnet1"
    assert str(Purpose(alias="a1")) == "alias a1"


def test_what_nova_conf_would_say() -> None:
    first, second = pf_at(PF, "ens1", num_vfs=2), pf_at(OTHER_PF, "ens2", num_vfs=1)
    devices = (first, *vfs_of(first, [None, None]), second, *vfs_of(second, [None]))
    entries = [
        {"pf": "ens1", "vfs": 2, "physical_network": "physnet1"},
        {"pf": "ens2", "vfs": 1, "alias": "a1"},
    ]
    policy = parse_policy({"version": 1, "pfs": entries})
    ids = '"vendor_id": "8086", "product_id": "10ca"'
    assert nova_conf(policy, host(devices=devices)) == (
        f'device_spec = {{{ids}, "address": "0000:21:*.*", "physical_network": "physnet1"}}',
        f'device_spec = {{{ids}, "address": "0000:41:*.*"}}',
        f'alias = {{{ids}, "device_type": "type-VF", "name": "a1"}}',
    )
    assert nova_conf(policy, host()) == ()
    assert sriov_nic(policy, host(devices=devices)) == ("physical_device_mappings = physnet1:ens1",)
    assert sriov_nic(policy, host()) == ()


@pytest.mark.parametrize(
    "other",
    [
        {"eswitch": "switchdev", "physical_network": "physnet1"},
        {"physical_network": "physnet1", "tags": {"remote_managed": "true"}},
        {"alias": "a1"},
        {"vfs": 0, "physical_network": "physnet1"},
    ],
)
def test_the_sriov_agent_is_told_of_its_own_ports_alone(other: dict[str, object]) -> None:
    pf = pf_at(PF, "ens1", num_vfs=0 if other.get("vfs") == 0 else 2)
    devices = (pf, *vfs_of(pf, [None] * pf.num_vfs))
    entry = {"pf": "ens1", "vfs": 2, **other}
    found = sriov_nic(parse_policy({"version": 1, "pfs": [entry]}), host(devices=devices))
    assert found == ()


def test_a_pf_of_two_networks_is_mapped_to_both() -> None:
    pf = pf_at(PF, "ens1", num_vfs=2)
    ranges = [{"vfs": 1, "physical_network": "physnet2"}]
    entry = {"pf": "ens1", "vfs": 2, "physical_network": "physnet1", "ranges": ranges}
    facts = host(devices=(pf, *vfs_of(pf, [None, None])))
    assert sriov_nic(parse_policy({"version": 1, "pfs": [entry]}), facts) == (
        "physical_device_mappings = physnet1:ens1,physnet2:ens1",
    )


def test_ports_of_one_card_are_listed_each_for_itself() -> None:
    """Both ports' VFs are on one bus, so a glob of the bus would give all of them to the first."""
    first = pf_at(PF, "ens1f0", num_vfs=1)
    second = pf_at(replace(PF, function=1), "ens1f1", num_vfs=1)
    (of_second,) = vfs_of(second, [None])
    of_second = replace(of_second, address=replace(of_second.address, function=1))
    devices = (first, second, *vfs_of(first, [None]), of_second)
    entries = [
        {"pf": "ens1f0", "vfs": 1, "physical_network": "physnet1"},
        {"pf": "ens1f1", "vfs": 1, "alias": "a1"},
    ]
    policy = parse_policy({"version": 1, "pfs": entries})
    lines = nova_conf(policy, host(devices=devices))
    specs = [DeviceSpec.parse(json.loads(one.partition("= ")[2])) for one in lines[:2]]
    listing = list_devices(specs, devices)
    assert {
        (str(one.device.address), one.device.parent, one.tags.get("physical_network"))
        for one in listing.listed
    } == {
        ("0000:21:10.0", first.address, "physnet1"),
        ("0000:21:10.1", second.address, None),
    }


def test_a_place_is_not_counted_past_a_card_that_cannot_be_read() -> None:
    policy = parse_policy(
        {"version": 1, "pfs": [{"pf": {"ids": "8086:10c9", "index": 0}, "vfs": 1}]}
    )
    seen = host(devices=(pf_at(OTHER_PF, "ens2"),), device_faults=((str(PF), "EIO"),))
    (refusal,) = choose(policy, seen).refusals
    assert (refusal.code, refusal.subject) == ("pf-order-unknown", "pfs[0]")
    assert "0000:21:00.0 cannot be read" in refusal.reason
    assert "serial" in refusal.fix


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["iommu=pt", "iommu=off"],
            r"\[1\]: iommu=off stands beside kernel_arguments\[0\]",
        ),
        (["iommu=pt", "quiet", "iommu=pt"], r"\[2\]: iommu=pt stands .*_arguments\[0\]"),
        (["iommu=off", "intel_iommu=on"], "only one of them can hold"),
        (["iommu=pt,off", "intel_iommu=on"], "only one of them can hold"),
        (["intel_iommu=on", "intel_iommu=sm_on"], "only one of them can hold"),
    ],
)
def test_kernel_arguments_that_contradict_each_other_are_both_named(
    arguments: list[str], said: str
) -> None:
    with pytest.raises(PolicyInvalid, match=said):
        parse_policy({"version": 1, "kernel_arguments": arguments})


def test_arguments_of_which_each_counts_may_stand_twice() -> None:
    pools = ["hugepagesz=1G", "hugepages=4", "hugepagesz=2M", "hugepages=4", "iommu=pt"]
    found = parse_policy({"version": 1, "kernel_arguments": [*pools, "intel_iommu=on"]})
    assert found.kernel_arguments == (*pools, "intel_iommu=on")


_PF = {"pf": "ens1", "vfs": 2}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"alias": "a"}, r"stands beside pfs\[0\]\.alias, which is a:"),
        ({"physical_network": "n", "vf_driver": "auto"}, r"\.physical_network, which is n:"),
        ({"tags": {"trusted": "true"}, "vf_driver": "auto"}, r"beside pfs\[0\]\.tags, "),
        ({}, r"beside pfs\[0\], whose VFs wait for guests"),
        ({"vf_driver": "vfio-pci"}, r"beside pfs\[0\]\.vf_driver, which is vfio-pci"),
        (
            {"vf_driver": "auto", "ranges": [{"vfs": "1", "alias": "b"}]},
            r"beside pfs\[0\]\.ranges\[0\]\.alias, which is b",
        ),
        (
            {"ranges": [{"vfs": "0-1", "vf_driver": "vfio-pci"}]},
            r"beside pfs\[0\]\.ranges\[0\]\.vf_driver, which is vfio-pci",
        ),
    ],
)
@pytest.mark.parametrize("argument", ["iommu=off", "iommu=pt,off", "amd_iommu=off"])
def test_the_iommu_stays_on_for_whatever_serves_guests(
    entry: dict[str, object], said: str, argument: str
) -> None:
    document = {"version": 1, "kernel_arguments": [argument], "pfs": [{**_PF, **entry}]}
    with pytest.raises(PolicyInvalid, match=said) as refused:
        parse_policy(document)
    assert str(refused.value).startswith(f"kernel_arguments[0]: {argument} stands beside")


def test_a_device_for_guests_by_any_driver_keeps_the_iommu_on() -> None:
    device = {"device": "0000:41:00.0", "driver": "pci-stub", "alias": "g"}
    document = {"version": 1, "kernel_arguments": ["intel_iommu=on,off"], "devices": [device]}
    with pytest.raises(PolicyInvalid, match=r"beside devices\[0\]\.alias, which is g"):
        parse_policy(document)


@pytest.mark.parametrize(
    "entry",
    [
        {**_PF, "vf_driver": "auto"},
        {**_PF, "vf_driver": "auto", "ranges": [{"vfs": "0", "vf_driver": "iavf"}]},
        {**_PF, "ranges": [{"vfs": "0-1", "vf_driver": "auto"}]},
        {"pf": "ens1", "vfs": 0, "alias": "a"},
    ],
)
def test_a_host_that_gives_nothing_away_may_do_without_an_iommu(entry: dict[str, object]) -> None:
    wanted = ["iommu=off"]
    found = parse_policy({"version": 1, "kernel_arguments": wanted, "pfs": [entry]})
    assert found.kernel_arguments == ("iommu=off",)


def test_of_intels_on_and_off_the_last_counts() -> None:
    wanted = ["intel_iommu=off,on"]
    found = parse_policy({"version": 1, "kernel_arguments": wanted, "pfs": [{**_PF, "alias": "a"}]})
    assert found.kernel_arguments == ("intel_iommu=off,on",)
