"""Images: uploaded, described, downloaded, deleted."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from running import Instance

pytestmark = pytest.mark.client


def create(shared: Instance, disk: Path, name: str, *more: str) -> dict[str, object]:
    made: dict[str, object] = shared.openstack(
        *["image", "create", "--file", str(disk), "--disk-format", "raw"],
        *["--container-format", "bare", *more, name],
    )
    return made


def test_an_upload_has_the_files_size_and_checksums(shared: Instance, disk: Path) -> None:
    data = disk.read_bytes()
    made = create(shared, disk, "sums")
    assert made["status"] == "active"
    assert made["size"] == len(data)
    assert made["checksum"] == hashlib.md5(data, usedforsecurity=False).hexdigest()
    shown = shared.openstack("image", "show", "sums")
    assert shown["properties"]["os_hash_algo"] == "sha512"
    assert shown["properties"]["os_hash_value"] == hashlib.sha512(data).hexdigest()


def test_what_was_uploaded_is_downloaded(shared: Instance, disk: Path, tmp_path: Path) -> None:
    create(shared, disk, "round")
    shared.done("image", "save", "--file", str(tmp_path / "copy"), "round")
    assert (tmp_path / "copy").read_bytes() == disk.read_bytes()


def test_properties_are_set_replaced_and_unset(shared: Instance, disk: Path) -> None:
    create(shared, disk, "described", "--property", "hw_machine_type=q35")
    shared.done("image", "set", "--property", "hw_machine_type=pc", "--tag", "t", "described")
    shown = shared.openstack("image", "show", "described")
    assert (shown["properties"]["hw_machine_type"], shown["tags"]) == ("pc", ["t"])
    shared.done("image", "unset", "--property", "hw_machine_type", "described")
    shown = shared.openstack("image", "show", "described")
    assert "hw_machine_type" not in shown["properties"]


def test_a_root_names_its_kernel_and_ramdisk(shared: Instance, disk: Path) -> None:
    kernel = create(shared, disk, "kernel")["id"]
    ramdisk = create(shared, disk, "ramdisk")["id"]
    wanted = [f"kernel_id={kernel}", f"ramdisk_id={ramdisk}"]
    made = create(shared, disk, "root", *(w for p in wanted for w in ("--property", p)))
    properties = made["properties"]
    assert isinstance(properties, dict)
    assert (properties["kernel_id"], properties["ramdisk_id"]) == (kernel, ramdisk)


def test_an_image_without_data_waits_for_it(shared: Instance) -> None:
    # Without a terminal the client would upload what it reads from standard input.
    controller, terminal = os.openpty()
    try:
        made = json.loads(shared.done("image", "create", "empty", "-f", "json", stdin=terminal))
    finally:
        os.close(controller)
        os.close(terminal)
    assert made["status"] == "queued"
    shared.done("image", "delete", "empty")


def test_a_deleted_image_is_gone(shared: Instance, disk: Path) -> None:
    image = create(shared, disk, "short-lived")["id"]
    shared.done("image", "delete", "short-lived")
    assert image not in {row["ID"] for row in shared.openstack("image", "list")}
    assert "short-lived" in shared.refused("image", "show", "short-lived")
