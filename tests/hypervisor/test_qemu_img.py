import json
import shutil
import subprocess
from pathlib import Path

import pytest

from lanekeeper.domain.errors import HostFault, Invalid
from lanekeeper.hypervisor.libvirt.qemu_img import backing_files, create_overlay

pytestmark = pytest.mark.skipif(not shutil.which("qemu-img"), reason="qemu-img is not there")
MIB = 1 << 20


def qemu_img(*arguments: str) -> str:
    done = subprocess.run(["qemu-img", *arguments], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "base.raw"
    path.write_bytes(b"\x55" * MIB)
    return path


@pytest.mark.parametrize(("size_gib", "size_bytes"), [(0, MIB), (1, 1024 * MIB)])
def test_an_overlay_has_the_flavors_size_or_the_images(
    tmp_path: Path, raw: Path, size_gib: int, size_bytes: int
) -> None:
    disk = tmp_path / "disk.qcow2"
    create_overlay(disk, raw, "raw", size_gib)
    said = json.loads(qemu_img("info", "--output=json", str(disk)))
    assert (said["virtual-size"], said["backing-filename"]) == (size_bytes, str(raw))
    assert said["backing-filename-format"] == "raw"


def test_an_image_larger_than_the_flavor_is_refused(tmp_path: Path) -> None:
    base = tmp_path / "base.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", str(base), "3G")
    with pytest.raises(Invalid, match="needs 3 GiB, the flavor has 2 GiB"):
        create_overlay(tmp_path / "disk", base, "qcow2", 2)


def test_an_image_that_points_to_a_file_of_the_host_is_refused(tmp_path: Path, raw: Path) -> None:
    base = tmp_path / "base.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(raw), str(base))
    with pytest.raises(Invalid, match="backing file"):
        create_overlay(tmp_path / "disk", base, "qcow2", 0)
    with_data = tmp_path / "data.qcow2"
    option = f"data_file={tmp_path / 'data.raw'}"
    qemu_img("create", "-q", "-f", "qcow2", "-o", option, str(with_data), "1M")
    with pytest.raises(Invalid, match="another file"):
        create_overlay(tmp_path / "disk", with_data, "qcow2", 0)
    assert not (tmp_path / "disk").exists()


def test_a_format_is_never_guessed(tmp_path: Path, raw: Path) -> None:
    with pytest.raises(HostFault, match="qemu-img info failed"):
        create_overlay(tmp_path / "disk", raw, "qcow2", 0)
    with pytest.raises(Invalid, match="'vmdk' is not one of raw, ami, qcow2"):
        create_overlay(tmp_path / "disk", raw, "vmdk", 0)


def test_an_ami_is_read_as_raw_and_other_formats_are_refused(tmp_path: Path, raw: Path) -> None:
    disk = tmp_path / "disk.qcow2"
    create_overlay(disk, raw, "ami", 0)
    said = json.loads(qemu_img("info", "--output=json", str(disk)))
    assert said["backing-filename-format"] == "raw"
    for other in ("aki", "ari", "vmdk"):
        with pytest.raises(Invalid, match=f"disk format '{other}' is not one of raw, ami, qcow2"):
            create_overlay(disk, raw, other, 0)


def test_a_chain_is_followed_to_its_end_also_of_a_disk_in_use(tmp_path: Path, raw: Path) -> None:
    disk, snapshot = tmp_path / "disk.qcow2", tmp_path / "snapshot.qcow2"
    create_overlay(disk, raw, "raw", 0)
    qemu_img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(disk), str(snapshot))
    holder = subprocess.Popen(
        ["qemu-io", "-f", "qcow2", str(snapshot)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdin.write("read 0 512\n")
        holder.stdin.flush()
        assert "read 512/512" in holder.stdout.readline()  # it has opened the disk for writing
        assert backing_files(snapshot) == (disk, raw)
    finally:
        holder.communicate("quit\n", timeout=20)
    assert backing_files(disk) == (raw,)


def test_a_chain_that_cannot_be_followed_is_none(tmp_path: Path, raw: Path) -> None:
    with pytest.raises(HostFault, match="qemu-img info failed"):
        backing_files(tmp_path / "not there")
    disk = tmp_path / "disk.qcow2"
    create_overlay(disk, raw, "raw", 0)
    raw.unlink()
    with pytest.raises(HostFault, match="qemu-img info failed"):
        backing_files(disk)
