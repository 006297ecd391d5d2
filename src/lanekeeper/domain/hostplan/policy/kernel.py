"""What a policy wants of the kernel: arguments, huge pages, options of modules."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lanekeeper.domain.hostplan.boot_loader import MULTIPLE, argument_key
from lanekeeper.domain.hostplan.policy.reading import (
    PolicyInvalid,
    read_count,
    read_list,
    read_mapping,
    read_text,
)

HUGE_PAGES = ("node", "size", "pages")
SIZES_KIB = {"64K": 64, "2M": 2048, "32M": 32768, "512M": 524288, "1G": 1048576, "16G": 16777216}
"""Sizes that some architecture has. Source: Linux ``Documentation/arch/arm64/hugetlbpage.rst``."""

NO_ARGUMENTS = {
    "intel_iommu=pt": "intel_iommu=on and iommu=pt, as two arguments",
    "amd_iommu=pt": "iommu=pt; an AMD IOMMU is on unless something switches it off",
}
"""What some guides write, and what is right.

Source: Linux ``Documentation/admin-guide/kernel-parameters.txt``, ``drivers/iommu``.
"""
_NO_IOMMU = "iommu=off", "iommu=noforce"
_IOMMU = "iommu", "intel_iommu", "amd_iommu"
_NO_WAY = "max_vfs is no way to create VFs"
_BY_SYSFS = "pfs: [{pf: …, vfs: N}] creates VFs by sysfs, which works for every driver"
_ARGUMENTS_MAX = 64
_POOLS_MAX = 256
_MODULES_MAX = 64
NODES_MAX = 1024
PAGES_MAX = 2**31
ARGUMENT = re.compile(r"[A-Za-z0-9_.,:/+@%=-]{1,256}")
MODULE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
OPTION = re.compile(r"[A-Za-z0-9_]+(?:=[A-Za-z0-9_.,:/+@%-]*)?")


@dataclass(frozen=True, slots=True)
class HugePages:
    """How many huge pages of one size a NUMA node keeps."""

    path: str
    node: int
    size_kib: int
    pages: int


@dataclass(frozen=True, slots=True)
class ModuleOptions:
    """What a module is loaded with from now on, each as ``name=value``."""

    module: str
    options: tuple[str, ...]


def read_arguments(value: object, path: str) -> tuple[str, ...]:
    """Read arguments for the kernel command line. Raises PolicyInvalid."""
    given = read_list(value, path, _ARGUMENTS_MAX)
    found = tuple(
        _argument(argument, f"{path}[{at}]", given[at - 1] if at else "")
        for at, argument in enumerate(given)
    )
    for at, argument in enumerate(found):
        key, _, count = argument.partition("=")
        if key.endswith(".max_vfs") and count.strip("0,"):
            raise PolicyInvalid(f"{path}[{at}]", _NO_WAY, hint=_BY_SYSFS)
        if argument in NO_ARGUMENTS:
            reason = f"{argument} does nothing: the kernel says that it does not know it"
            raise PolicyInvalid(f"{path}[{at}]", reason, hint=NO_ARGUMENTS[argument])
    _refuse_contradictions(found, path)
    return found


def _argument(value: object, path: str, before: object) -> str:
    """Read one argument. What is a number or begins with one is a part of that *before*."""
    if "=" in str(before) and str(value)[:1].isdecimal() and not isinstance(value, bool):
        hint = f'quote it: "{before},{value}"; in a list YAML parts values at commas'
        raise PolicyInvalid(path, f"is {value!r:.60}, which is no argument", hint=hint)
    return read_text(value, path, ARGUMENT, "one argument such as iommu=pt")


def _refuse_contradictions(arguments: tuple[str, ...], path: str) -> None:
    """Refuse two that speak of one thing: which of them holds is the kernel's affair."""
    for at, argument in enumerate(arguments):
        for before, other in enumerate(arguments[:at]):
            if not _is_about_the_same(argument, other):
                continue
            both = f"stands beside {path}[{before}], which is {other}"
            if argument == other:
                raise PolicyInvalid(f"{path}[{at}]", f"{argument} {both}", hint="drop one of them")
            raise PolicyInvalid(
                f"{path}[{at}]",
                f"{argument} {both}: only one of them can hold",
                hint="drop one of them; several settings of one argument are joined by commas",
            )


def last_words(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return those of a command line that no later one contradicts or repeats."""
    return tuple(
        argument
        for at, argument in enumerate(arguments)
        if not any(_is_about_the_same(argument, later) for later in arguments[at + 1 :])
    )


def _is_about_the_same(one: str, other: str) -> bool:
    if argument_key(one) == argument_key(other):
        return argument_key(one) not in MULTIPLE
    return any(argument in _NO_IOMMU for argument in (one, other)) and all(
        argument_key(argument) in _IOMMU for argument in (one, other)
    )


def read_huge_pages(value: object, path: str) -> tuple[HugePages, ...]:
    """Read the pools; two for one node and size are refused. Raises PolicyInvalid."""
    entries = enumerate(read_list(value, path, _POOLS_MAX))
    found: dict[tuple[int, int], HugePages] = {}
    for at, entry in entries:
        pool = _pool(entry, f"{path}[{at}]")
        key = (pool.node, pool.size_kib)
        if key in found:
            message = f"is for the same node and size as {found[key].path}"
            raise PolicyInvalid(pool.path, message, hint="drop one of them")
        found[key] = pool
    return tuple(found.values())


def _pool(entry: object, path: str) -> HugePages:
    given = read_mapping(entry, path, HUGE_PAGES)
    for name in HUGE_PAGES:
        if name not in given:
            raise PolicyInvalid(path, f"{name} is missing", hint="{node: 0, size: 2M, pages: 512}")
    size = given["size"]
    if size not in SIZES_KIB:
        raise PolicyInvalid(
            f"{path}.size", f"is {size!r:.60}", hint=f"one of {', '.join(SIZES_KIB)}"
        )
    node = read_count(given["node"], f"{path}.node", NODES_MAX)
    return HugePages(
        path, node, SIZES_KIB[size], read_count(given["pages"], f"{path}.pages", PAGES_MAX)
    )


def read_module_options(value: object, path: str) -> tuple[ModuleOptions, ...]:
    """Read a mapping from modules to lists of options. Raises PolicyInvalid."""
    if not isinstance(value, dict):
        raise PolicyInvalid(
            path, f"is {value!r:.60}, not a mapping", hint="mlx5_core: [prof_sel=2]"
        )
    if len(value) > _MODULES_MAX:
        raise PolicyInvalid(path, f"has {len(value)} entries", hint=f"at most {_MODULES_MAX}")
    return tuple(_options(module, options, path) for module, options in value.items())


def read_blacklist(value: object, path: str) -> tuple[str, ...]:
    """Read modules that are not to load by themselves, each once. Raises PolicyInvalid."""
    names = (
        read_text(module, f"{path}[{at}]", MODULE, "a module's name, as igbvf")
        for at, module in enumerate(read_list(value, path, _MODULES_MAX))
    )
    return tuple(dict.fromkeys(names))


def _options(module: object, value: object, path: str) -> ModuleOptions:
    name = read_text(module, path, MODULE, "a module's name as key")
    where = f"{path}.{name}"
    options = tuple(
        read_text(option, f"{where}[{at}]", OPTION, "one option such as prof_sel=2")
        for at, option in enumerate(read_list(value, where, _ARGUMENTS_MAX))
    )
    for at, option in enumerate(options):
        if option.partition("=")[0] == "max_vfs":
            raise PolicyInvalid(f"{where}[{at}]", _NO_WAY, hint=_BY_SYSFS)
    return ModuleOptions(name, options)
