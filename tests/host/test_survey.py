"""What the survey of a host makes of bad trees, programs, archives, and of the log's ring."""

import gzip
import lzma
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign import size
from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.hostplan.findings.check import check
from lanekeeper.domain.hostplan.survey import Initramfs
from lanekeeper.host.capture import capture
from lanekeeper.host.initramfs import listing, read_initramfs
from lanekeeper.host.kernel_log import read_kernel_log
from lanekeeper.host.program import answer
from lanekeeper.host.survey import read_survey
from lanekeeper.host.tree import Entry, Kind, parse, plant

HEALTHY = (Path(__file__).parent / "doctor/healthy.tree").read_text()
FILES = [e for e in parse(HEALTHY) if e.kind in (Kind.LINE, Kind.BYTES, Kind.LINK)]
GARBAGE = st.one_of(
    st.sampled_from(
        [b"", b"-", b"-1", b"x" * 5000, b"\xff\xfe\0", b"\n\n", b"9" * 5000, b'{"a":1}']
    ),
    st.binary(max_size=30),
)


def spoiled(path: str, kind: Kind, content: bytes) -> str:
    kept = [str(entry) for entry in parse(HEALTHY) if entry.path != path]
    return "\n".join([*kept, str(Entry(path, kind, content))])


@settings(max_examples=size(50, 400))
@given(entry=st.sampled_from(FILES), content=GARBAGE, refused=st.booleans())
def test_garbage_anywhere_is_a_finding_or_nothing_and_never_a_traceback(
    entry: Entry, content: bytes, refused: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    kind = Kind.REFUSED if refused else Kind.BYTES
    tree = spoiled(entry.path, kind, b"EIO" if refused else content)
    findings = check(read_survey(plant(tree, tmp_path_factory.mktemp("tree"))))
    assert all(finding.evidence for finding in findings)


def test_absent_unreadable_and_garbage_are_told_apart(tmp_path: Path) -> None:
    path = "sys/devices/pci0000:20/0000:20:00.0/0000:21:00.0/current_link_width"
    healthy = [str(entry) for entry in parse(HEALTHY) if entry.path != path]
    absent = read_survey(plant("\n".join(healthy), tmp_path / "a"))
    assert absent.function_faults == ()
    unreadable = read_survey(plant(spoiled(path, Kind.REFUSED, b"EIO"), tmp_path / "b"))
    ((name, reason),) = unreadable.function_faults
    assert name == "0000:21:00.0"
    assert reason.startswith("cannot read /sys/bus/pci/devices/0000:21:00.0/current_link_width")
    garbage = read_survey(plant(spoiled(path, Kind.LINE, b"x4"), tmp_path / "c"))
    ((_, reason),) = garbage.function_faults
    assert reason == "current_link_width is 'x4', not a number"
    assert len(garbage.functions) == len(absent.functions) - 1


def test_each_attribute_of_a_vf_is_read_once(tmp_path: Path) -> None:
    """A VF has two attributes of its own; the rest would be read again from its PF."""
    root = plant(HEALTHY, tmp_path)
    home = root / "sys/devices/pci0000:e0/0000:e0:00.0/0000:e1:00.1"
    for name in ("max_link_width", "aer_dev_fatal", "resource", "config"):
        (home / name).symlink_to(name)  # a read of it would be refused
    assert read_survey(root).function_faults == ()


def cpio(files: dict[str, bytes]) -> bytes:
    """Pack *files* as the kernel wants an initramfs: SVR4, without checksums."""
    out = b""
    for name, content in {**files, "TRAILER!!!": b""}.items():
        path = name.encode() + b"\0"
        numbers = [0, 0o100644, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0]
        out += b"070701" + b"".join(b"%08X" % number for number in numbers) + path
        out += bytes(-len(out) % 4) + content
        out += bytes(-len(out) % 4)
    return out


MICROCODE = cpio({"kernel/x86/microcode/GenuineIntel.bin": b"abc"})
ROOT = cpio(
    {
        "usr/lib/modules/6.1/kernel/drivers/net/igb/igb.ko.xz": b"",
        "usr/lib/modules/6.1/kernel/drivers/vfio/pci/vfio-pci.ko": b"ELF",
        "etc/modprobe.d/igb.conf": b"options  igb max_vfs=7\n",
        "etc/passwd": b"root",
    }
)
PARSED = Initramfs(
    path="boot/initrd.img-6.1",
    modules=frozenset({"igb", "vfio_pci"}),
    modprobe=frozenset({"options igb max_vfs=7"}),
)


@pytest.mark.parametrize(
    "image",
    [ROOT, MICROCODE + ROOT, MICROCODE + gzip.compress(ROOT), MICROCODE + lzma.compress(ROOT)],
    ids=["plain", "two", "gzip", "xz"],
)
def test_an_initramfs_is_looked_into(image: bytes, tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/initrd.img-6.1").write_bytes(image)
    assert read_initramfs(tmp_path, "6.1") == PARSED
    captured = tmp_path / "copy/captured"
    captured.mkdir(parents=True)
    (captured / "initramfs").write_text(listing(PARSED))
    assert read_initramfs(tmp_path / "copy", "6.1") == PARSED


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (b"\x1f\x8b damaged", "cannot be unpacked"),
        (b"BZh9", "packed in an unknown way"),
        (b"070701" + b"z" * 200, "is damaged at byte 0"),
        (ROOT[:50], "is damaged at byte 0"),
    ],
)
def test_a_damaged_initramfs_is_a_fault_that_names_it(
    image: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/initramfs-6.1.img").write_bytes(image)
    with pytest.raises(HostFault, match=f"/boot/initramfs-6.1.img.*{message}"):
        read_initramfs(tmp_path, "6.1")


def test_a_kernel_without_an_initramfs_has_none(tmp_path: Path) -> None:
    assert read_initramfs(tmp_path, "6.1") is None


def test_the_log_is_stripped_to_what_matters(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/kmsg").write_text(
        "6,1,100,-;DMAR: IOMMU enabled\n SUBSYSTEM=pci\n6,2,200,-;usb 1-1: new device\n"
    )
    log = read_kernel_log(tmp_path)
    assert (log.source, log.lines) == ("dev/kmsg", ("DMAR: IOMMU enabled",))


@pytest.mark.skipif(not os.access("/dev/kmsg", os.R_OK), reason="the log is root's here")
def test_the_ring_of_the_running_kernel_ends() -> None:
    assert read_kernel_log(Path("/")).source in ("dev/kmsg", "")


def test_a_program_is_asked_here_and_remembered_in_a_captured_tree(tmp_path: Path) -> None:
    here = Path("/")
    assert answer(here, "greeting", ("no-such-program",), ("echo", "hello")) == "hello"
    assert answer(here, "greeting", ("no-such-program",)) is None
    with pytest.raises(HostFault, match="`false` failed: exit code 1"):
        answer(here, "greeting", ("false",))
    (tmp_path / "captured").mkdir()
    (tmp_path / "captured/greeting").write_text("captured\n")
    assert answer(tmp_path, "greeting", ("echo", "hello")) == "captured"


def test_a_capture_keeps_no_secret_of_a_file_that_speaks_of_vfs(tmp_path: Path) -> None:
    home = tmp_path / "a/etc/NetworkManager/system-connections"
    home.mkdir(parents=True)
    (home / "uplink").write_text("[wifi]\npsk=secret\n[sriov]\ntotal-vfs=4\n")
    text = capture(tmp_path / "a")
    assert "secret" not in text
    lines = read_survey(plant(text, tmp_path / "b")).boot
    assert (lines[-1].number, lines[-1].text) == (4, "total-vfs=4")


def test_a_file_with_two_names_is_read_once(tmp_path: Path) -> None:
    """Red Hat has /etc/rc.local as a link to rc.d/rc.local."""
    plant(HEALTHY, tmp_path)
    script = "echo 2 > /sys/class/net/ens1/device/sriov_numvfs\n"
    (tmp_path / "etc/rc.d").mkdir()
    (tmp_path / "etc/rc.d/rc.local").write_text(script)
    (tmp_path / "etc/rc.local").unlink()
    (tmp_path / "etc/rc.local").symlink_to("rc.d/rc.local")
    survey = read_survey(tmp_path)
    assert [line.path for line in survey.boot] == ["etc/rc.local"]
    found = [each.subject for each in check(survey) if each.id == "vfs-from-rc-local"]
    assert found == ["/etc/rc.local"]
