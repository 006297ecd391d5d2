import pytest

from lanekeeper.domain.compute.extra_spec import check_values
from lanekeeper.domain.compute.extra_spec_rule import SCOPES, check_by_rule
from lanekeeper.domain.errors import Invalid


@pytest.mark.parametrize(
    ("key", "good", "bad", "said"),
    [
        ("hw:boot_menu", "Yes", "ja", "neither true nor false"),
        ("hide_hypervisor_id", "0", "2", "neither true nor false"),
        ("hw:cpu_sockets", "1", "0", "a whole number from 1"),
        ("hw:serial_port_count", "0", "-1", "a whole number from 0"),
        ("hw:redirected_usb_ports", "15", "16", "a whole number from 0 to 15"),
        ("quota:cpu_quota", "-1", "1.5", "not a whole number$"),
        ("resources:VGPU", "1", "one", "not a whole number"),
        ("resources_a-1:CUSTOM_X", "1", "", "not a whole number"),
        ("hw:watchdog_action", "reset", "halt", "none of none, pause, poweroff, reset, disabled"),
        ("hw:tpm_version", "2.0", "2", "none of 1.2, 2.0"),
        ("trait:HW_CPU_X86_AVX", "required", "1", "none of required, forbidden"),
        ("trait1:CUSTOM_X", "forbidden", "", "none of required, forbidden"),
        ("hw:cpu_realtime_mask", "^0-1", "a", "not a set of CPUs such as 0-3,"),
        ("hw:pmem", "A,B", "A B", "not a list of labels"),
        ("hw:mem_page_size", "2MB", "2 MB", "not large, small, any or a size"),
    ],
)
def test_a_value_of_each_kind(key: str, good: str, bad: str, said: str) -> None:
    check_by_rule(key, good)
    with pytest.raises(Invalid, match=said) as refused:
        check_by_rule(key, bad)
    assert f"extra spec {key} {bad!r} " in str(refused.value)


@pytest.mark.parametrize(
    "key",
    [
        "accel:device_profile",
        "aggregate_instance_extra_specs:a:b",
        "capabilities:cpu_info:features",
        "capabilities:host",
        "vmware:storage_policy",
        "myorg:whatever",
        "powervm:proc_units",
        "ssd",
    ],
)
def test_some_keys_may_have_any_value(key: str) -> None:
    check_by_rule(key, "")
    check_by_rule(key, "<in> 5")


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("hw:cpu_polcy", "did you mean hw:cpu_policy?"),
        ("hw:numa_cpu.1", "did you mean hw:numa_cpus.1?"),
        ("hw:numa_mem_3", "did you mean hw:numa_mem.3?"),
        ("hw:CPU-Policy", "did you mean hw:cpu_policy?"),
        ("quota:vif_outbound_averge", "did you mean quota:vif_outbound_average?"),
        ("resources1:vcpu", "did you mean resources1:VCPU?"),
        ("trait:COMPUTE_NOD", "did you mean trait:COMPUTE_NODE?"),
        ("pci_passthrough:aliases", "pci_passthrough: has alias"),
        ("hw_rng:on", "hw_rng: has allowed, rate_bytes, rate_period"),
        ("hw:nothing_like_it", ""),
        ("capabilities:", ""),
        ("aggregate_instance_extra_specs:", ""),
    ],
)
def test_an_unknown_key_is_refused_with_the_one_that_is_meant(key: str, hint: str) -> None:
    with pytest.raises(Invalid, match=f"extra spec {key} does not exist") as refused:
        check_by_rule(key, "1")
    assert refused.value.hint == hint


def test_a_slip_of_a_word_is_told_with_the_one_that_is_meant() -> None:
    with pytest.raises(Invalid, match=r"did you mean poweroff\?"):
        check_by_rule("hw:watchdog_action", "powerof")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hw:cpu_realtime_mask", "1" + ",1-1" * 60 + "x"),
        ("hw:pmem", "a" * 250 + "-"),
        ("pci_passthrough:alias", "a:1" + " , a:1" * 40 + "x"),
    ],
)
def test_values_that_nova_would_never_be_done_with_are_answered(key: str, value: str) -> None:
    with pytest.raises(Invalid):
        check_by_rule(key, value)


def test_what_is_checked_for_a_server_is_checked_with_the_flavor() -> None:
    with pytest.raises(Invalid, match="quota:vif_outbound_average='abc'"):
        check_values({"quota:vif_outbound_average": "abc"})
    check_values({"quota:vif_outbound_average": "125000", "hw:vif_vnic_type": "direct"})


def test_no_key_is_of_two_scopes() -> None:
    for scope in SCOPES:
        assert [one.name for one in SCOPES if one.has(scope.name)] == [scope.name]
