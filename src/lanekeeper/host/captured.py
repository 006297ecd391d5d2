"""What a capture keeps of files too long or too private to keep whole, and of what programs say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.host.attribute import read_bytes, read_lines
from lanekeeper.host.capture_list import KEPT, LINES_KEPT
from lanekeeper.host.disk import UDEV, read_members
from lanekeeper.host.facts import read_release
from lanekeeper.host.fault import Faults
from lanekeeper.host.holder import CAPTURED as HOLDERS
from lanekeeper.host.holder import encode_holders, read_holders
from lanekeeper.host.initramfs import CAPTURED, listing, read_initramfs
from lanekeeper.host.kernel_log import DEVICE, read_kernel_log
from lanekeeper.host.modprobe import MODULE_LIST_BYTES_MAX, aliases_of
from lanekeeper.host.offload import questions
from lanekeeper.host.program import DIRECTORY, answer
from lanekeeper.host.sysfs import PciSysfs
from lanekeeper.host.text_line import BOOT_WORDS, matching
from lanekeeper.host.vf_count import COUNTS_BEHIND
from lanekeeper.host.vf_settings import CAPTURED as SETTINGS
from lanekeeper.host.vf_settings import encode_settings, read_vf_settings, were_kept


def extracts(root: Path) -> Iterator[tuple[str, str | None]]:
    """Yield paths with the text to keep there; None where the host refused to say it."""
    yield from _lines(root)
    release = read_release(root)
    yield from _read(DEVICE, lambda: _log(root))
    yield from _modules(root, release)
    yield from _read(CAPTURED, lambda: _initramfs(root, release))
    yield from _members(root)
    devices = PciSysfs(root).scan().devices
    yield from _read(HOLDERS, lambda: _holders(root, devices))
    yield from _read(SETTINGS, lambda: _settings(root, devices))
    pfs = tuple(device for device in devices if device.total_vfs)
    for question, commands in questions(pfs).items():
        path = f"{DIRECTORY}/{question}"
        yield from _read(path, lambda q=question, c=commands: answer(root, q, *c) or "")  # type: ignore[misc]


def _read(path: str, read: Callable[[], str]) -> Iterator[tuple[str, str | None]]:
    try:
        text = read()
    except HostFault:
        yield path, None
        return
    if text:
        yield path, text


def _lines(root: Path) -> Iterator[tuple[str, str | None]]:
    for pattern, words in LINES_KEPT:
        for name in matching(root, (pattern,)):
            if name in KEPT:
                continue
            text = _those(root / name, words)
            is_one_of_many = name.startswith(COUNTS_BEHIND)  # that distributions bring
            if text is None or not is_one_of_many or BOOT_WORDS.search(text):
                yield name, text


def _those(path: Path, words: re.Pattern[str]) -> str | None:
    try:
        lines = read_lines(str(path))
    except HostFault:
        return None
    return "\n".join(line if words.search(line) else "" for line in lines).rstrip("\n")


def _holders(root: Path, devices: tuple[PciDevice, ...]) -> str:
    found = read_holders(root, devices, Faults(keep=True))
    return encode_holders(found) if found else ""


def _members(root: Path) -> Iterator[tuple[str, str]]:
    """Of udev's records only those of ZFS, and of these only what makes them such."""
    for one in read_members(root):
        yield f"{UDEV}/b{one.number}", f"E:ID_FS_LABEL={one.pool}\nE:ID_FS_TYPE=zfs_member"


def _settings(root: Path, devices: tuple[PciDevice, ...]) -> str:
    if root.resolve() != Path("/") and not were_kept(root):
        return ""
    found = read_vf_settings(root, devices, Faults(keep=False))
    return encode_settings(found) if found else ""


def _log(root: Path) -> str:
    return "\n".join(read_kernel_log(root).lines)


def _modules(root: Path, release: str) -> Iterator[tuple[str, str | None]]:
    """Of the lists of depmod(8) what answers whether a module is there and what it drives."""
    if not release:
        return
    home = f"lib/modules/{release}"
    devices = PciSysfs(root).scan().devices
    vendors = frozenset(f"v{device.vendor_id:08X}" for device in devices)
    yield from _read(f"{home}/modules.alias", lambda: aliases_of(root, release, vendors))
    for name in ("modules.dep", "modules.builtin"):
        path = root / home / name
        if path.is_file():
            yield f"{home}/{name}", _files_listed(path)


def _files_listed(path: Path) -> str | None:
    """Keep the names of the modules' files; where they lie and what they need is long."""
    try:
        text = (read_bytes(str(path), MODULE_LIST_BYTES_MAX) or b"").decode("utf-8", "replace")
    except HostFault:
        return None
    files = (line.partition(":")[0].rpartition("/")[2] for line in text.splitlines() if line)
    colon = ":" if path.suffix == ".dep" else ""
    return "\n".join(f"{file}{colon}" for file in files)


def _initramfs(root: Path, release: str) -> str:
    found = read_initramfs(root, release)
    return listing(found) if found else ""
