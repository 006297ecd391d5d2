"""What gives the kernel its arguments: the boot loader, its settings and its menu."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lanekeeper.domain.hostplan.huge_page_argument import (
    KEYS,
    is_huge,
    pools_hold,
    without_pools,
)


class Loader(StrEnum):
    """By what means the arguments of the next kernel are set."""

    GRUB_DROP_IN = "GRUB with drop-ins"  # Debian, Ubuntu: grub-mkconfig reads /etc/default/grub.d
    GRUB_SETTINGS = "GRUB"  # /etc/default/grub alone: Red Hat 7, SUSE, Arch
    GRUBBY = "grubby"  # Red Hat 8 and later, Fedora: GRUB with entry files
    ENTRIES = "entry files"  # systemd-boot: the options of loader/entries/*.conf


@dataclass(frozen=True, slots=True, kw_only=True)
class BootSettings:
    """What a plan has to know to change them. Paths are relative to the root.

    Attributes:
        loader: None when none is known, or two contradict each other.
        doubt: why none is taken, where files of one or more are there.
        texts: files of the operator or the distribution that may be changed.
        entries: arguments of each entry file, variables followed; none for GRUB's settings.
        update: the command that makes the menu anew; None when there is none, or none is needed.
        menu: arguments of the first entry of GRUB's menu as it is; None when it is not known.
        default: GRUB_DEFAULT, and *saved_entry* the entry that GRUB keeps as ``saved``.
        has_scripts: whether entries can be added to the menu by a file in /etc/grub.d.
    """

    loader: Loader | None = Loader.GRUB_DROP_IN
    doubt: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)
    entries: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    update: tuple[str, ...] | None = ("update-grub",)
    menu: tuple[str, ...] | None = None
    default: str = "0"
    saved_entry: str | None = None
    has_scripts: bool = False


MULTIPLE = frozenset(("console", "earlycon", "hugepagesz", "hugepages"))
"""Arguments of which each occurrence counts by itself."""

SUMMED = frozenset(
    ("pci", "modprobe.blacklist", "rd.driver.pre", "rd.driver.post", "rd.driver.blacklist")
)
"""Arguments whose occurrences add up, each a list with commas.

Source: Linux drivers/pci/pci.c, pci_setup(); kmod libkmod/libkmod-config.c,
kcmdline_parse_result(); dracut.cmdline(7).
"""


def argument_key(argument: str) -> str:
    return argument.partition("=")[0]


def entry_kernel(text: str) -> str:
    """Return the kernel that the entry file *text* starts, as the entry names it."""
    lines = (line.split() for line in text.splitlines())
    return next((words[1] for words in lines if words[:1] == ["linux"] and words[1:]), "")


def argument_holds(wanted: str, arguments: tuple[str, ...]) -> bool:
    """Whether a kernel argument stands in a command line and nothing after it says otherwise."""
    key = argument_key(wanted)
    same = [argument for argument in arguments if argument_key(argument) == key]
    if key in MULTIPLE:
        return wanted in same
    if key in SUMMED:
        said = {argument_key(each): each for each in summands(key, arguments)}  # the last counts
        return all(said.get(argument_key(each)) == each for each in summands(key, (wanted,)))
    return bool(same) and same[-1] == wanted


def lacking(wanted: tuple[str, ...], arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of *wanted* that do not hold; of words on huge pages all or none."""
    huge_hold = pools_hold(tuple(filter(is_huge, wanted)), arguments)
    return tuple(
        word
        for word in wanted
        if not (huge_hold if is_huge(word) else argument_holds(word, arguments))
    )


def displaced(wanted: tuple[str, ...], arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of *arguments* that say otherwise about what is *wanted*."""
    keys = {argument_key(argument) for argument in wanted} - MULTIPLE - SUMMED - KEYS
    return tuple(a for a in arguments if argument_key(a) in keys and a not in wanted)


def with_arguments(arguments: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Return *arguments* with *wanted* behind all that stay."""
    huge = tuple(filter(is_huge, wanted))
    before = without_pools(huge, arguments) if huge else arguments
    gone = {*displaced(wanted, arguments), *wanted}
    kept = tuple(word for word in before if word not in gone or is_huge(word))
    behind = (*kept, *wanted)
    if pools_hold(huge, behind):
        return behind
    return (*huge, *kept, *(word for word in wanted if not is_huge(word)))  # no size before them


def argument_group(argument: str) -> str:
    """Return what *argument* is about: words on huge pages are about one thing, in their order."""
    return "hugepages" if is_huge(argument) else argument_key(argument)


def summands(key: str, arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Return what the occurrences of *key*, one of ``SUMMED``, say together, in their order."""
    lists = (a.partition("=")[2].split(",") for a in arguments if argument_key(a) == key)
    return tuple(each for said in lists for each in said if each)
