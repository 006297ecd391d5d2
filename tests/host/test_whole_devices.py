"""Devices that go to guests whole: how they come to their driver, stay there and come back."""

import re
from pathlib import Path

import pytest

from domain.hostplan.hosts import PF
from domain.hostplan.hosts import host as facts
from host.cards import with_cards
from host.test_plans import HEALTHY, PLANS, host_of
from lanekeeper.cli.host.adopt import policy_text
from lanekeeper.domain.errors import Conflict, Invalid
from lanekeeper.domain.hostplan.action import BindDevice
from lanekeeper.domain.hostplan.adoption.adoption import adopt
from lanekeeper.domain.hostplan.nova_conf import nova_conf
from lanekeeper.domain.hostplan.offline import offline_plan
from lanekeeper.domain.hostplan.persistence import UDEV_FILE
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.domain.hostplan.policy.policy import Policy, parse_policy
from lanekeeper.host.facts import read_host
from lanekeeper.host.occupancy import Occupancy
from lanekeeper.host.policy_file import read_policy
from lanekeeper.host.simulated import SimulatedMachine
from lanekeeper.host.survey import read_survey
from lanekeeper.host.tree import plant

DRIVE = "+ card 0000:3b:00.0 ids=144d:a80a driver={} class=010802"
TAKEN = DRIVE.format("vfio-pci")
ROUTES = (
    "proc/net/route = Iface Destination Gateway Flags RefCnt Use Metric Mask\\n"
    "eno1 00000000 010200C0 0003 0 0 0 00000000 0 0 0\\n"
    "ens8 0002000A 00000000 0001 0 0 0 00FFFFFF 0 0 0"
)


def policy(device: object = "0000:3b:00.0", **more: object) -> Policy:
    return parse_policy({"version": 1, "devices": [{"device": device, **more}]}, "text")


def codes(cards: str, wanted: Policy, directory: Path) -> list[str]:
    root = plant(with_cards(HEALTHY, cards), directory)
    return [refusal.code for refusal in plan(wanted, read_host(root)).refusals]


def test_the_rule_names_the_kind_of_device_so_that_no_other_at_its_address_is_taken(
    tmp_path: Path,
) -> None:
    root = host_of("nvme-drive", tmp_path)
    found = plan(read_policy(PLANS / "nvme-drive/policy.yaml"), read_host(root))
    (text,) = [s.do.text for s in found.steps if getattr(s.do, "path", "") == UDEV_FILE]  # type: ignore[union-attr]
    assert text.splitlines()[1:] == [
        'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="0000:3b:00.0", ATTR{vendor}=="0x144d",'
        ' ATTR{device}=="0xa80a", ATTR{driver_override}="vfio-pci"'
    ]


@pytest.mark.parametrize(
    ("name", "word", "code"),
    [
        ("boot-vga", "vga=1 class=030000", "device-is-boot-vga"),
        ("addresses", "netdev=ens8", "device-carries-traffic"),
    ],
)
def test_what_the_host_would_lose_is_refused_unless_it_is_allowed(
    name: str, word: str, code: str, tmp_path: Path
) -> None:
    cards = f"+ card 0000:3b:00.0 ids=8086:1572 driver=i40e {word}\n{ROUTES}"
    assert code in codes(cards, policy(), tmp_path / "a")
    assert code not in codes(cards, policy(allow=[name]), tmp_path / "b")


def test_disk_and_group_are_refused_unless_they_are_allowed(tmp_path: Path) -> None:
    host = (
        (PLANS / "nvme-drive/host.txt")
        .read_text()
        .replace(
            "3c:00.0 ids=144d:a80a driver=nvme class=010802",
            "3c:00.0 ids=144d:a80a driver=nvme class=010802 group=100",
        )
    )
    cards = host.replace("etc/udev/rules.d /\n", "")
    data = re.sub(r"(/dev/\S+) / ", r"\1 /srv ", cards)
    assert data != cards
    disk = policy("0000:3c:00.0")
    both = policy("0000:3c:00.0", allow=["disk", "group"])
    assert codes(data, disk, tmp_path / "a") == ["device-has-disk", "device-group-in-use"]
    assert codes(data, both, tmp_path / "b") == []


@pytest.mark.parametrize("place", ["/", "/usr", "/var", "swap"])
def test_what_the_host_runs_from_is_never_given_away(place: str) -> None:
    host = facts(mounted={PF: ("/boot", place)})
    wanted = policy(str(PF), allow=["disk", "group", "addresses"])
    (refusal,) = [one for one in plan(wanted, host).refusals if "device-has" in one.code]
    assert (refusal.code, refusal.reason) == (
        "device-has-root",
        f"the host runs from its disks: {place}",
    )
    assert "allow: [disk] does not give these away" in refusal.fix


def test_a_pf_with_vfs_is_no_whole_device_and_a_vf_is_sent_to_its_pf(tmp_path: Path) -> None:
    cards = "+ card 0000:3b:00.0 ids=8086:1572 driver=i40e vf=154c total=64 vfs=1 netdev=ens8"
    assert "device-has-vfs" in codes(cards, policy(), tmp_path / "a")
    root = plant(with_cards(HEALTHY, cards), tmp_path / "b")
    (unmet,) = plan(policy("0000:3b:10.0"), read_host(root)).warnings
    assert unmet.code == "device-not-found"
    assert "0000:3b:10.0 is a VF of 0000:3b:00.0; the entry of its PF" in unmet.fix


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"device": "ens8"}, "selects by netdev, which the device has only while the host"),
        ({"device": {"driver": "nvme"}}, "selects by driver"),
        ({"device": "0000:3b:00.0", "driver": "auto"}, "is auto, which is for VFs"),
        ({"device": "0000:3b:00.0", "allow": ["all"]}, r"allow\[0\]: is 'all'"),
        ({"driver": "vfio-pci"}, "device is missing"),
    ],
)
def test_an_entry_that_could_not_hold_is_refused(entry: dict[str, object], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        parse_policy({"version": 1, "devices": [entry]})


def test_a_device_that_a_guest_may_have_is_left_and_waits(tmp_path: Path) -> None:
    root = plant(with_cards(HEALTHY, TAKEN), tmp_path)
    wanted = policy(driver="nvme")
    found = plan(wanted, read_host(root))
    assert not [step for step in found.steps if isinstance(step.do, BindDevice)]
    assert "0000:3b:00.0 keeps vfio-pci until no guest can have it" in found.pending[-1]
    guard = Occupancy(root, SimulatedMachine(root))
    with pytest.raises(Conflict, match=r"0000:3b:00.0 is on vfio-pci"):
        guard.require_free(BindDevice("0000:3b:00.0", "nvme"), made_here=False)
    guard.require_free(BindDevice("0000:3b:00.0", "nvme"), made_here=True)


def test_without_an_iommu_group_a_device_waits_for_the_next_boot(tmp_path: Path) -> None:
    cards = f"{DRIVE.format('nvme')}\n- sys/devices/pci0000:3b/0000:3b:00.0/iommu_group"
    found = plan(policy(), read_host(plant(with_cards(HEALTHY, cards), tmp_path)))
    assert not [step for step in found.steps if isinstance(step.do, BindDevice)]
    assert any("in no IOMMU group, which vfio-pci needs" in text for text in found.pending)


def test_what_is_given_away_is_adopted_and_what_a_reboot_takes_is_said(tmp_path: Path) -> None:
    bare = plant(with_cards(HEALTHY, f"{TAKEN}\n- etc/systemd"), tmp_path / "a")
    found = adopt(read_survey(bare))
    document, lost = found.document, found.lost
    assert document["devices"] == [{"device": "0000:3b:00.0", "driver": "vfio-pci"}]
    assert any("driver vfio-pci of 0000:3b:00.0: no vfio-pci.ids=" in str(one) for one in lost)
    assert "device: '0000:3b:00.0'" in policy_text(found)
    options = "etc/modprobe.d/guests.conf = options vfio-pci ids=10de:2531,144d:a80a"
    named = plant(with_cards(HEALTHY, f"{TAKEN}\n- etc/systemd\n{options}"), tmp_path / "b")
    assert not any("0000:3b:00.0" in str(one) for one in adopt(read_survey(named)).lost)


def test_an_image_leaves_devices_to_the_unit(tmp_path: Path) -> None:
    image = with_cards(HEALTHY, "usr/lib/systemd/systemd = a program")
    found = offline_plan(policy(), read_host(plant(image, tmp_path)))
    assert any(text.startswith("whole devices: the unit sets them") for text in found.pending)


def test_nova_is_told_of_devices_with_a_purpose_alone(tmp_path: Path) -> None:
    root = host_of("gpu-with-audio", tmp_path)
    said = nova_conf(read_policy(PLANS / "gpu-with-audio/policy.yaml"), read_host(root))
    assert said == (
        'device_spec = {"vendor_id": "10de", "product_id": "2531", "address": "0000:3b:00.0", '
        '"resource_class": "CUSTOM_A2000"}',
        'alias = {"vendor_id": "10de", "product_id": "2531", "device_type": "type-PCI", '
        '"name": "gpu", "resource_class": "CUSTOM_A2000"}',
    )
