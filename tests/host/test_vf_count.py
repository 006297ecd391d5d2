"""Lines of operators' files that give PFs VFs: found, understood, and told with their places."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.derived import derive
from host.test_doctor import HEALTHY
from lanekeeper.domain.hostplan.adoption.adoption import adopt
from lanekeeper.domain.hostplan.findings.check import check
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.host.capture import capture
from lanekeeper.host.facts import read_host
from lanekeeper.host.policy_file import load_policy
from lanekeeper.host.survey import read_survey
from lanekeeper.host.tree import plant

ENS1, OTHER = "0000:21:00.0", "0000:e1:00.0"
NO_UNIT = "- etc/systemd/system/multi-user.target.wants/lanekeeper-host.service\n"
MACS = (
    "sys/devices/pci0000:20/0000:20:00.0/0000:21:00.0/net/ens1/address = 02:00:00:00:00:21\n"
    "sys/devices/pci0000:e0/0000:e0:00.0/0000:e1:00.0/net/enp225s0np0/address = 02:00:00:00:00:e1\n"
)
RULES = "etc/udev/rules.d/70-vfs.rules"
LINK = "etc/systemd/network/10-ens1.link"
KEYFILE = "etc/NetworkManager/system-connections/ens1.nmconnection"
NETPLAN = "etc/netplan/50-vfs.yaml"
UNIT = "etc/systemd/system/vfs.service"
IFCFG = "etc/sysconfig/network-scripts/ifcfg-ens1"

OF_ENS1 = [
    (RULES, 'ACTION=="add", KERNEL=="0000:21:00.0", ATTR{sriov_numvfs}="4"', 1),
    (RULES, 'SUBSYSTEM=="net", KERNEL=="ens1", ATTR{device/sriov_numvfs}="4"', 1),
    (
        RULES,
        '# mine\\nSUBSYSTEM=="net", \\\\\\n  NAME=="ens[12]", ATTR{device/sriov_numvfs} = "4"',
        2,
    ),
    (RULES, 'SUBSYSTEM=="pci", DRIVERS=="igb|ixgbe", ATTR{sriov_numvfs}="4"', 1),
    (RULES, 'ATTR{vendor}=="0x8086", ATTR{device}=="0x10c9", ATTR{sriov_numvfs}="4"', 1),
    (
        RULES,
        'SUBSYSTEM=="net", ATTR{address}=="02:00:00:00:00:21", ATTR{device/sriov_numvfs}="4"',
        1,
    ),
    (RULES, 'DRIVERS!="mlx5_core", SUBSYSTEM=="pci", ATTR{sriov_numvfs}="4"', 1),
    (
        RULES,
        'KERNEL=="ens1", RUN+="/bin/sh -c \'echo 4 > /sys/class/net/%k/device/sriov_numvfs\'"',
        1,
    ),
    (LINK, "[Match]\\nOriginalName=ens1\\n[Link]\\nSR-IOVVirtualFunctions=4", 4),
    (LINK, "[Match]\\nPath=pci-0000:21:00.*\\n[Link]\\nSR-IOVVirtualFunctions=4", 4),
    (
        LINK,
        "[Match]\\nPermanentMACAddress=02:00:00:00:00:21\\n[Link]\\nSR-IOVVirtualFunctions=4",
        4,
    ),
    (LINK, "[Match]\\nDriver=!mlx5_core\\n[Link]\\nSR-IOVVirtualFunctions=4", 4),
    (KEYFILE, "[connection]\\ninterface-name=ens1\\n\\n[sriov]\\ntotal-vfs=4", 5),
    (KEYFILE, "[ethernet]\\nmac-address=02:00:00:00:00:21\\n[sriov]\\ntotal-vfs=4", 4),
    (NETPLAN, "network:\\n  ethernets:\\n    ens1:\\n      virtual-function-count: 4", 4),
    (
        NETPLAN,
        "network:\\n  ethernets:\\n    up:\\n      match:\\n        name: ens1\\n"
        "      virtual-function-count: 4\\n    ens9:\\n      mtu: 9000",
        6,
    ),
    (NETPLAN, "network: \\n  ethernets:\\n    ens1: {virtual-function-count: 4}", 3),
    (
        NETPLAN,
        "network:\\n  ethernets:\\n    ens1: # uplink\\n      macaddress: 02:00:00:00:00:e1\\n"
        "      nameservers:\\n        search:\\n          - name\\n      virtual-function-count: 4",
        8,
    ),
    (
        NETPLAN,
        "network:\\n  ethernets:\\n    up:\\n      match: {macaddress: '02:00:00:00:00:21'}\\n"
        "      set-name: enp225s0np0\\n      virtual-function-count: 4",
        6,
    ),
    (
        NETPLAN,
        "network:\\n  ethernets:\\n    up:\\n      match:\\n        driver:\\n          - igb\\n"
        "          - ixgbe\\n      virtual-function-count: 4",
        8,
    ),
    (
        NETPLAN,
        'network:\\n  ethernets:\\n    up:\\n      match:\\n        driver: ["igb", "e1000*"]\\n'
        "        # name: enp225s0np0\\n      virtual-function-count: 4",
        7,
    ),
    (IFCFG, "DEVICE=ens1\\nSRIOV_TOTAL_VFS=4", 2),
    ("etc/rc.local", "#!/bin/sh\\necho 4 > /sys/class/net/ens1/device/sriov_numvfs", 2),
    ("etc/rc.local", f"#!/bin/sh\\necho 4 | tee /sys/bus/pci/devices/{ENS1}/sriov_numvfs", 2),
    ("etc/rc.local", '#!/bin/sh\\necho 4 >"/sys/class/net/ens1/device/sriov_numvfs"', 2),
    (UNIT, "[Service]\\nExecStart=sh -c 'echo 4 >/sys/class/net/ens1/device/sriov_numvfs'", 2),
    ("etc/sysfs.conf", f"bus/pci/devices/{ENS1}/sriov_numvfs = 4", 1),
    ("etc/modprobe.d/igb.conf", "install igb /sbin/modprobe -i igb max_vfs=4 && true", 1),
    ("usr/lib/modprobe.d/igb.conf", "# vendor\\noptions igb \\\\\\n  max_vfs=4", 2),
    ("etc/tmpfiles.d/vfs.conf", "w /sys/class/net/ens1/device/sriov_numvfs - - - - 4", 1),
]
"""Each with the line that it is: they give ens1 four VFs, and no other PF any."""


def facts(path: str, text: str, directory: Path, more: str = "") -> HostFacts:
    return read_host(plant(derive(HEALTHY, f"{MACS}{more}{path} = {text}"), directory))


@pytest.mark.parametrize(("path", "text", "number"), OF_ENS1)
def test_a_line_is_found_with_its_place_its_number_and_its_pf(
    path: str, text: str, number: int, tmp_path: Path
) -> None:
    host = facts(path, text, tmp_path / "host")
    (line,) = host.vf_counts
    assert (line.place, line.count) == (f"/{path}:{number}", 4)
    about = {str(pf.address) for pf in host.pfs if line in host.vf_counts_of(pf)}
    assert about == {ENS1}
    again = read_host(plant(capture(tmp_path / "host"), tmp_path / "captured"))
    assert [(each.place, each.marks) for each in again.vf_counts] == [(line.place, line.marks)]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("etc/rc.local", "#!/bin/sh\\ncat /sys/class/net/ens1/device/sriov_numvfs"),
        ("etc/rc.local", "#!/bin/sh\\n# echo 4 > /sys/class/net/ens1/device/sriov_numvfs"),
        ("etc/rc.local", "#!/bin/sh\\nn=$(cat /sys/class/net/ens1/device/sriov_numvfs)"),
        ("etc/rc.local", "#!/bin/sh\\ncat /sys/class/net/ens1/device/sriov_numvfs >/run/n"),
        ("etc/rc.local", "#!/bin/sh\\necho x >/run/n; cat /sys/class/net/ens1/device/sriov_numvfs"),
        (UNIT, "[Unit]\\nConditionPathExists=/sys/class/net/ens1/device/sriov_numvfs"),
        (UNIT, "[Service]\\nExecStartPre=test -w /sys/class/net/ens1/device/sriov_numvfs"),
        (f"{KEYFILE}~", "[connection]\\ninterface-name=ens1\\n[sriov]\\ntotal-vfs=4"),
        (RULES, '# ATTR{sriov_numvfs}="4"'),
        ("etc/modprobe.d/igb.conf", "options igb max_vfs=4"),  # which a plan takes over
        ("usr/lib/modprobe.d/igb.conf", "options igb max_vfs=0\\n# options igb max_vfs=4"),
        (RULES, 'ATTR{sriov_numvfs}=="4", NAME="x"'),
        (NETPLAN, "network:\\n  ethernets:\\n    ens1:\\n      # virtual-function-count: 4"),
        (KEYFILE, "[connection]\\ninterface-name=ens1\\n[sriov]\\nautoprobe-drivers=1"),
    ],
)
def test_what_only_reads_or_says_nothing_gives_no_vfs(path: str, text: str, tmp_path: Path) -> None:
    assert facts(path, text, tmp_path).vf_counts == ()


def test_a_file_in_etc_hides_that_of_its_name_and_others_count(tmp_path: Path) -> None:
    rule = 'KERNEL=="ens1", ATTR{{device/sriov_numvfs}}="{}"'.format
    more = f"usr/lib/udev/rules.d/70-vfs.rules = {rule(2)}\nrun/udev/rules.d/71.rules = {rule(3)}\n"
    host = facts(RULES, rule(4), tmp_path / "host", more)
    assert [line.place for line in host.vf_counts] == [
        f"/{RULES}:1",
        "/run/udev/rules.d/71.rules:1",
    ]
    captured = capture(tmp_path / "host")
    assert "run/udev/rules.d/71.rules" in captured
    again = read_host(plant(captured, tmp_path / "captured"))
    assert [line.place for line in again.vf_counts] == [line.place for line in host.vf_counts]


@pytest.mark.parametrize(("path", "text", "number"), OF_ENS1)
def test_check_takes_the_line_for_its_pf_alone(
    path: str, text: str, number: int, tmp_path: Path
) -> None:
    tree = derive(HEALTHY, f"{NO_UNIT}{MACS}{path} = {text}")
    found = check(read_survey(plant(tree, tmp_path)))
    lost = {each.subject.split()[0] for each in found if each.id == "vfs-not-persistent"}
    assert lost == {OTHER}, number


def test_two_owners_of_a_count_are_a_finding_with_both_lines(tmp_path: Path) -> None:
    two = f"{MACS}{RULES} = {OF_ENS1[0][1]}\n{KEYFILE} = {OF_ENS1[12][1]}"
    found = check(read_survey(plant(derive(HEALTHY, two), tmp_path)))
    (owners,) = [each for each in found if each.id == "vf-count-two-owners"]
    assert owners.subject == f"{ENS1} (ens1)"
    assert f"/{RULES}:1 has" in owners.evidence
    assert f"/{KEYFILE}:5 has 'total-vfs=4'" in owners.evidence


def test_a_plan_and_an_adopted_policy_name_the_other_owner(tmp_path: Path) -> None:
    path, text, number = OF_ENS1[12]
    root = plant(derive(HEALTHY, f"{MACS}{path} = {text}"), tmp_path)
    policy = f'version: 1\npfs:\n  - {{pf: "{ENS1}", vfs: 2}}\n  - {{pf: "{OTHER}", vfs: 2}}\n'
    warnings = plan(load_policy(policy, "p"), read_host(root)).warnings
    (caution,) = [each for each in warnings if each.code == "vf-count-elsewhere"]
    assert caution.subject == "pfs[0]"
    assert f"NetworkManager gives {ENS1} 4 VFs at boot, too: /{path}:{number}" in caution.reason
    notes = [note for note in adopt(read_survey(root)).notes if path in note.subject]
    assert [f"the policy has the 2 VFs of {ENS1}" in note.says for note in notes] == [True]


def test_a_script_whose_pf_cannot_be_told_is_named_too(tmp_path: Path) -> None:
    loop = "#!/bin/sh\\nfor i in a b; do echo 4 > /sys/class/net/$i/device/sriov_numvfs; done"
    root = plant(derive(HEALTHY, f"etc/rc.local = {loop}"), tmp_path)
    policy = f'version: 1\npfs:\n  - {{pf: "{ENS1}", vfs: 2}}\n'
    warnings = plan(load_policy(policy, "p"), read_host(root)).warnings
    (caution,) = [each for each in warnings if each.code == "vf-count-elsewhere"]
    assert "does not say which: /etc/rc.local:2" in caution.reason
    notes = [note for note in adopt(read_survey(root)).notes if "rc.local" in note.subject]
    assert ["which cannot be told" in note.says for note in notes] == [True]


@pytest.mark.parametrize(
    ("hidden", "counts", "text"),
    [
        (NETPLAN, "run/netplan/50-vfs.yaml", "network: {{ethernets: {{ens1: {{{}: {}}}}}}}"),
        (
            KEYFILE,
            "run/NetworkManager/system-connections/other.nmconnection",
            "[connection]\\nuuid=u1\\ninterface-name=ens1\\n[sriov]\\n# {}\\ntotal-vfs={}",
        ),
    ],
)
def test_what_lies_in_run_hides_what_lies_in_etc(
    hidden: str, counts: str, text: str, tmp_path: Path
) -> None:
    files = (
        f"{p} = {text.format('virtual-function-count', n)}" for p, n in ((hidden, 4), (counts, 2))
    )
    root = plant(derive(HEALTHY, MACS + "\n".join(files)), tmp_path / "host")
    (line,) = read_host(root).vf_counts
    assert (line.path, line.count) == (counts, 2)
    again = read_host(plant(capture(root), tmp_path / "captured"))
    assert [each.place for each in again.vf_counts] == [line.place]


def test_a_line_that_takes_vfs_away_keeps_none_and_is_told(tmp_path: Path) -> None:
    tree = derive(HEALTHY, f"{NO_UNIT}{MACS}{LINK} = {OF_ENS1[8][1].replace('=4', '=0')}")
    root = plant(tree, tmp_path)
    found = check(read_survey(root))
    lost = {each.subject.split()[0] for each in found if each.id == "vfs-not-persistent"}
    assert lost == {ENS1, OTHER}
    policy = f'version: 1\npfs:\n  - {{pf: "{ENS1}", vfs: 2}}\n'
    warnings = plan(load_policy(policy, "p"), read_host(root)).warnings
    (caution,) = [each for each in warnings if each.code == "vf-count-elsewhere"]
    assert f"takes the VFs of {ENS1} away at boot: /{LINK}:4" in caution.reason


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (UNIT, "[Unit]\\nConditionPathExists=/sys/class/net/ens1/device/sriov_numvfs"),
        ("etc/rc.local", "#!/bin/sh\\ncat /sys/class/net/ens1/device/sriov_numvfs"),
    ],
)
def test_who_only_reads_the_number_brings_no_vfs_back(path: str, text: str, tmp_path: Path) -> None:
    tree = derive(HEALTHY, f"{NO_UNIT}{MACS}{path} = {text}")
    found = check(read_survey(plant(tree, tmp_path)))
    lost = {each.subject.split()[0] for each in found if each.id == "vfs-not-persistent"}
    assert lost == {ENS1, OTHER}
