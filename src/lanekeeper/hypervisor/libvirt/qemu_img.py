"""Disks of guests: overlays of cached images, made by qemu-img.

An image comes from a user. A qcow2 file can name other files of the host as its backing or data
file, so one that names any is refused, and no format is ever guessed.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from lanekeeper.domain.errors import HostFault, Invalid

# An AMI is the bytes of a disk or of a file system, as raw is.
_FORMATS = {"raw": "raw", "ami": "raw", "qcow2": "qcow2"}
_GIB = 1 << 30
_TIMEOUT_S = 60
# A hostile image must not eat the host. Source: nova virt/images.py, QEMU_IMG_LIMITS.
_LIMITS = ("prlimit", f"--as={_GIB}", "--cpu=30")


def create_overlay(disk: Path, base: Path, base_format: str, size_gib: int) -> None:
    """Make *disk* a qcow2 overlay of *base*; 0 GiB is the size of *base*.

    Raises:
        Invalid: another format than raw, ami or qcow2, *base* points to other files, or is larger.
        HostFault: qemu-img is missing or failed.
    """
    if base_format not in _FORMATS:
        raise Invalid(f"disk format {base_format!r} is not one of {', '.join(_FORMATS)}")
    read_as = _FORMATS[base_format]
    size_bytes = _virtual_size(base, read_as)
    if size_gib and size_bytes > size_gib * _GIB:
        raise Invalid(
            f"the image needs {-(-size_bytes // _GIB)} GiB, the flavor has {size_gib} GiB of disk"
        )
    size = [str(size_gib * _GIB)] if size_gib else []
    _run("create", "-q", "-f", "qcow2", "-F", read_as, "-b", str(base), str(disk), *size)


def backing_files(disk: Path) -> tuple[Path, ...]:
    """Name the files that the qcow2 file *disk* is an overlay of, down to the last.

    The disk may be in use by a guest: what is asked for changes only when it is off.

    Raises:
        HostFault: qemu-img is missing, or cannot follow the chain.
    """
    asked = ("info", "--output=json", "--backing-chain", "--force-share", "-f", "qcow2")
    chain = json.loads(_run(*asked, str(disk)))
    return tuple(Path(one["filename"]) for one in chain[1:])


def _virtual_size(base: Path, base_format: str) -> int:
    said = json.loads(_run("info", "--output=json", "-f", base_format, str(base)))
    specific = said.get("format-specific", {}).get("data", {})
    if said.get("backing-filename") or said.get("full-backing-filename"):
        raise Invalid("the image has a backing file, which a host never follows")
    if specific.get("data-file"):
        raise Invalid("the image keeps its data in another file, which a host never follows")
    return int(said["virtual-size"])


def _run(*arguments: str) -> str:
    try:
        done = subprocess.run(
            [*_LIMITS, "qemu-img", *arguments],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise HostFault(f"{error.filename} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise HostFault(f"qemu-img {arguments[0]} gave no answer in {_TIMEOUT_S} s") from error
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise HostFault(f"qemu-img {arguments[0]} failed: {said}")
    return done.stdout
