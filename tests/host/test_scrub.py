"""A scrubbed capture tells nothing of its owner, and answers as the original does."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.derived import Case, cases, derive
from host.planted import CAPTURED_LAB, SAMPLE_POLICY
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.hostplan.findings.check import check
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host.facts import read_host
from lanekeeper.host.policy_file import read_policy
from lanekeeper.host.pseudonym import Pseudonyms
from lanekeeper.host.scrub import scrub
from lanekeeper.host.survey import read_survey
from lanekeeper.host.sysfs import PciSysfs
from lanekeeper.host.tree import Entry, Kind, parse, plant
from lanekeeper.host.vital_data import scrub_vpd

DOCTOR = Path(__file__).parent / "doctor"
CASES = list(cases(DOCTOR))
CARD = "sys/bus/pci/devices/0000:3b:00.0"
SERIAL = bytes.fromhex("b8cef6ffff0a0b0c")
CONFIG = bytes(0x100) + b"\x03\x00\x01\x00" + SERIAL[::-1] + bytes(64)


def vpd(**fields: str) -> bytes:
    """Make VPD as cards have it: a name, the read-only fields, a checksum over all before."""
    name = b"ConnectX"
    inner = b"".join(
        key.encode() + bytes([len(text)]) + text.encode() for key, text in fields.items()
    )
    size = len(inner) + 4
    data = bytearray(b"\x82" + len(name).to_bytes(2, "little") + name + b"\x90")
    data += size.to_bytes(2, "little") + inner + b"RV\x01"
    return bytes(data + bytes([-sum(data) & 0xFF]) + b"\x78")


SECRETS = (
    *("atlas7", "corp.example.org", "b8:ce:f6:0a:0b:0c", "b8cef60a0b0c", "b8-ce-f6-ff-ff-0a-0b-0c"),
    *("10.77.3.9", "10.77.3.0", "2a02:1234:5678:9::5", "2a02123456780009", "09034D0A", "00034D0A"),
    *("MT2125X01234", "0123456789abcdef0123456789abcdef", "7f4c1c2e-1f5a-4f5d-9a51-0c1fdc2a5f11"),
    *("nas3", "tenant-web", "SN00998877"),
)
TREE = "\n".join(
    [
        "etc/hostname = atlas7.corp.example.org",
        "etc/os-release = ID=debian",
        "proc/cmdline = root=UUID=7f4c1c2e-1f5a-4f5d-9a51-0c1fdc2a5f11 ip=10.77.3.9::: "
        "systemd.machine_id=0123456789abcdef0123456789abcdef ip6=[2a02:1234:5678:9::5] "
        "intel_iommu=on",
        r"proc/net/route = Iface\tDestination\tGateway\tFlags\nens1\t00000000\t0903"
        r"4D0A\t0003\nens1\t00034D0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\nenxb8cef60a0b0c\t0",
        "proc/net/if_inet6 = 2a021234567800090000000000000005 02 40 00 80 ens1",
        "proc/self/mounts = nas3:/vol /srv nfs rw 0 0\\n/dev/sda1 / ext4 rw 0 0",
        f"{CARD}/vendor = 0x15b3",
        f"{CARD}/device = 0x1017",
        f"{CARD}/class = 0x020000",
        f"{CARD}/driver -> ../../drivers/mlx5_core",
        str(Entry(f"{CARD}/config", Kind.BYTES, CONFIG)),
        str(Entry(f"{CARD}/vpd", Kind.BYTES, vpd(PN="MCX653", SN="MT2125X01234", V0="PCIe"))),
        f"{CARD}/net/enxb8cef60a0b0c/address = b8:ce:f6:0a:0b:0c",
        'captured/holders = {"0000:3b:00.0":{"kind":"guest","name":"tenant-web","pid":null}}',
        'captured/devlink-info = {"info":{"pci/0000:3b:00.0":{"serial_number":"SN00998877"}}}',
        "etc/lanekeeper/host-policy.yaml = serial: b8-ce-f6-ff-ff-0a-0b-0c # atlas7's",
    ]
)


def test_nothing_that_tells_the_owner_remains(tmp_path: Path) -> None:
    scrubbed = scrub(TREE)
    every = b"\n".join(
        part for entry in parse(scrubbed) for part in (entry.path.encode(), entry.content)
    )
    for secret in SECRETS:
        assert secret.encode() not in every, secret
    assert SERIAL not in every
    assert SERIAL[::-1] not in every
    assert b"UUID=" in every
    assert b"intel_iommu=on" in every


def test_what_was_one_is_one_and_is_valid(tmp_path: Path) -> None:
    root = plant(scrub(TREE), tmp_path)
    (device,) = PciSysfs(root).scan().devices
    assert device.address == PciAddress.parse("0000:3b:00.0")
    assert device.mac is not None
    assert device.mac.startswith("b8:ce:f6:")
    assert device.netdev == f"enx{device.mac.replace(':', '')}"
    assert device.netdev in (root / "proc/net/route").read_text()
    assert device.serial is not None
    assert device.serial.startswith("b8-ce-f6-ff-ff-")
    policy = (root / "etc/lanekeeper/host-policy.yaml").read_text()
    assert f"serial: {device.serial}" in policy
    name = (root / "etc/hostname").read_text().strip()
    assert name == "host-1.domain-1"
    assert "# host-1's" in policy


def test_vpd_keeps_its_lengths_and_a_right_checksum() -> None:
    before = vpd(PN="MCX653", SN="MT2125X01234", V1="b8cef60a0b0c")
    after = scrub_vpd(before, lambda text: "9" * len(text))
    assert len(after) == len(before)
    assert b"MCX653" in after
    assert b"SN\x0c999999999999" in after
    assert sum(after[: after.index(b"RV") + 4]) & 0xFF == 0
    assert scrub_vpd(b"secret without a form", lambda text: text) == bytes(21)
    assert scrub_vpd(before[:20], lambda text: text) == bytes(20)


def test_an_address_that_was_counted_out_tells_nobody() -> None:
    """``::1`` of a router is no secret, or no file with the loopback's could be handed out."""
    zeros = "0" * 32
    routes = (
        f"{zeros} 00 {zeros} 00 fd00aaaabbbbcccc0000000000000001 00000400 1 0 00000003 ens1\n"
        f"{zeros[:-1]}1 80 {zeros} 00 {zeros} 00000000 3 0 80200001 lo\n"
    )
    quoted = routes.replace("\n", "\\n")
    made = scrub(f"{TREE}\nproc/net/ipv6_route =| {quoted}")
    assert "fd00aaaabbbbcccc" not in made
    assert "20010db8" in made
    assert f"{zeros[:-1]}1 80" in made


def test_what_is_not_understood_is_not_handed_out() -> None:
    text = f"{TREE}\nsys/firmware/acpi/tables/DMAR =| x\\x00b8:ce:f6:0a:0b:0c"
    with pytest.raises(Invalid, match="DMAR still has 'b8:ce:f6:0a:0b:0c' after scrubbing"):
        scrub(text)


def answers(tree: str, directory: Path) -> list[tuple[str, str, str]]:
    found = check(read_survey(plant(tree, directory)))
    return [(finding.id, str(finding.severity), finding.subject) for finding in found]


@pytest.mark.parametrize("case", CASES[::3], ids=str)
def test_the_doctor_says_the_same(case: Case, tmp_path: Path) -> None:
    tree = derive((DOCTOR / "healthy.tree").read_text(), case.changes)
    assert answers(scrub(tree), tmp_path / "scrubbed") == answers(tree, tmp_path / "plain")


def test_the_plan_is_the_same(tmp_path: Path) -> None:
    text, policy = CAPTURED_LAB.read_text(), read_policy(SAMPLE_POLICY)
    plain = plan(policy, read_host(plant(text, tmp_path / "plain")))
    scrubbed = plan(policy, read_host(plant(scrub(text), tmp_path / "scrubbed")))
    assert [str(step.do) for step in scrubbed.steps] == [str(step.do) for step in plain.steps]
    assert plain.steps
    assert scrubbed.refusals == plain.refusals


@given(st.lists(st.from_regex(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", fullmatch=True), max_size=20))
def test_pseudonyms_are_one_to_one_and_never_an_original(macs: list[str]) -> None:
    names = Pseudonyms(macs)
    given_ = {mac: names.mac(mac) for mac in macs}
    changed = {mac: new for mac, new in given_.items() if mac != new}
    assert len(set(changed.values())) == len(changed)
    assert not set(changed.values()) & set(macs)
    assert all(names.mac(mac) == new for mac, new in given_.items())
