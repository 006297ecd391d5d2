"""One line of a captured host that makes no sense: its device is set aside, the rest goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.derived import derive
from host.planted import CAPTURED_LAB, OTHER_PF, PF
from lanekeeper.domain.hostplan.findings.check import check
from lanekeeper.domain.hostplan.management import management_touched
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.domain.hostplan.step import Plan
from lanekeeper.host.facts import read_host
from lanekeeper.host.policy_file import load_policy
from lanekeeper.host.survey import read_survey
from lanekeeper.host.tree import plant

HOME = "sys/devices/pci0000:20/0000:20:00.0/0000:21:00.0"
ROUTES = "proc/net/route = Iface\\tDestination\\n"
PAGES = "sys/devices/system/node/node0/hugepages/hugepages-2048kB"
BOTH = f'version: 1\npfs:\n  - {{pf: "{PF}", vfs: 2}}\n  - {{pf: "{OTHER_PF}", vfs: 1}}\n'
OTHER = f'version: 1\npfs:\n  - {{pf: "{OTHER_PF}", vfs: 1}}\n'


def captured(directory: Path, *changes: str) -> Path:
    return plant(derive(CAPTURED_LAB.read_text(), "\n".join(changes)), directory)


def planned(root: Path, policy: str) -> Plan:
    return plan(load_policy(policy, "policy.yaml"), read_host(root))


@pytest.mark.parametrize(
    ("spoiled", "reason"),
    [
        ("net/ens1/flags = banana", "/sys/class/net/ens1/flags is 'banana', not a number"),
        ("net/ens1/address = banana", "address of ens1 is 'banana', no hardware address"),
        ("sriov_drivers_autoprobe = maybe", "sriov_drivers_autoprobe is 'maybe', neither 0 nor 1"),
        ("sriov_offset = far", f"/sys/bus/pci/devices/{PF}/sriov_offset is 'far', not a number"),
        ("sriov_stride = far", f"/sys/bus/pci/devices/{PF}/sriov_stride is 'far', not a number"),
        ("driver -> ../../gone", "driver leads to '../../gone', which is no driver"),
        ("sriov_vf_device = x", f"/sys/bus/pci/devices/{PF}/sriov_vf_device is 'x', not a number"),
        ("vendor = intel", "vendor is 'intel', not a number"),
        ("device = 0x123456", "device is '0x123456', not within 0x0 to 0xffff"),
        ("class = nic", "class is 'nic', not a number"),
    ],
)
def test_its_device_is_set_aside_and_named(tmp_path: Path, spoiled: str, reason: str) -> None:
    root = captured(tmp_path, f"{HOME}/{spoiled}")
    survey = read_survey(root)
    assert survey.host.device_faults == ((str(PF), reason),)
    named = [one for one in check(survey) if one.id == "device-unreadable"]
    assert [(one.subject, one.evidence) for one in named] == [(str(PF), reason)]
    assert {one.name for one in survey.host.interfaces} >= {"ens2", "enp0s3"}
    (refusal,) = planned(root, BOTH).refusals
    assert refusal.code == "pf-not-found"
    assert f"the function there is set aside, since {reason}" in refusal.reason
    found = planned(root, OTHER)
    assert found.refusals == ()
    assert found.steps


def test_a_name_that_finds_nothing_tells_what_is_set_aside(tmp_path: Path) -> None:
    root = captured(tmp_path, f"{HOME}/net/ens1/flags = banana")
    (unmet,) = planned(root, "version: 1\npfs: [{pf: {netdev: ens1}, vfs: 2}]\n").warnings
    assert f"{PF} is set aside, since /sys/class/net/ens1/flags is 'banana'" in unmet.fix


@pytest.mark.parametrize("kind", ["nr", "free"])
def test_a_pool_of_pages_is_left_out_and_named(tmp_path: Path, kind: str) -> None:
    root = captured(tmp_path, f"{PAGES}/{kind}_hugepages = x")
    reason = f"/{PAGES}/{kind}_hugepages is 'x', not a number"
    survey = read_survey(root)
    named = [one.evidence for one in check(survey) if one.subject == "NUMA node 0"]
    assert reason in named
    assert [len(node.huge_pages) for node in survey.host.nodes] == [1, 2]
    assert planned(root, OTHER).steps
    other_node = "huge_pages: [{node: 1, size: 2M, pages: 3}]\n"
    assert planned(root, OTHER + other_node).refusals == ()
    (refusal,) = planned(root, f"{OTHER}huge_pages: [{{node: 0, size: 2M, pages: 3}}]\n").refusals
    assert (refusal.code, refusal.reason) == ("huge-pages-unknown", reason)


def test_a_node_whose_cpus_make_no_sense_is_left_out(tmp_path: Path) -> None:
    root = captured(tmp_path, "sys/devices/system/node/node0/cpulist = many")
    host = read_host(root)
    assert [node.number for node in host.nodes] == [1]
    assert [name for name, _ in host.node_faults] == ["NUMA node 0"]
    wanted = "version: 1\nhuge_pages: [{node: 0, size: 2M, pages: 3}]\n"
    assert [refusal.code for refusal in planned(root, wanted).refusals] == ["huge-pages-unknown"]


def test_what_one_host_spoils_is_not_told_of_the_next(tmp_path: Path) -> None:
    lost = ROUTES + "ens1\\tbanana\\t0\\t0001\\t0\\t0\\t0\\tx"
    one = read_survey(captured(tmp_path / "one", lost, f"{HOME}/sriov_offset = far")).host
    two = read_survey(captured(tmp_path / "two", lost)).host
    assert [address for address, _ in one.device_faults] == [str(PF)]
    assert two.device_faults == ()


def test_a_line_that_is_no_route_has_the_way_to_the_host_unknown(tmp_path: Path) -> None:
    root = captured(tmp_path, ROUTES + "banana")
    reason = "/proc/net/route:2 has 'banana', no route"
    (warning,) = [each for each in planned(root, OTHER).warnings if each.subject == "routes"]
    assert warning.code == "routes-unreadable"
    assert reason in warning.reason
    assert "enp0s3 or ens1 or ens2 carries the way to the host is not known" in warning.reason
    (refusal,) = planned(root, OTHER).refusals
    assert refusal.code == "management-unknown"
    assert refusal.reason == f"ens2 may carry the way to the host: {reason}"
    allowed = planned(root, f"{OTHER}manage_management: true\n")
    assert allowed.refusals == ()
    assert management_touched(allowed.steps, read_host(root))
    pages = planned(root, "version: 1\nhuge_pages: [{node: 1, size: 2M, pages: 3}]\n")
    assert (bool(pages.steps), pages.refusals) == (True, ())
    named = [one for one in check(read_survey(root)) if one.id == "host-file-unreadable"]
    assert [(one.subject, one.evidence) for one in named] == [("routes", reason)]


def test_a_line_that_names_an_interface_is_about_that_one(tmp_path: Path) -> None:
    root = captured(tmp_path, ROUTES + "ens1\\tbanana\\t0\\t0001\\t0\\t0\\t0\\tx")
    doubted = {one.name: bool(one.doubt) for one in read_host(root).interfaces}
    assert (doubted["ens1"], doubted["ens2"]) == (True, False)
    assert planned(root, OTHER).refusals == ()
    assert [each.code for each in planned(root, BOTH).refusals] == ["management-unknown"]


@pytest.mark.parametrize(
    ("spoiled", "part"),
    [
        ("sys/class/iommu/dmar0/intel-iommu/ecap = banana", "interrupt remapping"),
        ("sys/devices/system/cpu/online = many", "CPUs online"),
        ("proc/net/ipv6_route = banana", "routes"),
    ],
)
def test_what_a_plan_can_do_without_is_told(tmp_path: Path, spoiled: str, part: str) -> None:
    no_chip = "proc/interrupts = 0: 1 IO-APIC"
    found = planned(captured(tmp_path, spoiled, no_chip), f"{OTHER}manage_management: true\n")
    assert [each.subject for each in found.warnings] == [part]
    assert found.steps
