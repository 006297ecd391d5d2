import pytest

from lanekeeper.domain.compute.extra_spec import (
    check_offered,
    check_properties,
    check_spelling,
    check_values,
    numa_policy,
)
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.compute.spec_scope import check_scopes
from lanekeeper.domain.errors import Error, Forbidden, Invalid, NotOffered

PLAIN = {"id": "1", "name": "m1", "vcpus": 1, "ram_mib": 512, "disk_gib": 1}


def flavor(**more: object) -> Flavor:
    return Flavor(**(PLAIN | more))  # type: ignore[arg-type]  # test's shorthand


@pytest.mark.parametrize(
    "specs",
    [
        {},
        {"pci_passthrough:alias": "a1:1"},
        {"hw:pci_numa_affinity_policy": "required"},
        {"hw:cpu_policy": "shared"},
        {"hw:mem_page_size": "small"},
        {"group_policy": "none"},
        {"group_policy": "isolate"},
        {"myorg:cost-centre": "42"},
    ],
)
def test_what_can_be_honoured_passes(specs: dict[str, str]) -> None:
    check_offered(flavor(extra_specs=specs))


@pytest.mark.parametrize(
    "key",
    [
        "hw:cpu_realtime",
        "hw:numa_node",
        "hw:numa_cpus.x",
        "hw:mem_encryption",
        "lanekeeper:other",
        "hw_rng:allowed",
        "quota:vif_inbound_average",
        "resources:VCPU",
        "resources1:VGPU",
        "trait:HW_CPU_X86_AVX",
        "trait1:CUSTOM_A",
        "aggregate_instance_extra_specs:pci",
        "capabilities:cpu_info",
        "capabilities:num_instances",
        "os:secure_boot",
        "accel:device_profile",
        "ssd",
    ],
)
def test_what_would_be_overlooked_is_refused_by_name(key: str) -> None:
    with pytest.raises(NotOffered, match=key):
        check_offered(flavor(extra_specs={key: "1"}))


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("aggregate_instance_extra_specs:ssd", "AggregateInstanceExtraSpecsFilter"),
        ("capabilities:hypervisor_type", "ComputeCapabilitiesFilter"),
        ("ssd", "AggregateInstanceExtraSpecsFilter"),
    ],
)
def test_what_a_filter_honours_is_offered_where_it_is_on(key: str, name: str) -> None:
    asked = flavor(extra_specs={key: "true"})
    check_offered(asked, (name,))
    with pytest.raises(NotOffered, match=name):
        check_offered(asked, ("ComputeFilter",))


@pytest.mark.parametrize("more", [{"swap_mib": 1}, {"ephemeral_gib": 1}])
def test_disks_that_no_guest_would_get_are_refused(more: dict[str, int]) -> None:
    with pytest.raises(NotOffered, match="not offered"):
        check_offered(flavor(**more))


@pytest.mark.parametrize(
    "properties",
    [{"hw_cpu_realtime_mask": "2"}, {"hw_firmware_type": "uefi"}, {"trait:CUSTOM_X": "required"}],
)
def test_an_image_that_asks_for_more_is_refused(properties: dict[str, str]) -> None:
    with pytest.raises(NotOffered, match=next(iter(properties))):
        check_properties(properties)


def test_an_image_with_ordinary_properties_passes() -> None:
    check_properties({"kernel_id": "x", "hw_firmware_type": "bios", "os_distro": "debian"})


@pytest.mark.parametrize(
    ("specs", "error"),
    [
        ({"pci_passthrough:alias": "a1"}, "NAME:COUNT"),
        ({"pci_passthrough:alias": ""}, "NAME:COUNT"),
        *(
            ({"pci_passthrough:alias": text}, f"'{text}' is not NAME:COUNT with a COUNT of 0 to")
            for text in ("a1:-1", "a1:1_0", "a1:1.5", "a1: 2", "a1:", "a1:65537", "a1:1000000000")
        ),
        ({"pci_passthrough:other": "a1:1"}, "pci_passthrough:other does not exist"),
        ({"hw:pci_numa_affinity_policy": "near"}, "none of legacy"),
        ({"hw:numa_nodes": "0"}, "hw:numa_nodes '0' is not a whole number from 1"),
        ({"hw:numa_cpus.1": "a"}, "hw:numa_cpus.1 'a': 'a' is no CPU"),
        ({"hw:cpu_policy": "pinned"}, "none of dedicated, shared, mixed"),
        ({"lanekeeper:pcie_root": "same"}, "none of any, preferred, required"),
    ],
)
def test_values_are_checked(specs: dict[str, str], error: str) -> None:
    with pytest.raises(Invalid, match=error):
        check_values(specs)


@pytest.mark.parametrize("text", ["a1:0", "a1:01", " a1:1", "a1:1 , b1:2", "a1:65536"])
def test_counts_that_nova_takes_are_taken(text: str) -> None:
    check_values({"pci_passthrough:alias": text})


@pytest.mark.parametrize(
    "specs", [{"": "a"}, {"a/b": "c"}, {"k" * 256: "v"}, {"k": "v" * 256}, {"k": "a\0b"}]
)
def test_spelling_is_checked(specs: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        check_spelling(specs)


@pytest.mark.parametrize(
    ("in_flavor", "in_image", "outcome"),
    [
        (None, None, None),
        ("required", None, "required"),
        (None, "socket", "socket"),
        ("legacy", "legacy", "legacy"),
        ("legacy", "required", Forbidden),
        ("near", None, Invalid),
    ],
)
def test_the_numa_policy_of_flavor_and_image(
    in_flavor: str | None, in_image: str | None, outcome: object
) -> None:
    specs = {"hw:pci_numa_affinity_policy": in_flavor} if in_flavor else {}
    properties = {"hw_pci_numa_affinity_policy": in_image} if in_image else {}
    if isinstance(outcome, type) and issubclass(outcome, Error):
        with pytest.raises(outcome):
            numa_policy(specs, properties)
    else:
        assert numa_policy(specs, properties) == outcome


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("pci_passthroug:alias", "pci_passthrough:alias"),
        ("PCI_PASSTHROUGH:alias", "pci_passthrough:alias"),
        ("pci-passthrough:alias", "pci_passthrough:alias"),
        ("pci_pasthrugh:alias", "pci_passthrough:alias"),
        ("HW:cpu_policy", "hw:cpu_policy"),
        ("Quota:vif_outbound_average", "quota:vif_outbound_average"),
    ],
)
def test_a_slip_of_a_scope_is_refused_with_the_one_that_is_meant(key: str, meant: str) -> None:
    with pytest.raises(Invalid, match=key) as refused:
        check_scopes({key: "a1:1"})
    assert refused.value.hint == f"did you mean {meant}?"
    with pytest.raises(NotOffered, match=key) as refused_later:
        check_offered(flavor(extra_specs={key: "a1:1"}))
    assert refused_later.value.hint == f"did you mean {meant}?"


@pytest.mark.parametrize(
    "key", ["myorg:alias", "pci:alias", "hx:a", "sw:a", "alias", "passthrough:a"]
)
def test_other_scopes_are_notes(key: str) -> None:
    check_scopes({key: "a1:1"})


@pytest.mark.parametrize("key", ["pci_passthrough:alias", "Pci_Passthrough:alias"])
def test_an_image_that_asks_for_devices_is_refused(key: str) -> None:
    with pytest.raises(NotOffered, match="devices are asked for by flavors"):
        check_properties({key: "a1:1"})
