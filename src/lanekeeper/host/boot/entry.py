"""Entry files of a boot loader, which systemd-boot reads, and Red Hat's GRUB.

Source: The UAPI Group, "Boot Loader Specification", type 1; systemd, "The Boot Loader Interface".
"""

from __future__ import annotations

from pathlib import Path

from lanekeeper.domain.hostplan.grub_variables import followed
from lanekeeper.host.attribute import read_bytes
from lanekeeper.host.text_line import matching

ENTRIES = tuple(f"{home}/loader/entries/*.conf" for home in ("boot", "efi", "boot/efi"))
IMAGES = tuple(f"{home}/EFI/Linux/*.efi" for home in ("boot", "efi", "boot/efi"))
KERNEL_INSTALL = "etc/kernel/cmdline"
"""What new kernels' entries are made from."""

_OTHER_PROGRAMS = frozenset(("efi", "uki", "uki-url"))
_LOADER_INFO = "sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
_ATTRIBUTE_BYTES = 4  # before the value of each variable; Linux Documentation/filesystems/efivarfs


def entry_files(root: Path) -> tuple[str, ...]:
    return tuple(matching(root, ENTRIES))


def unified_images(root: Path) -> tuple[str, ...]:
    """Return kernels that have their arguments built in."""
    return tuple(matching(root, IMAGES))


def starts_kernel(text: str) -> bool:
    """Whether the entry starts a kernel that takes its ``options`` for arguments.

    A shell or a firmware tool takes them for its own; a unified image, by which others start a
    kernel, has its arguments built in.
    """
    keys = {words[0] for line in text.splitlines() if (words := line.split())}
    return "linux" in keys or _OTHER_PROGRAMS.isdisjoint(keys)


def entry_arguments(text: str, variables: dict[str, str]) -> tuple[str, ...]:
    """Return the arguments of one entry; several ``options`` lines follow one another."""
    lines = (line.strip().partition(" ") for line in text.replace("\t", " ").splitlines())
    options = " ".join(value for key, _, value in lines if key == "options")
    return tuple(followed(options, variables).split())


def running_loader(root: Path) -> str:
    """Return the name and version of the loader that started this kernel, if it told; else ''."""
    data = read_bytes(str(root / _LOADER_INFO)) or b""
    return data[_ATTRIBUTE_BYTES:].decode("utf-16-le", "replace").rstrip("\0")
