"""Each finding has a host that shows it and one that does not: the healthy one."""

from dataclasses import replace

import pytest

from domain.hostplan.hosts import OTHER_PF, PF, host, pf_at, vfs_of
from lanekeeper.domain.hostplan.findings.check import check
from lanekeeper.domain.hostplan.findings.finding import Finding, Severity, worst
from lanekeeper.domain.hostplan.findings.policy import policy_findings
from lanekeeper.domain.hostplan.observed import Evidence, HostFacts, Interface, NumaNode
from lanekeeper.domain.hostplan.persistence import POLICY_FILE, UNIT_LINK
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.domain.hostplan.policy.pf import PfPolicy
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.policy.selector import DeviceSelector
from lanekeeper.domain.hostplan.step import Plan, Refusal
from lanekeeper.domain.hostplan.survey import Survey, version_numbers

PF_WITH_VFS = pf_at(PF, "ens1", num_vfs=2)
VFS = vfs_of(PF_WITH_VFS, [None, None])
READY = host(
    files={POLICY_FILE: "version: 1", UNIT_LINK: "lanekeeper-host.service"},
    devices=(PF_WITH_VFS, *VFS),
    iommu_groups={1: (str(PF),), 2: (str(VFS[0].address),), 3: (str(VFS[1].address),)},
)


def ids(facts: HostFacts) -> set[str]:
    return {finding.id for finding in check(Survey(host=facts))}


def the(facts: HostFacts, finding_id: str) -> Finding:
    (found,) = (finding for finding in check(Survey(host=facts)) if finding.id == finding_id)
    return found


def test_a_ready_host_has_nothing_to_mend() -> None:
    findings = check(Survey(host=READY))
    assert worst(findings) is Severity.INFO
    assert {finding.id for finding in findings if finding.severity is Severity.OK} == {
        "cpu-virtualization",
        "kvm",
        "iommu-on",
        "interrupt-remapping-on",
        "vfio-pci",
        "vfs-present",
        "iommu-groups",
    }


SHOWN = [
    ("cpu-virtualization-missing", Severity.ERROR, {"cpu_flags": frozenset()}),
    ("kvm-missing", Severity.ERROR, {"kvm": False}),
    ("iommu-off", Severity.ERROR, {"iommu_groups": {}}),
    ("iommu-not-passthrough", Severity.INFO, {"iommu_modes": {"DMA-FQ": 3}}),
    (
        "interrupt-remapping-off",
        Severity.ERROR,
        {"interrupt_remapping": Evidence(False, "no IR-")},
    ),
    (
        "interrupt-remapping-off",
        Severity.WARNING,
        {"interrupt_remapping": Evidence(False, "no IR-"), "unsafe_interrupts": True},
    ),
    ("interrupt-remapping-unknown", Severity.INFO, {"interrupt_remapping": Evidence(None, "")}),
    ("vfio-pci-missing", Severity.ERROR, {"modules": frozenset()}),
    (
        "vfio-pci-not-loaded",
        Severity.INFO,
        {"modules": frozenset(), "loadable": frozenset({"vfio_pci"})},
    ),
    ("sriov-missing", Severity.WARNING, {"devices": ()}),
    ("vfs-missing", Severity.WARNING, {"devices": (pf_at(PF, "ens1"),)}),
    ("pf-without-driver", Severity.WARNING, {"devices": (pf_at(PF, "ens1", driver=None),)}),
    (
        "pf-link-down",
        Severity.WARNING,
        {"interfaces": (Interface(name="ens1", device=PF, is_up=False),)},
    ),
    ("numa-node-unknown", Severity.INFO, {"devices": (pf_at(PF, "ens1", numa_node=None),)}),
    (
        "iommu-group-shared",
        Severity.WARNING,
        {"iommu_groups": {1: (str(PF), "0000:00:1f.0")}},
    ),
    ("iommu-argument-unknown", Severity.WARNING, {"cmdline": ("intel_iommu=pt", "iommu=pt")}),
    ("boot-loader-unknown", Severity.INFO, {"configured_cmdline": None}),
    ("reboot-pending", Severity.WARNING, {"configured_cmdline": ("hugepages=8",)}),
    (
        "management-nic",
        Severity.INFO,
        {
            "interfaces": (
                Interface(name="eth0", device=PF, is_up=True, carries=("x",), is_management=True),
            )
        },
    ),
    ("device-unreadable", Severity.ERROR, {"device_faults": (("0000:01:00.0", "EIO"),)}),
]


@pytest.mark.parametrize(("finding_id", "severity", "changed"), SHOWN)
def test_each_finding_is_shown_with_evidence_and_fix(
    finding_id: str, severity: Severity, changed: dict[str, object]
) -> None:
    found = the(replace(READY, **changed), finding_id)  # type: ignore[arg-type]
    assert found.severity is severity
    assert found.evidence or finding_id == "interrupt-remapping-unknown"
    assert found.summary
    assert found.fix or finding_id == "management-nic"
    assert finding_id not in ids(READY)


def test_a_missing_iommu_says_where_to_look() -> None:
    bare = host(iommu_groups={}, dma_table=None, cmdline=("intel_iommu=off",))
    found = the(bare, "iommu-off")
    assert "neither DMAR nor IVRS; /proc/cmdline has intel_iommu=off" in found.evidence
    assert found.fix.startswith("switch on VT-d or AMD-Vi in the firmware")
    amd = host(iommu_groups={}, dma_table="IVRS", cpu_flags=frozenset({"svm"}))
    assert the(amd, "iommu-off").fix == "kernel_arguments: [iommu=pt] in the policy"


def test_vfs_are_counted() -> None:
    found = the(replace(READY, devices=(pf_at(PF, "ens1"),)), "vfs-missing")
    assert (found.subject, found.summary) == ("0000:21:00.0 (ens1)", "VFs 0 of 7")
    home = "/sys/bus/pci/devices/0000:21:00.0"
    assert found.evidence == f"{home}/sriov_numvfs is 0, sriov_totalvfs 7"


def test_bridges_share_a_group_without_harm() -> None:
    bridge = replace(pf_at(OTHER_PF, "x"), class_code=0x060400, netdev=None)
    groups = {**READY.iommu_groups, 1: (str(PF), str(OTHER_PF))}
    facts = replace(READY, devices=(*READY.devices, bridge), iommu_groups=groups)
    assert "iommu-group-shared" not in ids(facts)


def test_huge_pages_are_told_for_each_node() -> None:
    node = NumaNode(
        number=1, cpus=(2, 3), memory_mib=2048, huge_pages={2048: (8, 4), 1048576: (0, 0)}
    )
    found = the(replace(READY, nodes=(node,)), "numa-node")
    assert found.summary == "2 CPUs, 2048 MiB, huge pages: 8 of 2 MiB"


def test_a_policy_that_holds_differs_or_is_refused() -> None:
    entry = PfPolicy(path="pfs[0]", selector=DeviceSelector(address=PF), vfs=2)
    policy = Policy(pfs=(entry,), persist=False)
    ready = replace(READY, autoprobe={PF: False})
    (holds,) = policy_findings(policy, plan(policy, ready))
    assert (holds.id, holds.severity) == ("policy-holds", Severity.OK)
    (differs,) = policy_findings(policy, plan(policy, host()))
    assert (differs.id, differs.severity) == ("policy-differs", Severity.ERROR)
    assert differs.evidence.startswith("first: keep drivers from")
    refused = Plan(refusals=(Refusal("pf-not-found", "pfs[0]", "why", "how"),))
    (finding,) = policy_findings(policy, refused)
    assert (finding.id, finding.summary, finding.fix) == ("policy-pf-not-found", "why", "how")


def test_the_worst_of_nothing_is_ok() -> None:
    assert worst(()) is Severity.OK


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("6.12.95+deb12-amd64", (6, 12, 95)),
        ("5.14.0-427.el9", (5, 14, 0)),
        ("28.36.1010", (28, 36, 1010)),
        ("6.1-rc3", (6, 1)),
        ("", ()),
        ("x.1", ()),
    ],
)
def test_versions_are_read_as_far_as_they_are_numbers(text: str, numbers: tuple[int, ...]) -> None:
    assert version_numbers(text) == numbers
