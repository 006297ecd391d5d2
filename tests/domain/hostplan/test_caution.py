"""What a plan warns of: dangers that a policy asks for, and words that do nothing."""

from __future__ import annotations

from typing import Any

import pytest

from domain.hostplan.hosts import host
from lanekeeper.domain.hostplan.offline import offline_plan
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.domain.hostplan.policy.policy import parse_policy
from lanekeeper.domain.hostplan.step import Caution

KERNEL: dict[str, Any] = {
    "release": "6.1.0",
    "modules": frozenset({"kvm_intel", "nouveau"}),
    "loadable": frozenset({"mlx5_core", "igb"}),
    "loadable_whole": True,
}


def told(**fields: Any) -> list[Caution]:
    policy = parse_policy({"version": 1, **fields})
    found = plan(policy, host(**KERNEL))
    return [each for each in found.warnings if isinstance(each, Caution)]


@pytest.mark.parametrize(
    ("fields", "code", "subject", "said"),
    [
        (
            {"kernel_arguments": ["quiet", "intremap=off"]},
            "argument-risky",
            "kernel_arguments[1]",
            "intremap=off: interrupts are not remapped",
        ),
        (
            {"kernel_arguments": ["pci=realloc,off"]},
            "argument-risky",
            "kernel_arguments[0]",
            "the kernel looks at no PCI bus",
        ),
        (
            {"kernel_arguments": ["vfio_iommu_type1.allow_unsafe_interrupts=1"]},
            "argument-risky",
            "kernel_arguments[0]",
            "can inject interrupts into the host",
        ),
        (
            {"module_options": {"kvm-intel": ["ept=1"], "mlx5_cor": ["prof_sel=2"]}},
            "module-unknown",
            "module_options.mlx5_cor",
            "kernel 6.1.0 has no module mlx5_cor: its options do nothing",
        ),
        (
            {"blacklist": ["nouveua", "radeon", "igb"]},
            "module-unknown",
            "blacklist[0]",
            "kernel 6.1.0 has no module nouveua: nothing is kept from loading",
        ),
    ],
)
def test_it_is_told_where_it_stands(
    fields: dict[str, Any], code: str, subject: str, said: str
) -> None:
    (caution,) = told(**fields)
    assert (caution.code, caution.subject) == (code, subject)
    assert said in caution.reason


@pytest.mark.parametrize(
    ("argument", "meant"),
    [
        ("intel_iommu=onn", "intel_iommu=on"),
        ("intel_iommu=on,sm_onn", "intel_iommu=on,sm_on"),
        ("iommu=ptt", "iommu=pt"),
        ("iommu=PT", "iommu=pt"),
        ("intel_iomu=on", "intel_iommu=on"),
        ("INTEL_IOMMU=on", "intel_iommu=on"),
        ("iommu.passtrough=1", "iommu.passthrough=1"),
        ("hugepagez=1G", "hugepagesz=1G"),
    ],
)
def test_a_slip_of_the_pen_in_an_argument_is_told(argument: str, meant: str) -> None:
    (caution,) = told(kernel_arguments=["quiet", argument])
    assert (caution.code, caution.subject) == ("argument-unknown", "kernel_arguments[1]")
    assert caution.fix == f"did you mean {meant}?"


@pytest.mark.parametrize(
    "argument",
    [
        *("intel_iommu=on", "amd_iommu=on", "iommu=pt", "iommu=merge,pt", "intel_iommu=on,sm_on"),
        *("amd_iommu_intr=vapic", "hugepages=16", "default_hugepagesz=1G", "pci=realloc", "quiet"),
        *("intel_idle.max_cstate=0", "pcie_aspm=off", "nohz=on", "iommu.forcedac=1", "panic=5"),
    ],
)
def test_what_the_kernel_knows_is_no_slip(argument: str) -> None:
    assert told(kernel_arguments=[argument]) == []


def test_near_misses_are_named() -> None:
    (options,) = told(module_options={"mlx5_cor": ["prof_sel=2"]})
    assert options.fix == "did you mean mlx5_core?"
    (blacklist,) = told(blacklist=["nouveua"])
    assert blacklist.fix == "did you mean nouveau?"
    (other,) = told(module_options={"zzz": ["x=1"]})
    assert "install what has the module" in other.fix


def test_an_option_that_is_a_danger_is_told_also_of_an_image() -> None:
    options = {"vfio_iommu_type1": ["allow_unsafe_interrupts=1"]}
    policy = parse_policy({"version": 1, "module_options": options})
    (caution,) = offline_plan(policy, host()).warnings
    assert (caution.code, caution.subject) == ("option-risky", "module_options.vfio_iommu_type1[0]")
    kept = parse_policy({"version": 1, "module_options": {"vfio_iommu_type1": ["x=0"]}})
    assert offline_plan(kept, host()).warnings == ()


def test_a_kernel_whose_modules_are_not_known_is_not_judged() -> None:
    policy = parse_policy({"version": 1, "module_options": {"mlx5_cor": ["prof_sel=2"]}})
    assert plan(policy, host(release="6.1.0")).warnings == ()
