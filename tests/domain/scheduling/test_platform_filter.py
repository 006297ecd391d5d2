"""Hosts by architecture and hypervisor, as images and flavors ask for them."""

import pytest

from domain.scheduling.hosts import host, server
from lanekeeper.domain.scheduling.filter_choice import filters_of
from lanekeeper.domain.scheduling.filter_settings import FilterSettings
from lanekeeper.domain.scheduling.host import Platform
from lanekeeper.domain.scheduling.selection import first_verdict

VIEW = host("h1", platform=Platform("x86_64", "qemu", 8_002_001), servers=frozenset({"s"}))


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({}, ""),
        ({"hw_architecture": "x86_64"}, ""),
        ({"hw_architecture": "AMD64"}, ""),
        ({"hw_architecture": "aarch64"}, "has x86_64, the image has hw_architecture=aarch64"),
        ({"img_hv_type": "kvm"}, ""),
        ({"img_hv_type": "QEMU"}, ""),
        ({"img_hv_type": "xen"}, "has qemu, the image has img_hv_type=xen"),
        ({"hw_vm_mode": "hvm"}, ""),
        ({"hw_vm_mode": "xen"}, "hw_vm_mode=xen"),
        ({"img_hv_requested_version": ">=8.2,<9"}, ""),
        ({"img_hv_requested_version": "==8.2.1"}, ""),
        ({"img_hv_requested_version": ">=9"}, "has version 8.2.1"),
        ({"img_hv_requested_version": "9"}, "img_hv_requested_version=9"),
    ],
)
def test_an_image_goes_where_it_runs(properties: dict[str, str], words: str) -> None:
    verdict = first_verdict(
        server(image_properties=properties), VIEW, filters_of(["ImagePropertiesFilter"])
    )
    assert (verdict is None) is (not words)
    assert verdict is None or words in verdict.reason
    asked = server(image_properties=properties)
    assert first_verdict(asked, VIEW, filters_of(["ComputeFilter"])) is None


def test_an_image_that_says_nothing_is_for_the_default_architecture() -> None:
    settings = FilterSettings(default_architecture="aarch64")
    filters = filters_of(["ImagePropertiesFilter"], settings)
    assert first_verdict(server(), VIEW, filters) is not None
    asked = server(image_properties={"hw_architecture": "x86_64"})
    assert first_verdict(asked, VIEW, filters) is None
    silent = first_verdict(asked, host(), filters)
    assert silent is not None
    assert "has not told" in silent.reason


@pytest.mark.parametrize(
    ("spec", "required", "passes"),
    [
        ("cpu_info:arch", "x86_64", True),
        ("cpu_info:arch", "<or> ppc64 <or> aarch64", False),
        ("host", "s== h1", True),
        ("hypervisor_hostname", "s== h2", False),
        ("hypervisor_type", "QEMU", True),
        ("hypervisor_version", ">= 9000000", False),
        ("num_instances", "<= 1", True),
        ("num_instances", "== 0", False),
    ],
)
def test_a_flavor_asks_what_a_host_is(spec: str, required: str, passes: bool) -> None:
    asked = server(extra_specs={f"capabilities:{spec}": required})
    verdict = first_verdict(asked, VIEW, filters_of(["ComputeCapabilitiesFilter"]))
    assert (verdict is None) is passes
