"""Kernel arguments: those of the running kernel, and those the boot loader will give the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lanekeeper.domain.hostplan.boot_loader import BootSettings, Loader
from lanekeeper.domain.hostplan.grub_variables import grub_arguments, read_variables
from lanekeeper.domain.hostplan.persistence import GRUB_FILE
from lanekeeper.host.attribute import link_target, read_bytes, read_text
from lanekeeper.host.boot import entry, grub

_GRUBBY = ("usr/sbin/grubby", "usr/bin/grubby", "sbin/grubby")
_OSTREE = "run/ostree-booted"


@dataclass(frozen=True, slots=True)
class BootLoader:
    """What is known of it.

    Attributes:
        arguments: of its plain menu entry; None when no boot loader that is known is there.
        files: what was read or looked for, relative to the root.
        settings: what a plan has to know.
    """

    arguments: tuple[str, ...] | None
    files: tuple[str, ...]
    settings: BootSettings


def read_boot_loader(root: Path) -> BootLoader:
    """Find out which loader starts the next kernel below *root*, and with what. Raises HostFault.

    Where files of two are there, the one that started this kernel counts, if it said so.
    """
    files = grub.setting_files(root)
    texts = {name: text for name in files if (text := _text(root, name)) is not None}
    every = {name: _text(root, name) or "" for name in entry.entry_files(root)}
    entries = {name: text for name, text in every.items() if entry.starts_kernel(text)}
    images = entry.unified_images(root)
    looked = (*files, *(every or entry.ENTRIES), *images)
    environment = grub.read_environment(root)
    variables = read_variables(tuple(texts.values()))
    with_entries = variables.get("GRUB_ENABLE_BLSCFG") == "true"
    # Debian's grub-common brings a drop-in wherever it is installed, so one alone says nothing.
    has_settings = grub.SETTINGS in texts or (bool(texts) and not entries)
    damaged = (grub.damage(name, text) for name, text in texts.items())
    if every and not entries and not has_settings:
        doubt = "none of the entry files names a kernel to start (linux), which takes arguments"
        return BootLoader(None, looked, BootSettings(loader=None, doubt=doubt, update=None))
    doubt = next(filter(None, (*_no_files(root, files), *damaged)), "") or _doubt(
        root, has_settings and not with_entries, bool(entries), images
    )
    if doubt or not (texts or entries):
        return BootLoader(None, looked, BootSettings(loader=None, doubt=doubt, update=None))
    if entries and (with_entries or not has_settings or _is_systemd_boot(root)):
        return _of_entries(root, entries, texts, environment, looked)
    settings = BootSettings(
        loader=Loader.GRUB_DROP_IN if grub.reads_drop_ins(root) else Loader.GRUB_SETTINGS,
        texts=texts,
        update=grub.update_command(root),
        menu=grub.read_menu(root),
        default=variables.get("GRUB_DEFAULT", "0"),
        saved_entry=environment.get("saved_entry"),
        has_scripts=(root / grub.SCRIPTS / "10_linux").exists(),
    )
    return BootLoader(grub_arguments(variables), files, settings)


def _of_entries(
    root: Path,
    entries: dict[str, str],
    texts: dict[str, str],
    environment: dict[str, str],
    looked: tuple[str, ...],
) -> BootLoader:
    given = {name: entry.entry_arguments(text, environment) for name, text in entries.items()}
    kept = _text(root, entry.KERNEL_INSTALL)
    if kept is not None:
        texts = {**texts, entry.KERNEL_INSTALL: kept}
        looked = (*looked, entry.KERNEL_INSTALL)
    has_grubby = any((root / name).exists() for name in _GRUBBY)
    if not has_grubby and any("$" in text for text in entries.values()):
        doubt = "entries have their arguments from GRUB's environment, and grubby is not installed"
        return BootLoader(None, looked, BootSettings(loader=None, doubt=doubt, update=None))
    settings = BootSettings(
        loader=Loader.GRUBBY if has_grubby and not _is_systemd_boot(root) else Loader.ENTRIES,
        texts={**texts, **entries},
        entries=given,
        update=None,
    )
    plain = next((name for name in given if "rescue" not in name), next(iter(given)))
    return BootLoader(given[plain], looked, settings)


def _doubt(root: Path, has_settings: bool, has_entries: bool, images: tuple[str, ...]) -> str:
    """Say why no loader is taken to be the one; empty when there is no doubt."""
    if (root / _OSTREE).exists():
        return "rpm-ostree keeps the arguments of its deployments: rpm-ostree kargs changes them"
    running = entry.running_loader(root)
    if has_settings and has_entries and not running:
        return (
            "there are settings of GRUB, which does not read entry files by them, and entry files, "
            "and the firmware does not say which loader started this kernel"
        )
    if images and not (has_settings and "GRUB" in running):
        return "unified kernel images have their arguments built in"
    if has_settings and not has_entries and _is_systemd_boot(root):
        return f"there are settings of GRUB, but {running} started this kernel"
    return _menu_doubt(root, has_entries) if has_settings else ""


def _menu_doubt(root: Path, has_entries: bool) -> str:
    """Say why arguments of GRUB's settings would not come into its menu; empty when they would."""
    menus = grub.menu_files(root)
    if len(menus) > 1:
        return f"there are two menus of GRUB, {' and '.join(f'/{name}' for name in menus)}"
    if menus and not has_entries and not grub.has_maker(root):
        return (
            f"nothing here makes GRUB's menu /{menus[0]} anew, so arguments would never come into "
            "it: update-grub, grub2-mkconfig and grub-mkconfig are not installed"
        )
    return ""


def _is_systemd_boot(root: Path) -> bool:
    return entry.running_loader(root).startswith("systemd-boot")


def _no_files(root: Path, names: tuple[str, ...]) -> Iterator[str]:
    """Say which settings are no files that a shell could read; a plan refuses its own."""
    for name in names:
        if name != GRUB_FILE and (root / name).is_dir():
            yield f"/{name} is to be mended first, it is a directory"
        elif (way := link_target(str(root / name))) and not (root / name).is_file():
            what = "no regular file" if (root / name).exists() else "not there"
            yield f"/{name} is to be mended first, it is a link to {way}, which is {what}"


def _text(root: Path, name: str) -> str | None:
    """Return a file as it stands, to the last blank; None for none."""
    data = None if (root / name).is_dir() else read_bytes(str(root / name))
    return None if data is None else data.decode("utf-8", "surrogateescape")


def read_command_line(root: Path) -> tuple[str, ...]:
    """Return the running kernel's arguments. Raises HostFault."""
    return tuple((read_text(str(root / "proc/cmdline")) or "").split())
