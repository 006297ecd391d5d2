"""Those lines of the kernel's log that speak of devices.

The kernel keeps the log in a ring, so on a host that has run for long what it said at boot may be
gone: absence of a line proves nothing.

Source: Linux ``Documentation/ABI/testing/dev-kmsg``.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.hostplan.survey import KernelLog
from lanekeeper.host.attribute import read_text

DEVICE = "dev/kmsg"
_FILES = (DEVICE, "var/log/dmesg")
_RECORD_BYTES = 8192  # no record is longer; a shorter read is refused with EINVAL
_RECORDS_MAX = 200_000
_PREFIX = re.compile(r"^\d+,\d+,\d+,[^;]*;|^\[\s*\d+\.\d+\]\s*")
_WANTED = re.compile(
    r"DMAR|AMD-Vi|iommu|IRQ remapping|SR-IOV|vfio|VFIO|kvm|VMX|SVM|RLIMIT_MEMLOCK|max_vfs|ACS "
    r"|Secure boot|Lockdown|BAR \d|Unknown option",
)


def read_kernel_log(root: Path) -> KernelLog:
    """Read the log of the host below *root*. Raises HostFault: root only may, on many hosts."""
    for name in _FILES:
        path = root / name
        text = _ring(path) if _is_device(path) else read_text(str(path))
        if text:
            return KernelLog(source=name, lines=tuple(_relevant(text)))
    return KernelLog()


def _relevant(text: str) -> Iterator[str]:
    for line in text.splitlines():
        message = _PREFIX.sub("", line)
        if _WANTED.search(message):
            yield message


def _is_device(path: Path) -> bool:
    try:
        return stat.S_ISCHR(path.stat().st_mode)
    except OSError:
        return False


def _ring(path: Path) -> str:
    """Read what is in the ring now, a record at a time; EPIPE says that some were overwritten."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise HostFault(f"cannot read {path}: {error.strerror}") from error
    try:
        return "\n".join(_records(descriptor))
    finally:
        os.close(descriptor)


def _records(descriptor: int) -> Iterator[str]:
    for _ in range(_RECORDS_MAX):
        try:
            record = os.read(descriptor, _RECORD_BYTES)
        except BrokenPipeError:
            continue
        except OSError:  # EAGAIN: this was the last
            return
        if not record:
            return
        yield record.decode("utf-8", "replace").partition("\n")[0]
